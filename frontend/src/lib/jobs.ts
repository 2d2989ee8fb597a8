/**
 * What may follow what. A job's progress never goes backwards within an attempt, and nothing but a retry follows an end:
 *
 *     queued ──> running ──> completed | failed | cancelled ──retry──> queued
 */

/** Which sentence of the server's a message is. */
interface Said { code: string; params: Record<string, unknown> }

interface JobState {
  status: "queued" | "running" | "completed" | "failed" | "cancelled";
  attempt: number;
  progress: number;
  step: number;
}

export function hasEnded(job: Pick<JobState, "status">): boolean {
  return job.status === "completed" || job.status === "failed" || job.status === "cancelled";
}

export type Phase = JobState["status"] | "cancelling";

/** Where a job stands in a word. Taken up but held back for want of memory or software is waiting, not running. */
export function phaseOf(job: Pick<JobState, "status"> & { cancel_requested: boolean; waiting: { reason: string } | null }): Phase {
  if (hasEnded(job)) return job.status;
  if (job.cancel_requested) return "cancelling";
  return job.waiting && job.waiting.reason !== "model" ? "queued" : job.status;
}

/** Of a job that waits for its engine's software, that software's environment; the others are none of its business. */
export function awaited<E extends { name: string }>(
  job: { waiting: { reason: string; said?: Said | null } | null }, environments: E[] | undefined,
): E | undefined {
  if (job.waiting?.reason !== "environment") return undefined;
  return environments?.find((item) => item.name === job.waiting?.said?.params.engine);
}

/** The newer of what is known and what just arrived; late news about an ended attempt is ignored. */
export function mergeJob<J extends JobState>(known: J | undefined, news: J): J {
  if (!known) return news;
  if (news.attempt < known.attempt) return known;
  if (hasEnded(known) && news.attempt === known.attempt && news.status === "running") return known;
  if (news.status === "running" && known.status === "running" && news.attempt === known.attempt && news.progress < known.progress) {
    return { ...news, progress: known.progress, step: Math.max(known.step, news.step) };
  }
  return news;
}

export interface Progress {
  attempt: number;
  progress: number;
  step: number;
  total_steps: number;
  message?: string | null;
  said?: Said | null;
  eta_seconds?: number | null;
}

/** `job` with `progress` applied, or the same object when the news is late. */
export function advance<J extends JobState & { total_steps: number; message: string | null; said?: Said | null; eta_seconds: number | null; waiting: unknown }>(
  job: J, progress: Progress,
): J {
  if (hasEnded(job) || progress.attempt < job.attempt) return job;
  const sameAttempt = progress.attempt === job.attempt;
  return {
    ...job,
    status: "running",
    waiting: null,
    attempt: progress.attempt,
    progress: sameAttempt ? Math.max(job.progress, progress.progress) : progress.progress,
    step: sameAttempt ? Math.max(job.step, progress.step) : progress.step,
    total_steps: progress.total_steps,
    message: progress.message ?? null,
    said: progress.said ?? null,
    eta_seconds: progress.eta_seconds ?? null,
  };
}
