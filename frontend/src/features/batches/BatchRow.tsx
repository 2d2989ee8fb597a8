import { Box, Button, Typography } from "@mui/material";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Download, Square } from "lucide-react";
import { useTranslation } from "react-i18next";

import { useComplain } from "@/api/actions";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import type { BatchObject } from "@/api/types";
import { batchFile, isUnderWay } from "@/lib/batches";
import { Ago } from "@/ui/Ago";
import { Bar } from "@/ui/Bar";
import { Fold } from "@/ui/Fold";
import { TextLink } from "@/ui/links";
import { StatusMark, type Status } from "@/ui/StatusMark";

/** A batch as a job stands: what only batches know is said in words beside it. */
const MARKS: Record<BatchObject["status"], Status> = { validating: "queued", in_progress: "running", finalizing: "running", completed: "completed", failed: "failed", expired: "failed", cancelling: "cancelling", cancelled: "cancelled" };

export function BatchRow({ batch }: { batch: BatchObject }) {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => api.openaiCancelBatch({ path: { batch_id: batch.id } }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.batches }),
    onError: useComplain(),
  });
  const { total, completed, failed } = batch.request_counts;
  const going = isUnderWay(batch);
  const number = (value: number) => value.toLocaleString(i18n.language);
  const special = batch.status === "validating" || batch.status === "finalizing" || batch.status === "expired";
  return (
    <Box component="li" data-batch={batch.id} data-status={batch.status} sx={{ display: "grid", gap: 3, p: 4, borderTop: 1, borderColor: "divider", "&:first-of-type": { borderTop: 0 } }}>
      <Box sx={{ display: "flex", gap: 3, flexWrap: "wrap", alignItems: "center" }}>
        <Box sx={{ flex: "1 1 240px", minWidth: 0 }}>
          <Typography sx={{ fontWeight: 520 }} noWrap title={batch.input_filename}>{batch.input_filename}</Typography>
          <Typography variant="body2" component="div" sx={{ color: "text.faint", display: "flex", gap: 2, flexWrap: "wrap", "& > span + span::before": { content: '"·"', mr: 2 } }}>
            <span>{batch.endpoint.replace("/v1/", "")}</span>
            <span><Ago time={new Date(batch.created_at * 1000).toISOString()} /></span>
            <span><TextLink to="/jobs/$id" params={{ id: batch.job_id }} color="inherit">{t("batches.job")}</TextLink></span>
          </Typography>
        </Box>
        <StatusMark status={MARKS[batch.status]} />
        <Box sx={{ display: "flex", gap: 2, flexWrap: "wrap" }}>
          {completed > 0 && <Button size="small" variant="outlined" color="inherit" startIcon={<Download size={14} />} href={batchFile(batch.id, "output")} download>{t("batches.answers")}</Button>}
          {failed > 0 && <Button size="small" variant="outlined" color="inherit" startIcon={<Download size={14} />} href={batchFile(batch.id, "errors")} download>{t("batches.errors")}</Button>}
          {going && <Button size="small" variant="outlined" color="inherit" startIcon={<Square size={12} />} disabled={cancel.isPending || batch.status === "cancelling"} onClick={() => cancel.mutate()}>{t("batches.stop")}</Button>}
        </Box>
      </Box>
      {going && <Bar value={total ? (completed + failed) / total : null} label={batch.input_filename} />}
      {(total > 0 || special) && (
        <Typography variant="body2" sx={{ color: "text.secondary" }}>
          {[special && t(`batches.status.${batch.status as "validating" | "finalizing" | "expired"}`), total > 0 && t("batches.counts", { done: number(completed), count: total, total: number(total) }), failed > 0 && t("batches.failed", { count: failed }), batch.usage.total_tokens > 0 && t("batches.tokens", { count: batch.usage.total_tokens, shown: number(batch.usage.total_tokens) })].filter(Boolean).join(" · ")}
        </Typography>
      )}
      {batch.errors && (
        <Fold title={t("batches.wrong", { count: batch.errors.data.length })}>
          <Box component="ul" sx={{ m: 0, pl: 6, fontSize: 13, color: "text.secondary", maxHeight: 240, overflow: "auto" }} tabIndex={0}>
            {batch.errors.data.map((error, index) => <li key={index}>{error.line ? `${t("batches.line", { line: error.line })}: ` : ""}{error.message}</li>)}
          </Box>
        </Fold>
      )}
    </Box>
  );
}
