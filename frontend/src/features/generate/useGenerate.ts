import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { jobChanged } from "@/api/cache";
import { asProblem, type ApiProblem } from "@/api/errors";
import { freshest } from "@/api/freshest";
import { getJob, textToImage } from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import type { JobOut, ModelOut } from "@/api/types";
import { Signal } from "@/lib/signal";

import { Attempts } from "./attempts";
import { settings, toRequest } from "./settings";

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
export const hide = (id: string) => shown.set((ids) => ids.filter((other) => other !== id));

const attempts = new Attempts();

export function useGenerate(model: ModelOut | undefined) {
  const client = useQueryClient();
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const mutation = useMutation({
    mutationFn: async () => {
      const request = toRequest(settings.get(), model);
      const accepted = await textToImage({ body: request, headers: { "idempotency-key": attempts.keyFor(request) } });
      attempts.answered();
      show(accepted.job_id);
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
