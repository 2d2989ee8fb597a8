import { Box, Typography } from "@mui/material";
import { Fragment } from "react";
import { useTranslation } from "react-i18next";

import { useSaid, type Sentence } from "@/i18n/said";
import { bytes, duration, percent } from "@/lib/numbers";

import { Bar } from "./Bar";

export interface LineJob {
  title: string;
  status: "queued" | "running" | "completed" | "failed" | "cancelled";
  progress: number;
  kind?: string;
  step: number;
  total_steps: number;
  position: number | null;
  message: string | null;
  said?: Sentence["said"];
  eta_seconds: number | null;
  waiting: { reason: "queue" | "environment" | "memory" | "model"; message: string; said?: Sentence["said"] } | null;
  attempt: number;
  cancel_requested: boolean;
}

/** Where long work stands, always in the same words: a bar, the step, the time left, and while it waits, for what. */
export function JobLine({ job, setup }: { job: LineJob; setup?: { fraction: number | null; message: string | null; said?: Sentence["said"] } | null }) {
  const { t, i18n } = useTranslation();
  const said = useSaid();
  const waits = useWaitingWords(job);
  const settingUp = job.waiting?.reason === "environment" && setup;
  const value = settingUp ? setup.fraction : waits ? (job.status === "queued" ? 0 : null) : job.step === 0 && job.progress === 0 ? null : job.progress;
  const left = job.eta_seconds === null ? null : job.eta_seconds < 1 ? t("progress.almost") : t("progress.eta", { time: duration(job.eta_seconds) });
  const words = (waits
    ? [job.waiting?.reason !== "model" && waits, settingUp && setup.fraction !== null && percent(setup.fraction, i18n.language), settingUp ? said(setup).text : job.waiting && job.waiting.reason !== "queue" && said(job.waiting).text]
    : [said({ message: job.message, said: job.said }).text || (job.step > 0 ? job.kind === "model.download" ? t("models.download.bytes", { done: bytes(job.step * 1024, i18n.language), total: bytes(job.total_steps * 1024, i18n.language) }) : t("progress.step", { step: job.step, total: job.total_steps }) : t("progress.starting")), left]).filter(Boolean);
  return (
    <Box sx={{ display: "grid", gap: 2, minWidth: 0 }}>
      <Bar value={value} label={job.title} tone={waits ? "text.faint" : "primary.main"} />
      <Box sx={{ display: "flex", gap: 3, fontSize: 13, color: "text.secondary", minWidth: 0 }}>
        {/* On a phone always two lines: a row that grows with its numbers moves all below it. */}
        <Box component="span" sx={{ minWidth: 0, minHeight: { xs: "2lh", sm: 0 }, overflow: "hidden", textOverflow: "ellipsis", display: "-webkit-box", WebkitLineClamp: 2, WebkitBoxOrient: "vertical", overflowWrap: "anywhere" }}>
          {waits ? words.join(" · ") : words.map((each, at) => <Fragment key={at}>{at > 0 && <><Box component="span" sx={{ display: { xs: "none", sm: "inline" } }}> · </Box><Box component="br" sx={{ display: { sm: "none" } }} /></>}{each}</Fragment>)}
        </Box>
        {job.attempt > 1 && <Box component="span" sx={{ color: "text.faint", whiteSpace: "nowrap" }}>{t("progress.attempt", { count: job.attempt })}</Box>}
        {!waits && job.progress > 0 && <Typography variant="mono" sx={{ ml: "auto", fontSize: 13, whiteSpace: "nowrap" }}>{percent(job.progress, i18n.language)}</Typography>}
      </Box>
      {settingUp && <Typography variant="caption" sx={{ color: "text.faint" }}>{t("progress.environmentOnce")}</Typography>}
    </Box>
  );
}

/** What a job waits for, in a few words; null when it runs. */
export function useWaitingWords(job: LineJob): string | null {
  const { t } = useTranslation();
  switch (job.waiting?.reason) {
    case "environment":
      return t("progress.waitsEnvironment");
    case "memory":
      return t("progress.waitsMemory");
    case "model":
      return t("progress.waitsModel");
    default:
      if (job.status !== "queued" && job.waiting === null) return null;
      if (job.position === null) return t("progress.waitsQueue");
      return job.position <= 1 ? t("progress.next") : t("progress.position", { position: job.position });
  }
}
