import { Box, Button, Collapse, Divider, Drawer, IconButton, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ChevronDown, Download, RotateCcw, SlidersHorizontal, Square, Trash2, X } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useDeleteJob, useRetryJob } from "@/api/actions";
import { asProblem } from "@/api/errors";
import { gridAgain, plannedGrid } from "@/api/grids";
import { queries } from "@/api/queries";
import type { GridIn, JobOut } from "@/api/types";
import { titleOf, useSaid } from "@/i18n/said";
import { batchFile } from "@/lib/batches";
import { hasEnded, phaseOf } from "@/lib/jobs";
import { duration } from "@/lib/numbers";
import { Ago } from "@/ui/Ago";
import { CopyButton } from "@/ui/CopyButton";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote, LogBlock } from "@/ui/ErrorNote";
import { Facts } from "@/ui/Section";
import { StatusMark } from "@/ui/StatusMark";
import { BoxLink, ButtonLink } from "@/ui/links";

import { RowProgress } from "./JobRow";

const route = getRouteApi("/jobs/$id");

export function JobDrawer() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const go = route.useNavigate();
  const job = useQuery({ ...queries.job(id), retry: false });
  const close = () => void go({ to: "/jobs", search: (old) => old, resetScroll: false });
  const problem = job.isError ? asProblem(job.error) : null;
  return (
    <Drawer anchor="right" open onClose={close} slotProps={{ paper: { "aria-label": t("jobs.drawer"), role: "dialog", sx: { width: { xs: 1, sm: 480 }, maxWidth: 1, borderLeft: { sm: 1 }, borderColor: { sm: "divider" } } } }}>
      <Box sx={{ display: "flex", alignItems: "center", px: 6, height: 56, borderBottom: 1, borderColor: "divider", flexShrink: 0 }}>
        <Typography variant="h3" component="h2" sx={{ flex: 1 }}>{t("jobs.drawer")}</Typography>
        <IconButton aria-label={t("common.close")} onClick={close} edge="end"><X size={19} /></IconButton>
      </Box>
      <Box sx={{ overflow: "auto", p: 6 }}>
        {job.data && <Details job={job.data} onRemoved={close} />}
        {job.isPending && <Skeleton variant="rectangular" height={220} />}
        {!job.data && problem && (problem.status === 404 ? <EmptyState title={t("jobs.missingTitle")} text={t("jobs.missingText")} /> : <ErrorNote title={t("jobs.failed")} error={problem} details={problem.details} onRetry={() => void job.refetch()} />)}
      </Box>
    </Drawer>
  );
}

