import { Box, Button, IconButton, Tooltip, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { SlidersHorizontal, Square, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";

import { useComplain, useDeleteJob, useRetryJob } from "@/api/actions";
import { previews } from "@/api/cache";
import { queries } from "@/api/queries";
import type { JobOut } from "@/api/types";
import { awaited, hasEnded, phaseOf } from "@/lib/jobs";
import { duration } from "@/lib/numbers";
import { useSignal } from "@/lib/signal";
import { Ago } from "@/ui/Ago";
import { ErrorNote } from "@/ui/ErrorNote";
import { JobLine } from "@/ui/JobLine";
import { StatusMark } from "@/ui/StatusMark";

import { againFrom } from "./again";
import { asked } from "./asked";
import { SetupNote } from "./SetupNote";
import { Tile } from "./Tile";
import { hide, justAsked } from "./useGenerate";

/** So much of a card is seen at least, in CSS pixels. */
const LEAST = 400;
const WIDEST: Record<number, number> = { 1: 480, 2: 820 };

export function RunCard({ job }: { job: JobOut }) {
  const { t } = useTranslation();
  const stop = useDeleteJob();
  const retry = useRetryJob();
  const system = useQuery(queries.system());
  const seen = useSignal(previews).get(job.id);
  const root = useRef<HTMLElement>(null);
  useEffect(() => {
    const card = root.current;
    // As far as needed to see it being made: a picture to start from, or a phone, leaves no room for it below the form.
    if (justAsked(job.id) && card && card.getBoundingClientRect().top > window.innerHeight - LEAST) card.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }, [job.id]);
  const ended = hasEnded(job);
  const { count, task, ...request } = asked(job);
  // What needs no words is called by what is done.
  const title = request.prompt || (task ? t(`task.names.${task}`) : job.title);
  const software = awaited(job, system.data?.environments);
  const setup = software?.state === "building" ? software : null;
  const broken = software?.state === "failed" || (software?.state === "missing" && !software.job_id) ? software : undefined;
  const status = phaseOf(job);
  const aspect = request.width && request.height ? request.width / request.height : 1;
  const pictures = job.status !== "failed" && (job.status !== "cancelled" || job.images.length > 0);
  return (
    <Box component="article" ref={root} aria-label={title} data-job={job.id} data-status={job.status} sx={{ minWidth: 0, scrollMarginBottom: { xs: 80, sm: 24 } }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3, mb: 3, minWidth: 0, minHeight: 34 }}>
        <Typography sx={{ fontWeight: 550, minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }} title={title}>{title}</Typography>
        <Typography variant="caption" component="div" sx={{ color: "text.faint", whiteSpace: "nowrap", display: { xs: "none", sm: "block" } }}>
          {[task && request.prompt && t(`task.names.${task}`), request.model, request.width && `${request.width} × ${request.height}`].filter(Boolean).map((fact) => `${fact} · `)}<Ago time={job.created_at} />
        </Typography>
        <Box sx={{ ml: "auto", display: "flex", alignItems: "center", gap: 2, flexShrink: 0 }}>
          {status !== "completed" && <StatusMark status={status} />}
          {ended ? (
            <Tooltip title={t("generate.dismiss")}>
              <IconButton size="small" aria-label={t("generate.dismiss")} onClick={() => hide(job.id)}><X size={16} /></IconButton>
            </Tooltip>
          ) : (
            <Button size="small" color="inherit" variant="outlined" startIcon={<Square size={12} />} disabled={job.cancel_requested || stop.isPending} onClick={() => stop.mutate({ id: job.id, ended: false })}>
              {job.cancel_requested ? t("generate.cancelling") : t("generate.cancel")}
            </Button>
          )}
        </Box>
      </Box>
      {broken && <Box sx={{ mb: 3 }}><SetupNote environment={broken} /></Box>}
      {!ended && !broken && <Box sx={{ mb: 3, maxWidth: WIDEST[count] ?? "none" }}><JobLine job={{ ...job, title }} setup={setup} /></Box>}
      {job.status === "completed" && job.started_at && job.finished_at && (
        // As high as the line that stood here while it ran: nothing moves when it is done.
        <Typography component="p" sx={{ mb: 3, pt: "12px", fontSize: 13, color: "text.faint" }}>{t("generate.took", { time: duration((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000) })}</Typography>
      )}
      {job.status === "failed" && job.error && (
        <ErrorNote
          title={t("generate.failedTitle")}
          error={job.error}
          details={[`${job.error.code}: ${job.error.message}`, `job ${job.id}, attempt ${job.attempt}`, job.error.log_tail].filter(Boolean).join("\n")}
          onRetry={() => retry.mutate(job.id)}
          retrying={retry.isPending}
        >
          <Differently job={job} />
        </ErrorNote>
      )}
      {job.status === "cancelled" && job.images.length === 0 && (
        <Box sx={{ display: "flex", flexWrap: "wrap", gap: 2 }}>
          <Button size="small" variant="outlined" color="inherit" onClick={() => retry.mutate(job.id)} disabled={retry.isPending}>{t("common.retry")}</Button>
          <Differently job={job} />
        </Box>
      )}
      {pictures && (
        <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: `repeat(${Math.min(2, count)}, minmax(0, 1fr))`, sm: `repeat(${Math.min(4, count)}, minmax(0, 1fr))` }, maxWidth: WIDEST[count] ?? 1240 }}>
          {Array.from({ length: count }, (_, index) => (
            <Tile
              key={index}
              number={index + 1}
              aspect={aspect}
              image={job.images.find((image) => image.index === index)}
              preview={seen?.get(index)}
              progress={job.progress}
              state={ended ? "ended" : job.status === "running" && !job.waiting ? "making" : "waiting"}
              prompt={title}
            />
          ))}
        </Box>
      )}
    </Box>
  );
}

/** Fills the form with what was asked, to ask for it otherwise. */
function Differently({ job }: { job: JobOut }) {
  const { t } = useTranslation();
  const complain = useComplain();
  const fill = async () => {
    await againFrom(job).catch(complain);
    window.scrollTo({ top: 0, behavior: "smooth" });
  };
  return <Button size="small" variant="outlined" color="inherit" startIcon={<SlidersHorizontal size={14} aria-hidden />} onClick={() => void fill()}>{t("generate.differently")}</Button>;
}
