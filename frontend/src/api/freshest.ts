/** The last word on each job, so that an answer asked for before an event cannot overwrite what the event said. */
import { mergeJob } from "@/lib/jobs";

import type { JobOut } from "./types";

const lastWords = new Map<string, { job: JobOut; at: number }>();
const REMEMBERED = 500;

export function remember(job: JobOut): void {
  lastWords.delete(job.id);
  lastWords.set(job.id, { job, at: performance.now() });
  if (lastWords.size > REMEMBERED) lastWords.delete(lastWords.keys().next().value as string);
}

export function forget(id?: string): void {
  if (id === undefined) lastWords.clear();
  else lastWords.delete(id);
}

export function lastWord(id: string): JobOut | undefined {
  return lastWords.get(id)?.job;
}

/** The jobs of which an event told since `asked`, newest first: an answer to a request of then may not know them. */
export function heardSince(asked: number): JobOut[] {
  return [...lastWords.values()].filter((word) => word.at >= asked).map((word) => word.job).reverse();
}

/** `job` as answered to a request made at `asked`, unless a later event knows better. */
export function freshest(job: JobOut, asked: number): JobOut {
  const known = lastWords.get(job.id);
  if (known && known.at >= asked) return mergeJob(job, known.job);
  return job;
}
