import { Box, IconButton, Tooltip, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { ListTodo, PackageOpen, RotateCcw, Sparkles, Square, Trash2 } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useDeleteJob, useRetryJob } from "@/api/actions";
import { queries } from "@/api/queries";
import type { JobOut } from "@/api/types";
import { titleOf, useSaid } from "@/i18n/said";
import { awaited, hasEnded, phaseOf } from "@/lib/jobs";
import { duration } from "@/lib/numbers";
import { Ago } from "@/ui/Ago";
import { JobLine } from "@/ui/JobLine";
import { StatusMark } from "@/ui/StatusMark";
import { BoxLink } from "@/ui/links";

export function JobRow({ job, reachable, onFocus }: { job: JobOut; reachable: boolean; onFocus: () => void }) {
  const { t } = useTranslation();
  const said = useSaid();
  const remove = useDeleteJob();
  const retry = useRetryJob();
  const ended = hasEnded(job);
  const took = job.started_at && job.finished_at ? (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000 : null;
  return (
    <Box component="li" data-job={job.id} data-status={job.status} sx={{ position: "relative", display: "flex", alignItems: "center", gap: 4, px: 4, py: 3, minHeight: 68, borderTop: 1, borderColor: "divider", "&:first-of-type": { borderTop: 0 }, "&:hover": { bgcolor: "action.hover" } }}>
      <Picture job={job} />
      <Box sx={{ flex: 1, minWidth: 0, display: "grid", rowGap: 2, gridTemplateColumns: { xs: "minmax(0,1fr)", md: ended ? "minmax(0,1fr)" : "minmax(0,1fr) minmax(220px, 340px)" }, columnGap: 6, alignItems: "center" }}>
        <Box sx={{ minWidth: 0 }}>
          {/* The link covers the row, so that all of it opens the details; buttons lie above it. */}
          <BoxLink to="/jobs/$id" params={{ id: job.id }} search={(old: object) => old} resetScroll={false} data-row tabIndex={reachable ? 0 : -1} onFocus={onFocus} sx={{ display: "block", color: "text.primary", textDecoration: "none", fontWeight: 520, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", "&::after": { content: '""', position: "absolute", inset: 0 }, "&:focus-visible": { outline: "none" }, "&:focus-visible::after": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: "-2px" } }}>
            {titleOf(job)}
          </BoxLink>
          <Typography variant="body2" component="div" sx={{ color: "text.faint", display: "flex", gap: 2, flexWrap: "wrap", "& > span + span::before": { content: '"·"', mr: 2 } }}>
            <Box sx={{ display: { sm: "none" } }}><StatusMark status={phaseOf(job)} /></Box>
            <Box component="span" sx={{ "@media (max-width: 599.9px)": { display: "none" } }}>{t(`jobs.kinds.${job.kind}`)}</Box>
            <span><Ago time={job.created_at} /></span>
            {took !== null && <Box component="span" sx={{ "@media (max-width: 599.9px)": { display: "none" } }}>{duration(took)}</Box>}
          </Typography>
          {job.status === "failed" && job.error && <Typography variant="body2" sx={{ color: "error.main", mt: "2px" }}>{said(job.error).text}</Typography>}
        </Box>
        {!ended && <RowProgress job={job} />}
      </Box>
      <Box sx={{ width: { sm: 104 }, ml: 2, display: { xs: "none", sm: "block" } }}><StatusMark status={phaseOf(job)} /></Box>
      <Box sx={{ position: "relative", display: "flex", justifyContent: "flex-end", width: { sm: 68 }, ml: -2 }}>
        {(job.status === "failed" || job.status === "cancelled") && <Act label={t("jobs.retry")} onClick={() => retry.mutate(job.id)} busy={retry.isPending}><RotateCcw size={16} /></Act>}
        {ended ? <Act label={t("jobs.remove")} onClick={() => remove.mutate({ id: job.id, ended })} busy={remove.isPending}><Trash2 size={16} /></Act> : <Act label={t("jobs.cancel")} onClick={() => remove.mutate({ id: job.id, ended })} busy={remove.isPending || job.cancel_requested}><Square size={15} /></Act>}
      </Box>
    </Box>
  );
}

export function RowProgress({ job }: { job: JobOut }) {
  const system = useQuery(queries.system());
  const software = awaited(job, system.data?.environments);
  return <JobLine job={{ ...job, title: titleOf(job) }} setup={software?.state === "building" ? software : null} />;
}

function Picture({ job }: { job: JobOut }) {
  const first = job.images[0];
  const box = { width: 44, height: 44, borderRadius: "8px", flexShrink: 0 } as const;
  if (first) return <Box component="img" src={first.thumbnail_url} alt="" loading="lazy" sx={{ ...box, objectFit: "cover" }} />;
  const Icon = { "environment.build": PackageOpen, batch: ListTodo }[job.kind as string] ?? Sparkles;
  return <Box sx={{ ...box, display: "grid", placeItems: "center", bgcolor: "background.sunken", color: "text.faint" }}><Icon size={18} strokeWidth={1.7} aria-hidden /></Box>;
}

function Act({ label, onClick, busy, children }: { label: string; onClick: () => void; busy: boolean; children: ReactNode }) {
  return (
    <Tooltip title={label}>
      <span><IconButton aria-label={label} onClick={onClick} disabled={busy} size="small">{children}</IconButton></span>
    </Tooltip>
  );
}
