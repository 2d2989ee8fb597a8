import { Box, Tooltip, Typography } from "@mui/material";
import { Cpu, MemoryStick } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { DeviceOut, WorkerOut } from "@/api/types";
import { decimal, gib, percent } from "@/lib/numbers";
import { card } from "@/ui/Section";

/** Which workers lie on this device: "cuda:0", "cuda" or "cpu". */
function onDevice(worker: WorkerOut, device: DeviceOut): boolean {
  return worker.device === `${device.kind}:${device.index}` || (worker.device === device.kind && device.index === 0);
}

/** A device as a shelf: a block for each worker, what other programs use, what is free, and where the budget ends. */
export function DeviceShelf({ device, workers }: { device: DeviceOut; workers: WorkerOut[] }) {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const ours = workers.filter((worker) => onDevice(worker, device) && worker.bytes_leased > 0);
  const leased = ours.reduce((sum, worker) => sum + worker.bytes_leased, 0);
  const others = Math.max(0, device.used_bytes - Math.max(leased, device.leased_bytes));
  const share = (value: number) => `${Math.min(100, (value / Math.max(1, device.total_bytes)) * 100)}%`;
  const idle = [...ours].filter((worker) => worker.idle_since).sort((a, b) => (a.idle_since ?? "").localeCompare(b.idle_since ?? ""))[0];
  const Icon = device.kind === "cuda" ? MemoryStick : Cpu;
  const figures = [
    device.utilization !== null && t("system.utilization", { value: percent(device.utilization, lang) }),
    device.temperature_c !== null && t("system.temperature", { value: decimal(device.temperature_c, 0, lang) }),
    device.power_w !== null && t("system.power", { value: decimal(device.power_w, 0, lang) }),
  ].filter(Boolean);
  return (
    <Box sx={{ ...card, p: 4 }}>
      {/* Figures change every second: each has its line, so that none of them breaks one and moves the page. */}
      <Box sx={{ display: "flex", flexDirection: { xs: "column", sm: "row" }, alignItems: { sm: "center" }, columnGap: 3, minWidth: 0 }}>
        <Box sx={{ display: "flex", alignItems: "center", gap: 3, minWidth: 0 }}>
          <Box component={Icon} size={18} aria-hidden sx={{ flexShrink: 0 }} />
          <Typography variant="h4" component="h3" noWrap>{device.name}</Typography>
        </Box>
        {figures.length > 0 && <Typography variant="body2" noWrap sx={{ color: "text.faint" }}>{figures.join(" · ")}</Typography>}
        <Typography variant="body2" noWrap sx={{ ml: { sm: "auto" }, flexShrink: { sm: 0 }, color: "text.secondary" }}>{t("system.used", { used: gib(device.used_bytes, lang), total: gib(device.total_bytes, lang) })}</Typography>
      </Box>
      <Box role="group" aria-label={`${device.name}: ${t("system.used", { used: gib(device.used_bytes, lang), total: gib(device.total_bytes, lang) })}`} sx={{ position: "relative", mt: 3, height: 44, borderRadius: "8px", bgcolor: "background.sunken", boxShadow: (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}`, display: "flex", gap: "2px", p: "3px", overflow: "hidden" }}>
        {ours.map((worker) => (
          <Tooltip key={worker.id} title={`${worker.model} · ${t("system.leased", { size: gib(worker.bytes_leased, lang) })}${worker.id === idle?.id && ours.length > 1 ? ` · ${t("system.leavesFirst")}` : ""}`}>
            <Box role="img" sx={{ ...block, bgcolor: worker.state === "busy" ? "primary.main" : "color-mix(in srgb, var(--a-palette-primary-main) 24%, var(--a-palette-background-paper))", color: worker.state === "busy" ? "primary.contrastText" : "text.primary" }} style={{ width: share(worker.bytes_leased) }}>
              <span>{worker.model}</span>
            </Box>
          </Tooltip>
        ))}
        {leased < device.leased_bytes && <Box sx={{ ...block, bgcolor: "color-mix(in srgb, var(--a-palette-primary-main) 40%, var(--a-palette-background-paper))" }} style={{ width: share(device.leased_bytes - leased) }} />}
        {others > 0 && (
          <Tooltip title={`${t("system.other")} · ${gib(others, lang)}`}>
            <Box role="img" sx={{ ...block, bgcolor: "color-mix(in srgb, var(--a-palette-text-primary) 16%, var(--a-palette-background-paper))", color: "text.secondary" }} style={{ width: share(others) }}><span>{t("system.other")}</span></Box>
          </Tooltip>
        )}
        {device.budget_bytes < device.total_bytes && (
          <Tooltip title={t("system.budget", { leased: gib(device.leased_bytes, lang), budget: gib(device.budget_bytes, lang) })}>
            <Box role="img" sx={{ position: "absolute", top: 0, bottom: 0, width: 0, borderLeft: "2px dashed", borderColor: "text.faint" }} style={{ left: share(device.budget_bytes) }} />
          </Tooltip>
        )}
      </Box>
      <Box sx={{ display: "flex", flexDirection: { xs: "column", sm: "row" }, columnGap: 4, mt: 2, fontSize: 12, color: "text.faint", whiteSpace: "nowrap" }}>
        <span>{t("system.budget", { leased: gib(device.leased_bytes, lang), budget: gib(device.budget_bytes, lang) })}</span>
        <Box component="span" sx={{ ml: { sm: "auto" } }}>{t("system.free", { free: gib(Math.max(0, device.budget_bytes - device.leased_bytes), lang) })}</Box>
      </Box>
    </Box>
  );
}

const block = {
  borderRadius: "6px", minWidth: 4, px: 2, containerType: "inline-size", display: "flex", alignItems: "center", overflow: "hidden", fontSize: 12, fontWeight: 600, transition: "width 180ms ease-out",
  // A name that would show a letter or two says nothing; the tooltip has it whole.
  "& > span": { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", "@container (max-width: 56px)": { display: "none" } },
} as const;
