import { Box, ButtonBase, Collapse, Typography } from "@mui/material";
import { Check, ChevronDown, Minus } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { HubPlanOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { bytes } from "@/lib/numbers";
import { card } from "@/ui/Section";

/** What is to be fetched, against the room on the disk: what is there already, what comes, what stays free. */
export function Room({ plan }: { plan: HubPlanOut }) {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const left = plan.free_bytes - plan.fetch_bytes;
  const share = (value: number) => `${Math.min(100, Math.max(0, (value / Math.max(1, plan.free_bytes)) * 100))}%`;
  const says = plan.fits ? t("models.plan.leaves", { size: bytes(left, lang) }) : left < 0 ? t("models.plan.lacks", { size: bytes(-left, lang) }) : t("models.plan.reserve", { size: bytes(plan.reserve_bytes, lang) });
  return (
    <Box sx={{ ...card, p: 4 }}>
      <Box sx={{ display: "flex", gap: 4, rowGap: 1, alignItems: "baseline", flexWrap: "wrap" }}>
        <Typography sx={{ fontSize: 20, fontWeight: 620, letterSpacing: "-0.01em" }}>{bytes(plan.fetch_bytes, lang)}</Typography>
        <Typography variant="body2" sx={{ color: "text.secondary" }}>{plan.present_bytes > 0 ? t("models.plan.toFetchOf", { total: bytes(plan.total_bytes, lang), present: bytes(plan.present_bytes, lang) }) : t("models.plan.toFetch", { count: plan.files.length })}</Typography>
        <Typography variant="body2" sx={{ ml: { sm: "auto" }, color: plan.fits ? "text.secondary" : "error.main", fontWeight: plan.fits ? 400 : 600 }}>{says}</Typography>
      </Box>
      <Box role="img" aria-label={`${bytes(plan.fetch_bytes, lang)} / ${bytes(plan.free_bytes, lang)}`} sx={{ mt: 3, height: 6, borderRadius: "3px", overflow: "hidden", bgcolor: "background.sunken", boxShadow: (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}` }}>
        <Box sx={{ height: 1, minWidth: 3, bgcolor: plan.fits ? "primary.main" : "error.main" }} style={{ width: share(plan.fetch_bytes) }} />
      </Box>
      <Typography variant="caption" sx={{ display: "block", mt: 1, color: "text.faint" }}>{t("models.plan.free", { size: bytes(plan.free_bytes, lang) })}</Typography>
    </Box>
  );
}

/** The chosen files and, folded, those that are left out, with the reason for each. */
export function PlanFiles({ plan }: { plan: HubPlanOut }) {
  const { t, i18n } = useTranslation();
  const said = useSaid();
  const files = [...plan.files].sort((a, b) => b.size_bytes - a.size_bytes);
  return (
    <Box sx={{ display: "grid", gap: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Part title={t("models.plan.files", { count: files.length })} size={bytes(plan.total_bytes, i18n.language)} open={files.length <= 12}>
        {files.map((file) => <Row key={file.path} path={file.path} size={bytes(file.size_bytes, i18n.language)} note={file.present_bytes >= file.size_bytes && file.size_bytes > 0 ? t("models.plan.present") : file.sha256 ? t("models.plan.checked") : ""} chosen />)}
      </Part>
      {plan.refused.length > 0 && (
        <Part title={t("models.plan.refused", { count: plan.refused.length })} size={bytes(plan.refused.reduce((sum, file) => sum + file.size_bytes, 0), i18n.language)} open={false}>
          {plan.refused.map((file) => <Row key={file.path} path={file.path} size={bytes(file.size_bytes, i18n.language)} note={said(file.remark).text} />)}
        </Part>
      )}
    </Box>
  );
}

function Part({ title, size, open: first, children }: { title: string; size: string; open: boolean; children: ReactNode }) {
  const [open, setOpen] = useState(first);
  return (
    <Box sx={{ ...card, overflow: "hidden" }}>
      <ButtonBase aria-expanded={open} onClick={() => setOpen(!open)} sx={{ width: 1, minHeight: 44, px: 4, gap: 3, justifyContent: "flex-start", fontFamily: "inherit", fontSize: 13, fontWeight: 550 }}>
        <Box component={ChevronDown} size={15} aria-hidden sx={{ rotate: open ? 0 : "-90deg", transition: "rotate 140ms ease-out" }} />
        <Box component="span" sx={{ flex: 1, textAlign: "left" }}>{title}</Box>
        <Typography variant="mono" sx={{ color: "text.faint" }}>{size}</Typography>
      </ButtonBase>
      <Collapse in={open} unmountOnExit>
        <Box component="ul" tabIndex={0} aria-label={title} sx={{ m: 0, px: 4, pb: 2, pt: 0, listStyle: "none", maxHeight: 240, overflow: "auto" }}>{children}</Box>
      </Collapse>
    </Box>
  );
}

function Row({ path, size, note, chosen }: { path: string; size: string; note: string; chosen?: boolean }) {
  return (
    <Box component="li" sx={{ display: "grid", gridTemplateColumns: "16px minmax(0, 1fr) auto", gap: 2, alignItems: "baseline", py: "5px", borderTop: 1, borderColor: "divider" }}>
      <Box sx={{ color: chosen ? "success.main" : "text.faint", alignSelf: "center" }}>{chosen ? <Check size={14} aria-hidden /> : <Minus size={14} aria-hidden />}</Box>
      <Box sx={{ minWidth: 0 }}>
        <Typography variant="mono" sx={{ overflowWrap: "anywhere", color: chosen ? "text.primary" : "text.secondary" }}>{path}</Typography>
        {note && <Typography variant="caption" sx={{ display: "block", color: "text.faint" }}>{note}</Typography>}
      </Box>
      <Typography variant="mono" sx={{ color: "text.faint", whiteSpace: "nowrap" }}>{size}</Typography>
    </Box>
  );
}
