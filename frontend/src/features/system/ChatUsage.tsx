import { Box, Skeleton } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { UsageList } from "@/api/types";
import { compact } from "@/lib/models";
import { decimal } from "@/lib/numbers";
import { DayChart } from "@/ui/DayChart";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { card, Section } from "@/ui/Section";
import { Segmented } from "@/ui/Segmented";

import { daysOf, sumOf } from "./usage";

const RANGES = [7, 30, 90] as const;

/** What was asked of chat models, by the page and by programs: one's own; administrators see everybody's. */
export function ChatUsage() {
  const { t } = useTranslation();
  const [days, setDays] = useState<number>(30);
  const found = useQuery(queries.chatUsage(days));
  const problem = found.isError ? asProblem(found.error) : null;
  return (
    <Section
      title={t("usage.title")}
      text={t("usage.text")}
      aside={<Box sx={{ width: 204, "& [role=radio]": { whiteSpace: "nowrap" } }}><Segmented label={t("machine.range")} value={days} onChange={setDays} options={RANGES.map((value) => ({ value, label: t("usage.days", { count: value }) }))} /></Box>}
    >
      {problem && !found.data && <ErrorNote title={t("usage.failed")} error={problem} details={problem.details} onRetry={() => void found.refetch()} />}
      {found.isPending && <Skeleton variant="rectangular" height={300} />}
      {found.data && (found.data.items.length === 0
        ? <Box sx={card}><EmptyState title={t("usage.emptyTitle")} text={t("usage.emptyText", { count: days })} /></Box>
        : <Box sx={{ ...card, overflow: "hidden" }}><Days data={found.data} days={days} /><Models data={found.data} /></Box>)}
    </Section>
  );
}

function Days({ data, days }: { data: UsageList; days: number }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => decimal(value, 0, i18n.language);
  const day = new Intl.DateTimeFormat(i18n.language, { day: "numeric", month: "short", timeZone: "UTC" });
  const each = daysOf(data.days, days);
  const all = sumOf(data.days);
  return (
    <Box sx={{ p: 4 }}>
      <DayChart
        label={t("usage.chart")}
        whole={t("usage.days", { count: days })}
        days={each.map((one) => ({ key: one.day, name: day.format(new Date(one.day)), values: [one.prompt, one.completion], aside: one.requests }))}
        parts={[t("usage.prompt"), t("usage.completion")]}
        sums={[all.prompt, all.completion, all.requests]}
        aside={t("usage.requests")}
        write={number}
        top={(value) => compact(value, i18n.language)}
      />
    </Box>
  );
}

function Models({ data }: { data: UsageList }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => decimal(value, 0, i18n.language);
  const several = new Set(data.items.map((one) => one.owner)).size > 1;
  const rows = [...data.items].sort((one, other) => other.prompt_tokens + other.completion_tokens - one.prompt_tokens - one.completion_tokens || other.requests - one.requests);
  return (
    <Box tabIndex={0} role="region" aria-label={t("usage.table")} sx={{ overflowX: "auto", borderTop: 1, borderColor: "divider" }}>
      <Box component="table" sx={{ borderCollapse: "collapse", width: 1, fontSize: 13, "& th, & td": { px: { xs: "7px", sm: 4 }, py: 2, textAlign: "right", whiteSpace: "nowrap", borderTop: 1, borderColor: "divider" }, "& thead th": { borderTop: 0, color: "text.faint", fontWeight: 550 }, "& th:first-of-type": { pl: 4 }, "& td:last-of-type, & th:last-of-type": { pr: 4 }, "& th:first-of-type, & td.who": { textAlign: "left" }, "& tbody th": { fontWeight: 520 } }}>
        <thead>
          <tr>
            <th scope="col">{t("benchmark.model")}</th>
            {several && <Box component="th" scope="col" sx={{ textAlign: "left !important" }}>{t("usage.who")}</Box>}
            <th scope="col">{t("usage.requests")}</th>
            <th scope="col">{t("usage.failedOnes")}</th>
            <th scope="col">{t("usage.prompt")}</th>
            <th scope="col">{t("usage.completion")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((one) => (
            <tr key={`${one.owner} ${one.model}`}>
              <th scope="row">{one.model}</th>
              {several && <td className="who">{one.name}</td>}
              <td>{number(one.requests)}</td>
              <Box component="td" sx={{ color: one.failed ? "error.main" : "text.faint" }}>{number(one.failed)}</Box>
              <td>{number(one.prompt_tokens)}</td>
              <td>{number(one.completion_tokens)}</td>
            </tr>
          ))}
        </tbody>
      </Box>
    </Box>
  );
}
