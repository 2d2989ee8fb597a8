import { Box, Typography } from "@mui/material";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { BenchmarkOut } from "@/api/types";
import { linesOf, MEASURES, nameOf, PARTS, valueOf, type Measure, type Part } from "@/lib/levels";
import { decimal } from "@/lib/numbers";
import { LevelChart } from "@/ui/LevelChart";
import { card } from "@/ui/Section";
import { Segmented } from "@/ui/Segmented";

const DRAWN = ["output_throughput", "ttft_ms", "tpot_ms", "e2el_ms"] as const;
/** As benchmarks of other servers call them, in every language. */
const SHORT: Partial<Record<Measure, string>> = { ttft_ms: "TTFT", tpot_ms: "TPOT", itl_ms: "ITL", icl_ms: "ICL", e2el_ms: "E2EL" };
const isTime = (measure: Measure) => measure.endsWith("_ms");

/** The chosen benchmarks side by side: charts, and below them every figure. */
export function Comparison({ benchmarks }: { benchmarks: readonly BenchmarkOut[] }) {
  const { t, i18n } = useTranslation();
  const [part, setPart] = useState<Part>("p50");
  const number = (value: number) => decimal(value, value < 10 ? 2 : value < 100 ? 1 : 0, i18n.language);
  const write = (measure: Measure) => (value: number) => (isTime(measure) ? (value >= 10_000 ? `${number(value / 1000)} s` : `${number(value)} ms`) : number(value));
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent", maximumFractionDigits: 1 });
  const stages = benchmarks.flatMap((benchmark) => benchmark.stages.map((stage) => ({ benchmark, stage })));
  if (stages.length === 0) return <Typography sx={{ ...card, p: 6, color: "text.secondary", textAlign: "center" }}>{t(benchmarks.length ? "benchmark.nothingYet" : "benchmark.choose")}</Typography>;
  const hasGoals = stages.some(({ stage }) => typeof stage.figures.goodput === "number");
  const broken = stages.find(({ stage }) => stage.figures.error);
  return (
    <Box component="section" aria-label={t("benchmark.figures")} sx={{ display: "grid", gap: 3, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Box sx={{ width: { xs: 1, sm: 320 }, ml: "auto" }}>
        <Segmented label={t("benchmark.percentile")} value={part} onChange={setPart} options={PARTS.map((value) => ({ value, label: value === "mean" ? t("benchmark.mean") : value }))} />
      </Box>
      <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "repeat(2, minmax(0, 1fr))" } }}>
        {DRAWN.map((measure) => (
          <Box key={measure} sx={{ ...card, p: 4, minWidth: 0 }}>
            <LevelChart title={t(`benchmark.measures.${measure}`)} lines={linesOf(benchmarks, measure, part)} axis={t("benchmark.atOnce")} write={write(measure)} />
          </Box>
        ))}
      </Box>
      <Box tabIndex={0} role="region" aria-label={t("benchmark.table")} sx={{ ...card, overflowX: "auto" }}>
        <Box component="table" sx={{ borderCollapse: "collapse", width: 1, fontSize: 13, "& th, & td": { px: 3, py: 2, textAlign: "right", whiteSpace: "nowrap", borderTop: 1, borderColor: "divider" }, "& thead th": { borderTop: 0, color: "text.faint", fontWeight: 550 }, "& th:first-of-type": { textAlign: "left", fontWeight: 520 } }}>
          <thead>
            <tr>
              <th scope="col">{t("benchmark.model")}</th>
              <th scope="col">{t("benchmark.atOnce")}</th>
              <th scope="col">{t("benchmark.answered")}</th>
              {hasGoals && <th scope="col">{t("benchmark.good")}</th>}
              {MEASURES.map((measure) => <th key={measure} scope="col">{SHORT[measure] ?? t(`benchmark.columns.${measure as "output_throughput" | "request_throughput"}`)}</th>)}
            </tr>
          </thead>
          <tbody>
            {stages.map(({ benchmark, stage }) => (
              <tr key={`${benchmark.id}${stage.model}${stage.concurrency}`}>
                <th scope="row">{benchmarks.length > 1 ? `${stage.model} · ${nameOf(benchmark)}` : stage.model}</th>
                <td>{stage.concurrency}</td>
                <Box component="td" sx={{ color: stage.figures.failed ? "error.main" : undefined }}>{`${stage.figures.completed}/${stage.figures.completed + stage.figures.failed}`}</Box>
                {hasGoals && <td>{typeof stage.figures.goodput === "number" ? percent.format(stage.figures.goodput) : "–"}</td>}
                {MEASURES.map((measure) => { const value = valueOf(stage, measure, part); return <td key={measure}>{value === null ? "–" : write(measure)(value)}</td>; })}
              </tr>
            ))}
          </tbody>
        </Box>
      </Box>
      {broken && <Typography variant="body2" sx={{ color: "error.main" }}>{`${broken.stage.model}: ${broken.stage.figures.error}`}</Typography>}
    </Box>
  );
}
