import { Box, Tooltip, Typography, useMediaQuery, type Theme } from "@mui/material";
import { Cpu, MemoryStick, TriangleAlert } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { DeviceOut, WorkerOut } from "@/api/types";
import { decimal, duration, gib, percent } from "@/lib/numbers";
import { seriesColour } from "@/lib/series";
import { card } from "@/ui/Section";

import { shelfOf, type Block, type Shelf } from "./shelf";

const tint = (colour: string, share: number) => `color-mix(in srgb, ${colour} ${share}%, var(--a-palette-background-paper))`;
const OTHER = tint("var(--a-palette-text-primary)", 16);

/** A device as a shelf: a block for each worker, what other programs use, what is free, and where the budget ends. */
export function DeviceShelf({ device, workers, numbered }: { device: DeviceOut; workers: WorkerOut[]; numbered: boolean }) {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const shelf = shelfOf(device, workers);
  const share = (value: number) => `${Math.min(100, (value / Math.max(1, device.total_bytes)) * 100)}%`;
  const used = t("system.used", { used: gib(device.used_bytes, lang), total: gib(device.total_bytes, lang) });
  return (
    <Box data-device={device.index} sx={{ ...card, p: 4 }}>
      <Head device={device} used={used} numbered={numbered} />
      <Box role="group" aria-label={`${device.name}: ${used}`} sx={{ position: "relative", mt: 3, height: 44, borderRadius: "8px", bgcolor: "background.sunken", boxShadow: (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}`, display: "flex", gap: "2px", p: "3px", overflow: "hidden" }}>
        {shelf.blocks.map((block) => <Piece key={block.key} block={block} shelf={shelf} width={share(block.bytes)} />)}
        {device.budget_bytes < device.total_bytes && !device.problem && (
          <Tooltip title={t("system.budget", { leased: gib(device.leased_bytes, lang), budget: gib(device.budget_bytes, lang) })}>
            <Box role="img" aria-label={t("system.budget", { leased: gib(device.leased_bytes, lang), budget: gib(device.budget_bytes, lang) })} sx={{ position: "absolute", top: 0, bottom: 0, width: 10, translate: "-5px 0", display: "flex", justifyContent: "center", "&::before": { content: '""', borderLeft: "2px dashed", borderColor: "text.faint" } }} style={{ left: share(device.budget_bytes) }} />
          </Tooltip>
        )}
      </Box>
      <Legend device={device} shelf={shelf} />
    </Box>
  );
}

function Head({ device, used, numbered }: { device: DeviceOut; used: string; numbered: boolean }) {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const Icon = device.kind === "cuda" ? MemoryStick : Cpu;
  const wide = useMediaQuery((theme: Theme) => theme.breakpoints.up("sm"));
  const whole = (value: number) => decimal(value, 0, lang);
  const power = device.power_w !== null && (device.power_limit_w !== null ? t("machine.powerOf", { value: whole(device.power_w), limit: whole(device.power_limit_w) }) : t("system.power", { value: whole(device.power_w) }));
  const figures = [
    device.utilization !== null && t("system.utilization", { value: percent(device.utilization, lang) }),
    device.temperature_c !== null && t("system.temperature", { value: whole(device.temperature_c) }),
    power,
    wide && device.clock_mhz !== null && `${whole(device.clock_mhz)} MHz`,
    wide && device.pcie_generation !== null && device.pcie_lanes !== null && `PCIe ${device.pcie_generation} ×${device.pcie_lanes}`,
  ].filter(Boolean);
  const warnings = [
    device.problem && t("machine.lost"),
    ...device.brakes.map((brake) => t(`machine.brakes.${brake}`)),
    (device.ecc_errors ?? 0) > 0 && t("machine.ecc", { count: device.ecc_errors ?? 0 }),
  ].filter(Boolean);
  return (
    <Box sx={{ display: "grid", gridTemplateColumns: { xs: "auto 1fr", sm: "auto 1fr auto" }, columnGap: 3, rowGap: 1, alignItems: "center" }}>
      <Icon size={18} aria-hidden />
      <Typography variant="h4" component="h3" sx={{ minWidth: 0 }}>{device.name}{numbered && <Box component="span" sx={{ color: "text.faint", fontWeight: 400 }}> · {t("machine.gpuNumber", { number: device.index })}</Box>}{device.shares_memory && <Box component="span" sx={{ color: "text.faint", fontWeight: 400 }}> · {t("machine.shared")}</Box>}</Typography>
      <Typography variant="body2" sx={{ color: "text.secondary", gridColumn: { xs: "2", sm: "auto" } }}>{device.problem ? "" : used}</Typography>
      {/* Figures change every second: one line from the start, which none of them breaks. */}
      <Box title={device.problem ?? undefined} sx={{ gridColumn: "2 / -1", minHeight: 20, minWidth: 0, display: "flex", columnGap: 3, fontSize: 13, lineHeight: "20px", color: "text.faint", whiteSpace: "nowrap" }}>
        {figures.length > 0 && <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis" }}>{figures.join(" · ")}</Box>}
        {warnings.map((words) => (
          <Tooltip key={String(words)} title={words}>
            <Box component="span" sx={{ color: device.problem ? "error.main" : "warning.main", display: "inline-flex", gap: 1, alignItems: "center", fontWeight: 550, minWidth: 14 }}>
              <Box component={TriangleAlert} size={14} role="img" aria-label={String(words)} sx={{ flexShrink: 0 }} />
              <Box component="span" aria-hidden sx={{ display: { xs: device.problem ? "inline" : "none", sm: "inline" }, overflow: "hidden", textOverflow: "ellipsis" }}>{words}</Box>
            </Box>
          </Tooltip>
        ))}
      </Box>
    </Box>
  );
}

function Piece({ block, shelf, width }: { block: Block; shelf: Shelf; width: string }) {
  const words = useWords();
  if (block.kind !== "worker") {
    return <Tooltip title={words.tip(block, shelf)}><Box role="img" aria-label={words.tip(block, shelf)} sx={{ ...piece, bgcolor: OTHER, ...(block.kind === "reserved" && { bgcolor: "transparent", backgroundImage: `repeating-linear-gradient(135deg, ${OTHER} 0 4px, transparent 4px 9px)` }) }} style={{ width }}>{block.kind === "other" && <span>{words.name(block)}</span>}</Box></Tooltip>;
  }
  const colour = seriesColour(block.place);
  const filled = block.held === null ? 100 : Math.min(100, (100 * block.held) / Math.max(1, block.bytes));
  return (
    <Tooltip title={words.tip(block, shelf)}>
      <Box role="img" aria-label={words.tip(block, shelf)} sx={{ ...piece, color: "text.primary", boxShadow: `inset 3px 0 0 ${colour}`, pl: "9px" }} style={{ width, background: `linear-gradient(to right, ${tint(colour, 38)} ${filled}%, ${tint(colour, 16)} ${filled}%)` }}>
        <span>{block.worker?.model}</span>
      </Box>
    </Tooltip>
  );
}

function Legend({ device, shelf }: { device: DeviceOut; shelf: Shelf }) {
  const { t, i18n } = useTranslation();
  const words = useWords();
  const lang = i18n.language;
  return (
    <Box component="ul" sx={{ m: 0, mt: 3, p: 0, listStyle: "none", display: "flex", flexWrap: "wrap", columnGap: 5, rowGap: 1, fontSize: 12, lineHeight: "18px", color: "text.secondary", minHeight: 18 }}>
      {shelf.blocks.map((block) => (
        <Box component="li" key={block.key} sx={entry}>
          <Box aria-hidden sx={{ ...swatch, bgcolor: block.kind === "worker" ? seriesColour(block.place) : OTHER }} />
          <Box component="span" sx={{ fontWeight: 550, color: "text.primary", overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{words.name(block)}</Box>
          <span>{words.size(block)}</span>
          {block.key === shelf.leavesFirst?.id && <Box component="span" sx={{ color: "text.faint", whiteSpace: "normal", minWidth: 0 }}>{words.leaving(shelf.leavesFirst)}</Box>}
        </Box>
      ))}
      {!device.problem && <Box component="li" sx={entry}><Box aria-hidden sx={{ ...swatch, boxShadow: "inset 0 0 0 1px var(--a-palette-text-disabled)" }} />{t("machine.free", { size: gib(shelf.free, lang) })}</Box>}
      {!device.problem && <Box component="li" sx={{ ml: { sm: "auto" }, color: "text.faint" }}>{t("system.budget", { leased: gib(device.leased_bytes, lang), budget: gib(device.budget_bytes, lang) })}</Box>}
      {device.problem && <Box component="li" lang="en" sx={{ color: "text.faint" }}>{device.problem}</Box>}
    </Box>
  );
}

/** What a block is called, how large it is, and all of it for the tooltip. */
function useWords() {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const name = (block: Block) => (block.kind === "worker" ? (block.worker?.model ?? "") : t(block.kind === "other" ? "system.other" : "machine.reserved"));
  const size = (block: Block) => {
    if (block.kind !== "worker" || !block.worker) return gib(block.bytes, lang);
    const leased = gib(block.worker.bytes_leased, lang);
    return block.held === null ? leased : t("machine.heldOf", { held: gib(block.held, lang), leased });
  };
  const leaving = (worker: WorkerOut) => t("system.leavesFirst", { idle: duration((Date.now() - Date.parse(worker.idle_since ?? "")) / 1000), time: duration(Math.max(1, worker.reload_seconds ?? 0)) });
  const tip = (block: Block, shelf: Shelf) => {
    const strangers = shelf.strangers.slice(0, 4).map((one) => (one.bytes === null ? one.name : `${one.name} ${gib(one.bytes, lang)}`));
    return [
      name(block), size(block),
      block.worker && t(`system.workerStates.${block.worker.state}`),
      shelf.leavesFirst && block.key === shelf.leavesFirst.id && leaving(shelf.leavesFirst),
      block.kind === "other" && strangers.join(", "),
    ].filter(Boolean).join(" · ");
  };
  return { name, size, leaving, tip };
}

const swatch = { width: 9, height: 9, borderRadius: "3px", flexShrink: 0 } as const;
const entry = { display: "inline-flex", flexWrap: { xs: "wrap", sm: "nowrap" }, alignItems: "center", columnGap: 2, whiteSpace: "nowrap", minWidth: 0, maxWidth: "100%" } as const;
const piece = {
  borderRadius: "6px", minWidth: 4, px: 2, containerType: "inline-size", display: "flex", alignItems: "center", overflow: "hidden", fontSize: 12, fontWeight: 600, color: "text.primary", transition: "width 180ms ease-out",
  // A name that would show a letter or two says nothing; the tooltip and the legend have it whole.
  "& > span": { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", "@container (max-width: 56px)": { display: "none" } },
} as const;
