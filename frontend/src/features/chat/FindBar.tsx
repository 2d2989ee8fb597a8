import { Box, GlobalStyles, IconButton, InputBase, Tooltip, Typography } from "@mui/material";
import { ChevronDown, ChevronUp, Search, X } from "lucide-react";
import { useEffect, useRef, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import { MARKS } from "./useFoundMarks";
import type { Finding } from "./useFind";

const MARK = {
  [`::highlight(${MARKS.all})`]: { backgroundColor: "color-mix(in srgb, var(--a-palette-warning-main) 32%, transparent)" },
  [`::highlight(${MARKS.now})`]: { backgroundColor: "var(--a-palette-warning-main)", color: "var(--a-palette-background-paper)" },
};

/** Words in the conversation: how often they stand there, and the way from one place to the next. */
export function FindBar({ finding, onLeave }: { finding: Finding; onLeave: () => void }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const { words, places, at, asked } = finding;
  useEffect(() => {
    input.current?.focus({ preventScroll: true });
    input.current?.select();
  }, [asked]);
  const end = () => {
    finding.close();
    onLeave();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") end();
    else if (event.key === "Enter") finding.go(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const count = places.length ? t("chat.foundAt", { at: at + 1, count: places.length }) : words.trim() ? t("chat.foundNone") : "";
  const none = places.length === 0;
  return (
    <Box role="search" aria-label={t("chat.find")} onKeyDown={onKey} sx={{ position: "absolute", top: 48, right: { xs: 8, md: 0 }, left: { xs: 8, md: "auto" }, width: { md: 400 }, display: "flex", alignItems: "center", gap: 2, minHeight: 44, pl: 3, pr: 1, border: 1, borderColor: "divider", borderRadius: "10px", bgcolor: "background.paper", boxShadow: "0 8px 28px -16px rgb(8 12 20 / 0.4)" }}>
      <GlobalStyles styles={MARK} />
      <Box component={Search} size={15} aria-hidden sx={{ color: "text.faint", flexShrink: 0 }} />
      <InputBase inputRef={input} value={words} onChange={(event) => finding.look(event.target.value)} placeholder={t("chat.find")} inputProps={{ "aria-label": t("chat.find"), enterKeyHint: "search" }} sx={{ flex: 1, minWidth: 0, fontSize: 14, "& input:focus-visible": { outline: "none" } }} />
      <Typography variant="mono" role="status" sx={{ color: words.trim() && none ? "warning.main" : "text.faint", whiteSpace: "nowrap", px: 1 }}>{count}</Typography>
      <Step label={t("chat.foundBefore")} disabled={none} onClick={() => finding.go(-1)}><ChevronUp size={17} /></Step>
      <Step label={t("chat.foundNext")} disabled={none} onClick={() => finding.go(1)}><ChevronDown size={17} /></Step>
      <Step label={t("common.close")} onClick={end}><X size={16} /></Step>
    </Box>
  );
}

function Step({ label, disabled, onClick, children }: { label: string; disabled?: boolean; onClick: () => void; children: React.ReactNode }) {
  return (
    <Tooltip title={label}>
      <span><IconButton size="small" aria-label={label} disabled={disabled} onClick={onClick} sx={{ width: 32, height: 32 }}>{children}</IconButton></span>
    </Tooltip>
  );
}
