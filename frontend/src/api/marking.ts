/** What people say of their pictures, and where they put them: shown at once, taken back when the server refuses. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { applied, type MarkChange } from "@/lib/marks";
import { toast } from "@/lib/toast";

import { useComplain } from "./actions";
import { imagesChanged } from "./cache";
import * as api from "./generated/sdk.gen";
import { keys } from "./keys";
import { isKnown, type CollectionOut, type ImageEditIn, type ImageOut, type Picked } from "./types";

export const AT_ONCE = 500;

export function parts<T>(items: readonly T[], size = AT_ONCE): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/** One change to many pictures. */
export function useMark() {
  const client = useQueryClient();
  const complain = useComplain();
  return useMutation({
    mutationFn: async ({ images, change }: { images: Picked[]; change: MarkChange }) => {
      imagesChanged(client, images.filter(isKnown).map((image) => applied(image, change)));
      const changed: ImageOut[] = [];
      for (const some of parts(images)) changed.push(...(await api.editImages({ body: { ids: some.map((image) => image.id), ...change } })).images);
      return changed;
    },
    onSuccess: (images) => imagesChanged(client, images),
    onError: (error, { images }) => {
      imagesChanged(client, images.filter(isKnown));
      void client.invalidateQueries({ queryKey: keys.galleryLists });
      void client.invalidateQueries({ queryKey: keys.marksLists });
      complain(error);
    },
  });
}

/** A note or all tags of one picture. */
export function useEditImage() {
  const client = useQueryClient();
  const complain = useComplain();
  return useMutation({
    mutationFn: ({ image, change }: { image: ImageOut; change: ImageEditIn }) => api.editImage({ path: { image_id: image.id }, body: change }),
    onSuccess: (image) => imagesChanged(client, [image]),
    onError: complain,
  });
}

/** Puts pictures into a collection, out of one, or from one into another; it can be undone. */
export function usePutInto() {
  const mark = useMark();
  const { t } = useTranslation();
  return ({ images, to, from }: { images: Picked[]; to?: CollectionOut; from?: CollectionOut }) => {
    const change = { ...(to && { add_to: to.id }), ...(from && { remove_from: from.id }) };
    const back = { ...(from && { add_to: from.id }), ...(to && { remove_from: to.id }) };
    // What was there before stays there when it is undone.
    const moved = new Set((to ? images.filter((image) => !(image.collections ?? []).includes(to.id)) : images).map((image) => image.id));
    mark.mutate({ images, change }, {
      onSuccess: (changed) => {
        const undone = changed.filter((image) => moved.has(image.id));
        const words = to && from ? "gallery.movedTo" : to ? "gallery.addedTo" : "gallery.takenFrom";
        toast(t(words, { count: images.length, name: (to ?? from)?.name }), { action: undone.length ? { label: t("common.undo"), run: () => mark.mutate({ images: undone, change: back }) } : undefined });
      },
    });
  };
}

export function useCollections() {
  const client = useQueryClient();
  const refresh = () => client.invalidateQueries({ queryKey: keys.collections });
  const add = useMutation({ mutationFn: (name: string) => api.addCollection({ body: { name } }), onSuccess: refresh });
  const rename = useMutation({ mutationFn: ({ id, name }: { id: string; name: string }) => api.renameCollection({ path: { collection_id: id }, body: { name } }), onSuccess: refresh });
  const remove = useMutation({ mutationFn: (id: string) => api.removeCollection({ path: { collection_id: id } }), onSuccess: refresh });
  return { add, rename, remove };
}
