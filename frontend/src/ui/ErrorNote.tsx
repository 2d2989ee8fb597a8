import { Box, Button, Collapse, Typography } from "@mui/material";
import { CircleAlert } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useSaid, type Sentence } from "@/i18n/said";

import { CopyButton } from "./CopyButton";

interface Props {
  title: string;
  /** What the server says went wrong. */
  error: Sentence;
  /** Instead of the hint that comes with the error. */
  hint?: string;
  /** Text for whoever helps: code, request id, log. */
  details?: string | null;
  onRetry?: () => void;
  retrying?: boolean;
  children?: ReactNode;
}

/** An error where it happened: what, why, what to do next, and details to copy. */
export function ErrorNote({ title, error, hint, details, onRetry, retrying, children }: Props) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const told = useSaid()(error);
  const next = hint ?? told.hint;
  return (
    <Box role="alert" sx={{ border: 1, borderColor: "color-mix(in srgb, var(--a-palette-error-main) 32%, transparent)", borderRadius: "10px", bgcolor: "color-mix(in srgb, var(--a-palette-error-main) 5%, var(--a-palette-background-paper))", p: 4, display: "flex", gap: 3, minWidth: 0 }}>
      <Box sx={{ color: "error.main", pt: "1px" }}>
        <CircleAlert size={18} aria-hidden />
      </Box>
      <Box sx={{ flex: 1, minWidth: 0 }}>
        <Typography variant="h4" component="p">{title}</Typography>
        <Typography variant="body2" sx={{ mt: 1, color: "text.primary" }}>{told.text}</Typography>
        {next && <Typography variant="body2" sx={{ mt: 1, color: "text.secondary" }}>{next}</Typography>}
        <Box sx={{ display: "flex", flexWrap: "wrap", gap: 2, mt: 3, "&:empty": { display: "none" } }}>
          {onRetry && <Button size="small" variant="contained" onClick={onRetry} disabled={retrying}>{t("common.retry")}</Button>}
          {children}
          {details && <Button size="small" color="inherit" variant="outlined" aria-expanded={open} onClick={() => setOpen(!open)}>{t("common.details")}</Button>}
          {details && <CopyButton text={details} label={t("common.copyDetails")} />}
        </Box>
        {details && (
          <Collapse in={open} unmountOnExit>
            <LogBlock text={details} />
          </Collapse>
        )}
      </Box>
    </Box>
  );
}

export function LogBlock({ text }: { text: string }) {
  return (
    <Typography component="pre" variant="mono" tabIndex={0} sx={{ m: 0, mt: 3, p: 3, maxHeight: 280, overflow: "auto", whiteSpace: "pre-wrap", bgcolor: "background.sunken", borderRadius: "8px", color: "text.secondary" }}>
      {text}
    </Typography>
  );
}
