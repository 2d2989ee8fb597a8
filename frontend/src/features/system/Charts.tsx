import { Box, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { samples, type DeviceFigures, type Sample } from "@/api/cache";
import { queries } from "@/api/queries";
import type { SystemOut } from "@/api/types";
import { roundTop, type Point } from "@/lib/chart";
import { decimal, gib, percent } from "@/lib/numbers";
import { seriesColour } from "@/lib/series";
import { useSignal } from "@/lib/signal";
import { card, Section } from "@/ui/Section";
import { Segmented } from "@/ui/Segmented";
import { TimeChart, type Line } from "@/ui/TimeChart";

const MINUTES = [1, 5, 15] as const;
const CARD_HEIGHT = 216;

interface Chart { key: string; name: string; lines: Line[]; max: number; write: (value: number) => string }

/** What the devices and the machine did in the last minutes. */
export function Charts({ system }: { system: SystemOut }) {
  const { t } = useTranslation();
  const [minutes, setMinutes] = useState<number>(5);
  const history = useQuery(queries.history());
  const all = useSignal(samples);
  const charts = useCharts(system, all);
  const now = all.at(-1)?.at ?? 0;
  return (
    <Section
      title={t("machine.lastMinutes")}
      aside={<Box sx={{ width: 204, "& [role=radio]": { whiteSpace: "nowrap" } }}><Segmented label={t("machine.range")} value={minutes} onChange={setMinutes} options={MINUTES.map((value) => ({ value, label: t("machine.minutes", { count: value }) }))} /></Box>}
    >
      <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "repeat(2, minmax(0, 1fr))", lg: charts.length > 2 ? "repeat(3, minmax(0, 1fr))" : undefined } }}>
        {charts.map((chart) => (
          history.isPending && all.length === 0
            ? <Skeleton key={chart.key} variant="rectangular" height={CARD_HEIGHT} />
            : <ChartCard key={chart.key} chart={chart} now={now} minutes={minutes} />
        ))}
      </Box>
    </Section>
  );
}

function ChartCard({ chart, now, minutes }: { chart: Chart; now: number; minutes: number }) {
  const { t, i18n } = useTranslation();
  const seconds = 60 * minutes;
  const latest = chart.lines.map((line) => line.points.at(-1)?.value ?? null);
  const values = chart.lines.flatMap((line) => line.points.filter((point) => point.at >= now - seconds).map((point) => point.value ?? 0));
  const said = latest.map((value) => (value === null ? "–" : chart.write(value)));
  const peak = values.length ? chart.write(Math.max(...values)) : null;
  const time = new Intl.DateTimeFormat(i18n.language, { timeStyle: "medium" });
  return (
    <Box sx={{ ...card, p: 4, minWidth: 0, height: CARD_HEIGHT, display: "flex", flexDirection: "column" }}>
      <Box sx={{ display: "flex", justifyContent: "space-between", gap: 2, fontSize: 13, color: "text.secondary" }}>
        <span>{chart.name}</span>
        <Typography variant="caption" sx={{ color: "text.faint", whiteSpace: "nowrap" }}>{peak && t("machine.peak", { value: peak })}</Typography>
      </Box>
      <Box sx={{ display: "flex", gap: 4, mt: 1, overflow: "hidden" }}>
        {chart.lines.map((line, index) => (
          <Box key={line.key} sx={{ display: "flex", alignItems: "baseline", gap: "6px", minWidth: 0 }}>
            {chart.lines.length > 1 && <Box component="span" sx={{ width: 8, height: 8, borderRadius: "2px", bgcolor: line.colour, flexShrink: 0 }} />}
            <Typography sx={{ fontSize: chart.lines.length > 2 ? 14 : 20, lineHeight: "30px", fontWeight: 620, letterSpacing: "-0.01em", whiteSpace: "nowrap" }}>{said[index]}</Typography>
          </Box>
        ))}
      </Box>
      <Box sx={{ mt: "auto" }}>
        <TimeChart lines={chart.lines} label={t("machine.chart", { name: chart.name, count: minutes, value: said.join(", "), peak: peak ?? "–" })} now={now} seconds={seconds} max={chart.max} write={chart.write} time={(at) => time.format(at * 1000)} from={t("machine.ago", { count: minutes })} to={t("machine.now")} />
      </Box>
    </Box>
  );
}

/** GPUs first, one line each; then the machine. What no device tells is left out. */
function useCharts(system: SystemOut, all: readonly Sample[]): Chart[] {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const gpus = system.devices.filter((device) => device.kind === "cuda");
  const lines = (pick: (figures: DeviceFigures) => number | null): Line[] =>
    gpus.map((device, place) => ({
      key: `gpu${device.index}`, name: gpus.length > 1 ? t("machine.gpuNumber", { number: device.index }) : device.name, colour: seriesColour(place),
      points: all.map((sample): Point => { const figures = sample.devices.find((one) => one.index === device.index); return { at: sample.at, value: figures ? pick(figures) : null }; }),
    }));
  const one = (name: string, colour: string, pick: (sample: Sample) => number | null): Line[] => [{ key: name, name, colour, points: all.map((sample) => ({ at: sample.at, value: pick(sample) })) }];
  const share = (value: number) => percent(value, lang);
  const size = (value: number) => gib(value, lang);
  const most = (pick: (device: SystemOut["devices"][number]) => number | null | undefined) => Math.max(0, ...gpus.map((device) => pick(device) ?? 0));
  const highest = (found: Line[]) => Math.max(0, ...found.flatMap((line) => line.points.map((point) => point.value ?? 0)));
  const power = lines((figures) => figures.power);
  const temperature = lines((figures) => figures.temperature);
  const charts: (Chart | false)[] = [
    gpus.length > 0 && { key: "gpu-memory", name: t("machine.gpuMemory"), lines: lines((figures) => figures.used), max: most((device) => device.total_bytes), write: size },
    gpus.length > 0 && { key: "gpu-load", name: t("machine.gpuLoad"), lines: lines((figures) => figures.load), max: 1, write: share },
    gpus.some((device) => device.temperature_c !== null) && { key: "gpu-heat", name: t("machine.temperature"), lines: temperature, max: Math.max(100, roundTop(highest(temperature))), write: (value) => t("system.temperature", { value: decimal(value, 0, lang) }) },
    gpus.some((device) => device.power_w !== null) && { key: "gpu-power", name: t("machine.power"), lines: power, max: most((device) => device.power_limit_w) || roundTop(highest(power)), write: (value) => t("system.power", { value: decimal(value, 0, lang) }) },
    { key: "cpu", name: t("system.processor"), lines: one(t("system.processor"), seriesColour(gpus.length > 0 ? 5 : 0), (sample) => sample.cpu), max: 1, write: share },
    { key: "ram", name: t("machine.ram"), lines: one(t("machine.ram"), seriesColour(1), (sample) => sample.memory), max: system.host.memory_total_bytes, write: size },
  ];
  return charts.filter((chart): chart is Chart => chart !== false);
}
