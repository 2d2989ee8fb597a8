import { Box, Button, Tooltip } from "@mui/material";
import { TriangleAlert } from "lucide-react";
import { memo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { percent } from "@/lib/numbers";
import { Bar } from "@/ui/Bar";

import { NEARLY, type Room } from "./context";

/** How much of what the model can hold is used, with what is being written. */
export const ContextUse = memo(function ContextUse({ room }: { room: Room }) {
  const { t, i18n } = useTranslation();
  const { most, next, counted, drops } = room;
  if (most === null && !counted) return null;
  const number = (value: number) => new Intl.NumberFormat(i18n.language).format(value);
  const share = most ? Math.min(1, next / most) : 0;
  const near = share >= NEARLY && !drops;
  const about = next > room.used || !counted;
  const words = most ? t("chat.contextOf", { used: number(next), most: number(most) }) : t("chat.contextUsed", { used: number(next) });
  const hint = [t(about ? "chat.contextAbout" : "chat.contextCounted"), drops && t("chat.contextDrops")].filter(Boolean).join(" ");
  return (
    <Tooltip title={hint}>
      <Box data-context sx={{ display: "flex", alignItems: "center", gap: 2, color: near ? "warning.main" : "text.faint", fontSize: 12, whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" }}>
        {most && <Box sx={{ width: 56, display: { xs: "none", sm: "block" } }}><Bar value={share} label={t("chat.context")} tone={near ? "warning.main" : "text.faint"} /></Box>}
        <span>{about && next > 0 ? "~" : ""}{words}</span>
        {most && near && <Box component="span" sx={{ display: { xs: "none", sm: "inline" } }}>({percent(share, i18n.language)})</Box>}
      </Box>
    </Tooltip>
  );
}, (before, now) => (["used", "next", "most", "counted", "drops"] as const).every((name) => before.room[name] === now.room[name]));

/** Why nothing can be sent as it is, and what helps: above the composer, before anything fails. */
export function Obstacle({ children, actions }: { children: ReactNode; actions: { text: string; run: () => void }[] }) {
  return (
    <Box role="status" data-obstacle sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 2, mb: 2, px: 4, py: 2, border: 1, borderColor: "color-mix(in srgb, var(--a-palette-warning-main) 40%, transparent)", borderRadius: "12px", bgcolor: "color-mix(in srgb, var(--a-palette-warning-main) 6%, var(--a-palette-background-paper))", fontSize: 14 }}>
      <Box component={TriangleAlert} size={16} aria-hidden sx={{ color: "warning.main", flexShrink: 0 }} />
      <Box sx={{ flex: "1 1 240px", minWidth: 0 }}>{children}</Box>
      {actions.map(({ text, run }, at) => <Button key={text} size="small" variant={at === 0 ? "contained" : "outlined"} color={at === 0 ? "primary" : "inherit"} onClick={run}>{text}</Button>)}
    </Box>
  );
}
