import { Box, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { Gauge } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { ButtonLink } from "@/ui/links";
import { card, PageHead } from "@/ui/Section";

import { BenchmarkRow } from "./BenchmarkRow";
import { Comparison } from "./Comparison";
import { NewBenchmark } from "./NewBenchmark";

/** How fast chat models answer, at how many requests at once: measured, kept, compared. */
export function BenchmarkPage() {
  const { t } = useTranslation();
  const list = useQuery(queries.benchmarks());
  const [chosen, setChosen] = useState<ReadonlySet<string> | null>(null);
  const all = list.data ?? [];
  // The newest, until somebody chooses.
  const shown = all.filter((one) => (chosen ? chosen.has(one.id) : one === all[0]));
  const toggle = (id: string) => {
    const next = new Set(shown.map((one) => one.id));
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const problem = list.isError && !list.data ? asProblem(list.error) : null;
  return (
    <>
      <PageHead title={t("benchmark.title")} note={t("benchmark.note")}>
        <ButtonLink color="inherit" variant="outlined" size="small" to="/chat">{t("nav.chat")}</ButtonLink>
      </PageHead>
      <Box sx={{ mt: 4, display: "grid", gap: 6, gridTemplateColumns: "minmax(0, 1fr)" }}>
        <NewBenchmark onBegun={() => setChosen(null)} />
        {problem && <ErrorNote title={t("benchmark.unreadable")} error={problem} details={problem.details} onRetry={() => void list.refetch()} />}
        {list.isPending && <Skeleton variant="rectangular" height={260} />}
        {list.isSuccess && all.length === 0 && <EmptyState art={<Gauge size={44} strokeWidth={1.2} />} title={t("benchmark.emptyTitle")} text={t("benchmark.emptyText")} />}
        {all.length > 0 && <Comparison benchmarks={shown} />}
        {all.length > 0 && (
          <Box component="section">
            <Typography variant="h3" component="h2" sx={{ mb: 3 }}>{t("benchmark.kept")}</Typography>
            <Box component="ul" aria-label={t("benchmark.kept")} sx={{ ...card, m: 0, p: 0, listStyle: "none", overflow: "hidden" }}>
              {all.map((one) => <BenchmarkRow key={one.id} benchmark={one} shown={shown.includes(one)} onToggle={() => toggle(one.id)} />)}
            </Box>
          </Box>
        )}
      </Box>
    </>
  );
}
