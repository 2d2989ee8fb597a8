/** What a job for pictures makes: as asked, and where nothing was asked, as the server decided (`request.resolved`). */
import type { JobOut } from "@/api/types";

export interface Asked { prompt?: string; model?: string; width?: number; height?: number; count: number }

type Wanted = Omit<Asked, "count"> & { num_outputs?: number };

export function asked(job: Pick<JobOut, "request" | "images">): Asked {
  const request = job.request as Wanted & { resolved?: Partial<Wanted> & { seeds?: number[] } };
  const { prompt, model, width, height } = { ...request, ...request.resolved };
  // One seed for each picture.
  const count = request.resolved?.seeds?.length ?? request.num_outputs ?? Math.max(1, job.images.length);
  return { prompt, model, width, height, count };
}
