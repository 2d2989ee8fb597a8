/** What pages do to jobs and pictures, with the words that go with it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { said } from "@/i18n/said";
import { download } from "@/lib/browser";
import { toast } from "@/lib/toast";

import { dropImages, jobChanged, restoreImages } from "./cache";
import { forgetDeletions } from "./pictures";
import { asProblem } from "./errors";
import { archiveUrl, downloadUrl, fileName } from "./files";
import * as api from "./generated/sdk.gen";
import { keys } from "./keys";
import { isKnown, type Picked } from "./types";

const UNDO_SECONDS = 10;
/** So many pictures the server takes in one change. */
const AT_ONCE = 500;

function complain(error: unknown): void {
  const problem = asProblem(error);
  const { text, hint } = said(problem);
  if (problem.status !== 401) toast([text, hint].filter(Boolean).join(" "), { tone: "bad", seconds: 8 });
}

export const useComplain = () => complain;

/** Deletes at once; for ten seconds it can be undone. */
export function useDeleteImages() {
  const client = useQueryClient();
  const complain = useComplain();
  const { t } = useTranslation();
  return useMutation({
    mutationFn: async (images: Picked[]) => {
      dropImages(client, new Set(images.map((image) => image.id)));
      const [one] = images;
      if (one && images.length === 1) return void (await api.deleteImage({ path: { image_id: one.id } }));
      for (let start = 0; start < images.length; start += AT_ONCE) {
        const some = images.slice(start, start + AT_ONCE);
        try {
          await api.editImages({ body: { ids: some.map((image) => image.id), delete: true } });
        } catch (error) {
          restoreImages(client, images.slice(start).filter(isKnown));
          forgetDeletions();
          throw error;
        }
      }
    },
    onSuccess: (_, images) => {
      const undo = async () => {
        try {
          for (let start = 0; start < images.length; start += AT_ONCE) {
            const ids = images.slice(start, start + AT_ONCE).map((image) => image.id);
            const back = ids.length === 1 ? [await api.restoreImage({ path: { image_id: ids[0] as string } })] : (await api.editImages({ body: { ids, restore: true } })).images;
            restoreImages(client, back);
          }
          // Of those that were not on screen some may lie where nobody has read yet.
          if (!images.every(isKnown)) void client.invalidateQueries({ queryKey: keys.galleryLists });
        } catch (error) {
          complain(error);
        }
      };
      toast(t("gallery.deleted", { count: images.length }), { seconds: UNDO_SECONDS, action: { label: t("common.undo"), run: () => void undo() } });
    },
    onError: (error, images) => {
      if (images.length === 1) restoreImages(client, images.filter(isKnown));
      void client.invalidateQueries({ queryKey: keys.gallery });
      complain(error);
    },
  });
}

/** One as it is; several as one zip file, so many as the server puts into one. */
export function downloadImages(images: Picked[]): void {
  const [one] = images;
  if (one && images.length === 1 && isKnown(one)) return download(downloadUrl(one), fileName(one));
  for (let start = 0, part = 0; start < images.length; start += AT_ONCE, part++) {
    const url = archiveUrl(images.slice(start, start + AT_ONCE));
    setTimeout(() => download(url, ""), part * 1000);
  }
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
