import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { jobChanged } from "@/api/cache";
import { asProblem, type ApiProblem } from "@/api/errors";
import { freshest } from "@/api/freshest";
import { getJob, imageToImage, imageToVideo, inpaint, outpaint, textToImage, upscale } from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import type { AcceptedOut, JobOut, ModelOut } from "@/api/types";
import { Attempts } from "@/lib/attempts";
import { Signal } from "@/lib/signal";

import { settings } from "./settings";
import { maskId, sentImage, source } from "./source";
import { taskForm, toWanted, type Wanted } from "./tasks";

function remembered(): string[] {
  try {
    return JSON.parse(sessionStorage.getItem("atelier.shown") ?? "[]") as string[];
  } catch {
    return [];
  }
}

/** Jobs whose results stay on this page: those begun in this tab. Running ones are shown wherever they were begun. */
export const shown = new Signal<readonly string[]>(remembered());
shown.subscribe(() => {
  try {
    sessionStorage.setItem("atelier.shown", JSON.stringify(shown.get()));
  } catch {
    // Without storage they stay as long as the page.
  }
});

export const show = (id: string) => shown.set((ids) => [id, ...ids.filter((other) => other !== id)].slice(0, 20));
/** What this form asked for last and nobody has been led to yet. */
let awaited: string | null = null;

/** Once, for the job that was just asked for from here: what it makes may lie below the window. */
export function justAsked(id: string): boolean {
  if (awaited !== id) return false;
  awaited = null;
  return true;
}

export const hide = (id: string) => shown.set((ids) => ids.filter((other) => other !== id));

const attempts = new Attempts();

/** What the form asks for now, with the picture and the mask known to the server. Null when the picture could not be sent. */
export async function wantedNow(model: ModelOut | undefined): Promise<Wanted | null> {
  const [job, picture] = [taskForm.get(), source.get()];
  const image = picture ? await sentImage() : "";
  if (image === null) return null;
  return toWanted(settings.get(), model, job, picture, image, picture && job.task === "inpaint" ? await maskId() : "");
}

function ask(wanted: Wanted, key: string): Promise<AcceptedOut> {
  const headers = { "idempotency-key": key };
  switch (wanted.path) {
    case "text-to-image":
      return textToImage({ body: wanted.body, headers });
    case "image-to-image":
      return imageToImage({ body: wanted.body, headers });
    case "inpaint":
      return inpaint({ body: wanted.body, headers });
    case "outpaint":
      return outpaint({ body: wanted.body, headers });
    case "upscale":
      return upscale({ body: wanted.body, headers });
    case "image-to-video":
      return imageToVideo({ body: wanted.body, headers });
  }
}

export function useGenerate(model: ModelOut | undefined) {
  const client = useQueryClient();
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const mutation = useMutation({
    mutationFn: async () => {
      const wanted = await wantedNow(model);
      if (!wanted) return; // The picture says why.
      const accepted = await ask(wanted, attempts.keyFor(wanted));
      attempts.answered();
      show(accepted.job_id);
      awaited = accepted.job_id;
      const asked = performance.now();
      jobChanged(client, freshest(await getJob({ path: { job_id: accepted.job_id } }), asked));
      // Should the list not have been read yet, it is now.
      if (!client.getQueryData<JobOut[]>(keys.recentJobs)) void client.invalidateQueries({ queryKey: keys.recentJobs });
    },
    onMutate: () => setProblem(null),
    onError: (error) => {
      const found = asProblem(error);
      if (found.status) attempts.answered();
      setProblem(found);
    },
  });
  return { send: () => mutation.mutate(), sending: mutation.isPending, problem, forgive: () => setProblem(null) };
}