function Details({ job, onRemoved }: { job: JobOut; onRemoved: () => void }) {
  const { t } = useTranslation();
  useSaid();
  const remove = useDeleteJob();
  const retry = useRetryJob();
  const ended = hasEnded(job);
  const took = job.started_at && job.finished_at ? (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000 : null;
  const time = (value: string) => <Ago time={value} />;
  return (
    <Box sx={{ display: "grid", gap: 6, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Box>
        <Typography variant="h2" component="p" sx={{ fontSize: 16, lineHeight: 1.45 }}>{titleOf(job)}</Typography>
        <Box sx={{ mt: 2 }}><StatusMark status={phaseOf(job)} /></Box>
      </Box>
      {!ended && <RowProgress job={job} />}
      <Box sx={{ display: "flex", gap: 2, flexWrap: "wrap" }}>
        {!ended && <Button variant="outlined" color="inherit" startIcon={<Square size={13} />} disabled={job.cancel_requested || remove.isPending} onClick={() => remove.mutate({ id: job.id, ended })}>{t("jobs.cancel")}</Button>}
        {(job.status === "failed" || job.status === "cancelled") && <Button variant="contained" startIcon={<RotateCcw size={15} />} disabled={retry.isPending} onClick={() => retry.mutate(job.id)}>{t("jobs.retry")}</Button>}
        {ended && job.kind === "image.generate" && <ButtonLink variant="outlined" color="inherit" to="/" search={{ job: job.id }} startIcon={<SlidersHorizontal size={15} aria-hidden />}>{t("generate.differently")}</ButtonLink>}
        {ended && job.kind === "image.grid" && <Button variant="outlined" color="inherit" startIcon={<SlidersHorizontal size={15} aria-hidden />} onClick={() => plannedGrid.set(gridAgain(job.request as unknown as GridIn))}>{t("generate.differently")}</Button>}
        {ended && <Button variant="outlined" color="inherit" startIcon={<Trash2 size={15} />} disabled={remove.isPending} onClick={() => remove.mutate({ id: job.id, ended }, { onSuccess: onRemoved })}>{t("jobs.remove")}</Button>}
      </Box>
      {job.error && (
        <Box>
          <ErrorNote title={t("jobs.why")} error={job.error}>
            <CopyButton text={[`${job.error.code}: ${job.error.message}`, `job ${job.id}, attempt ${job.attempt}`, job.error.log_tail].filter(Boolean).join("\n")} label={t("common.copyDetails")} />
          </ErrorNote>
          {job.error.log_tail && <Fold title={t("jobs.log")}><LogBlock text={job.error.log_tail} /></Fold>}
        </Box>
      )}
      {typeof job.request.batch === "string" && <BatchFiles id={job.request.batch} />}
      {job.images.length > 0 && (
        <Box>
          <Typography variant="h4" component="h3" sx={{ mb: 2 }}>{t("jobs.seePictures")}</Typography>
          <Box sx={{ display: "grid", gridTemplateColumns: "repeat(4, 1fr)", gap: 2 }}>
            {job.images.map((image) => (
              <BoxLink key={image.id} to="/gallery/$id" params={{ id: image.id }} aria-label={t("generate.picture", { number: image.index + 1 })} sx={{ borderRadius: "8px" }}>
                <Box component="img" src={image.thumbnail_url} alt="" sx={{ display: "block", width: 1, aspectRatio: "1", objectFit: "cover", borderRadius: "8px" }} />
              </BoxLink>
            ))}
          </Box>
        </Box>
      )}
      <Divider />
      <Facts
        facts={[
          [t("jobs.kind"), t(`jobs.kinds.${job.kind}`)],
          [t("jobs.created"), time(job.created_at)],
          ...(job.started_at ? [[t("jobs.started"), time(job.started_at)] as [string, ReactNode]] : []),
          ...(job.finished_at ? [[t("jobs.finished"), time(job.finished_at)] as [string, ReactNode]] : []),
          ...(took === null ? [] : [[t("jobs.took"), duration(took)] as [string, ReactNode]]),
          ...(job.attempt > 0 ? [[t("jobs.attempt"), job.attempt] as [string, ReactNode]] : []),
          [t("jobs.id"), <Box key="id" sx={{ display: "flex", alignItems: "center", my: "-5px" }}><Typography variant="mono" noWrap>{job.id}</Typography><CopyButton text={job.id} /></Box>],
        ]}
      />
      <Fold title={t("jobs.request")}><LogBlock text={JSON.stringify(job.request, null, 2)} /></Fold>
    </Box>
  );
}

/** What a batch has answered so far. */
function BatchFiles({ id }: { id: string }) {
  const { t } = useTranslation();
  return (
    <Box sx={{ display: "flex", gap: 2, flexWrap: "wrap" }}>
      <Button variant="outlined" color="inherit" startIcon={<Download size={15} />} href={batchFile(id, "output")} download>{t("batches.answers")}</Button>
      <Button variant="outlined" color="inherit" startIcon={<Download size={15} />} href={batchFile(id, "errors")} download>{t("batches.errors")}</Button>
      <ButtonLink color="inherit" to="/jobs/batches">{t("batches.all")}</ButtonLink>
    </Box>
  );
}

function Fold({ title, children }: { title: string; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <Box>
      <Button size="small" color="inherit" aria-expanded={open} onClick={() => setOpen(!open)} endIcon={<Box component={ChevronDown} size={15} sx={{ rotate: open ? "180deg" : 0 }} />} sx={{ ml: -2, mt: 2 }}>{title}</Button>
      <Collapse in={open} unmountOnExit>{children}</Collapse>
    </Box>
  );
}
