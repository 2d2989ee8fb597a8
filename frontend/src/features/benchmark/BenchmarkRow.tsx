import { Box, Button, Checkbox, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download, Square, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useComplain, useDeleteJob } from "@/api/actions";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { queries } from "@/api/queries";
import type { BenchmarkOut } from "@/api/types";
import { nameOf } from "@/lib/levels";
import { Ago } from "@/ui/Ago";
import { JobLine } from "@/ui/JobLine";
import { StatusMark } from "@/ui/StatusMark";

export function BenchmarkRow({ benchmark, shown, onToggle }: { benchmark: BenchmarkOut; shown: boolean; onToggle: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const stop = useDeleteJob();
  const [sure, setSure] = useState(false);
  const remove = useMutation({
    mutationFn: () => api.deleteBenchmark({ path: { benchmark_id: benchmark.id } }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.benchmarks }),
    onError: useComplain(),
  });
  const going = benchmark.status === "queued" || benchmark.status === "running";
  const name = nameOf(benchmark);
  const { settings } = benchmark;
  const file = (format: "csv" | "json") => `/api/chat/benchmarks/${benchmark.id}/export?format=${format}`;
  return (
    <Box component="li" data-benchmark={benchmark.id} data-status={benchmark.status} sx={{ display: "grid", gap: 3, p: 3, pr: 4, borderTop: 1, borderColor: "divider", "&:first-of-type": { borderTop: 0 } }}>
      <Box sx={{ display: "flex", gap: 2, flexWrap: "wrap", alignItems: "center" }}>
        <Checkbox size="small" checked={shown} onChange={onToggle} slotProps={{ input: { "aria-label": t("benchmark.show", { name }) } }} />
        <Box sx={{ flex: "1 1 220px", minWidth: 0 }}>
          <Typography noWrap sx={{ fontWeight: 520 }}>{name}</Typography>
          <Typography variant="body2" component="div" sx={{ color: "text.faint", "& > span + span::before": { content: '" · "' } }}>
            <span>{settings.models.join(", ")}</span>
            <span>{t("benchmark.sizes", { prompt: settings.prompt_tokens, answer: settings.output_tokens, count: settings.requests })}</span>
            <span><Ago time={benchmark.created_at} /></span>
          </Typography>
        </Box>
        <StatusMark status={benchmark.status} />
        <Box sx={{ display: "flex", gap: 2, flexWrap: "wrap" }}>
          {benchmark.stages.length > 0 && (["csv", "json"] as const).map((format) => <Button key={format} size="small" variant="outlined" color="inherit" startIcon={<Download size={14} />} href={file(format)} download aria-label={t("benchmark.export", { format: format.toUpperCase(), name })}>{format.toUpperCase()}</Button>)}
          {going && benchmark.job_id && <Button size="small" variant="outlined" color="inherit" startIcon={<Square size={12} />} disabled={stop.isPending} onClick={() => stop.mutate({ id: benchmark.job_id ?? "", ended: false }, { onSettled: () => client.invalidateQueries({ queryKey: keys.benchmarks }) })}>{t("jobs.cancel")}</Button>}
          {!going && <Button size="small" variant={sure ? "contained" : "outlined"} color={sure ? "error" : "inherit"} startIcon={<Trash2 size={14} />} disabled={remove.isPending} onBlur={() => setSure(false)} onClick={() => (sure ? remove.mutate() : setSure(true))}>{sure ? t("benchmark.sure") : t("common.delete")}</Button>}
        </Box>
      </Box>
      {going && benchmark.job_id && <Progress id={benchmark.job_id} name={name} />}
    </Box>
  );
}

function Progress({ id, name }: { id: string; name: string }) {
  const job = useQuery({ ...queries.job(id), refetchInterval: 2000 });
  return job.data ? <JobLine job={{ ...job.data, title: name }} /> : null;
}
