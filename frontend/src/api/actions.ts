/** What pages do to jobs and pictures, with the words that go with it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { said } from "@/i18n/said";
import { download } from "@/lib/browser";
import { toast } from "@/lib/toast";

import { dropImages, jobChanged, restoreImages } from "./cache";
import { asProblem } from "./errors";
import { downloadUrl, fileName } from "./files";
import * as api from "./generated/sdk.gen";
import { keys } from "./keys";
import type { ImageOut } from "./types";

const UNDO_SECONDS = 10;

export function useComplain() {
  return (error: unknown) => {
    const problem = asProblem(error);
    const { text, hint } = said(problem);
    if (problem.status !== 401) toast([text, hint].filter(Boolean).join(" "), { tone: "bad", seconds: 8 });
  };
}

/** Deletes at once; for ten seconds it can be undone. */
export function useDeleteImages() {
  const client = useQueryClient();
  const complain = useComplain();
  const { t } = useTranslation();
  return useMutation({
    mutationFn: async (images: ImageOut[]) => {
      dropImages(client, new Set(images.map((image) => image.id)));
      const outcomes = await inTurns(images, (image) => api.deleteImage({ path: { image_id: image.id } }));
      const failed = outcomes.find((outcome) => outcome.status === "rejected");
      if (!failed) return;
      restoreImages(client, images.filter((_, index) => outcomes[index]?.status === "rejected"));
      throw failed.reason;
    },
    onSuccess: (_, images) => {
      const undo = async () => {
        const outcomes = await inTurns(images, (image) => api.restoreImage({ path: { image_id: image.id } }));
        restoreImages(client, outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : [])));
        const failed = outcomes.find((outcome) => outcome.status === "rejected");
        if (failed) complain(failed.reason);
      };
      toast(t("gallery.deleted", { count: images.length }), { seconds: UNDO_SECONDS, action: { label: t("common.undo"), run: () => void undo() } });
    },
    onError: (error) => {
      void client.invalidateQueries({ queryKey: keys.gallery });
      complain(error);
    },
  });
}

/** A few at a time: a browser holds six connections to one host. */
async function inTurns<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<PromiseSettledResult<R>[]> {
  const outcomes: PromiseSettledResult<R>[] = [];
  for (let start = 0; start < items.length; start += 4) outcomes.push(...(await Promise.allSettled(items.slice(start, start + 4).map(work))));
  return outcomes;
}

export function downloadImages(images: ImageOut[]): void {
  images.forEach((image, index) => setTimeout(() => download(downloadUrl(image), fileName(image)), index * 250));
}

/** Cancels an active job; takes an ended one off the list. */
export function useDeleteJob() {
  const client = useQueryClient();
  const complain = useComplain();
  return useMutation({
    mutationFn: async ({ id }: { id: string; ended: boolean }) => api.deleteJob({ path: { job_id: id } }),
    onSuccess: (job, { ended }) => {
      if (!ended) jobChanged(client, job);
      void client.invalidateQueries({ queryKey: keys.jobs });
    },
    onError: complain,
  });
}

/** Sets up an engine's environment; also again, after it failed or was cancelled. */
export function useBuildEnvironment() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => api.buildEnvironment({ path: { name } }),
    onSuccess: (job) => jobChanged(client, job),
    onError: useComplain(),
  });
}

export function useRetryJob() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.retryJob({ path: { job_id: id } }),
    onSuccess: (job) => jobChanged(client, job),
    onError: useComplain(),
  });
}
