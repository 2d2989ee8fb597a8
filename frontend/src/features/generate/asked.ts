/** What a job for pictures makes: as asked, and where nothing was asked, as the server decided (`request.resolved`). */
import type { JobOut } from "@/api/types";

import type { Task } from "./tasks";

export interface Asked { prompt?: string; model?: string; width?: number; height?: number; count: number; task: Task | null }

type Wanted = Omit<Asked, "count" | "task"> & { num_outputs?: number; task?: string };

/** The server's names for what is done with a picture. */
export const TASK_OF: Record<string, Task> = { image_to_image: "change", inpaint: "inpaint", outpaint: "outpaint", upscale: "upscale", image_to_video: "animate" };

export function asked(job: Pick<JobOut, "request" | "images">): Asked {
  const request = job.request as Wanted & { resolved?: Partial<Wanted> & { seeds?: number[] } };
  const { prompt, model, width, height, task = "" } = { ...request, ...request.resolved };
  // One seed for each picture.
  const count = request.resolved?.seeds?.length ?? request.num_outputs ?? Math.max(1, job.images.length);
  return { prompt, model, width, height, count, task: TASK_OF[task] ?? null };
}
