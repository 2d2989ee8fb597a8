import { Box, Button, Typography } from "@mui/material";
import { useNavigate } from "@tanstack/react-router";
import { FolderMinus, Images } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { useCollections } from "@/api/marking";
import type { CollectionOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { toast } from "@/lib/toast";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { Frame } from "@/ui/Frame";

/** Makes a collection, or gives one another name. `onMade` hears of a new one. */
export function NameDialog({ collection, onClose, onMade }: { collection?: CollectionOut; onClose: () => void; onMade?: (made: CollectionOut) => void }) {
  const { t } = useTranslation();
  const said = useSaid();
  const { add, rename } = useCollections();
  const [name, setName] = useState(collection?.name ?? "");
  const saving = collection ? rename : add;
  const error = saving.isError ? said(asProblem(saving.error)) : null;
  const save = () => {
    if (!name.trim() || saving.isPending) return;
    if (collection) rename.mutate({ id: collection.id, name }, { onSuccess: onClose });
    else add.mutate(name, { onSuccess: (made) => { onMade?.(made); onClose(); } });
  };
  return (
    <Frame
      title={collection ? t("gallery.renameTitle", { name: collection.name }) : t("gallery.newCollection")} onClose={onClose} onSubmit={save}
      actions={<><Button color="inherit" onClick={onClose}>{t("common.cancel")}</Button><Button type="submit" variant="contained" disabled={!name.trim() || saving.isPending}>{t(collection ? "gallery.rename" : "gallery.create")}</Button></>}
    >
      <Field label={t("gallery.collectionName")} value={name} onChange={(value) => setName(value.slice(0, 100))} error={error ? [error.text, error.hint].filter(Boolean).join(" ") : undefined} autoFocus />
    </Frame>
  );
}

/** Deleting a collection says what goes and what stays. */
export function DeleteCollection({ collection, onClose }: { collection: CollectionOut; onClose: () => void }) {
  const { t } = useTranslation();
  const go = useNavigate();
  const { remove } = useCollections();
  const problem = remove.isError ? asProblem(remove.error) : null;
  const drop = () => remove.mutate(collection.id, {
    onSuccess: () => {
      toast(t("gallery.collectionDeleted", { name: collection.name }));
      onClose();
      void go({ to: "/gallery", search: ({ collection: _, ...old }) => old as object, replace: true });
    },
  });
  return (
    <Frame
      title={t("gallery.deleteTitle", { name: collection.name })} onClose={onClose}
      actions={<><Button color="inherit" onClick={onClose} autoFocus>{t("common.cancel")}</Button><Button variant="contained" color="error" disabled={remove.isPending} onClick={drop}>{t("gallery.deleteCollection")}</Button></>}
    >
      <Box sx={{ display: "grid", gap: 3 }}>
        <Typography sx={{ display: "flex", gap: 3, alignItems: "center" }}><Box component={FolderMinus} size={18} aria-hidden sx={{ color: "text.faint", flexShrink: 0 }} />{t("gallery.deleteGoes")}</Typography>
        <Typography sx={{ display: "flex", gap: 3, alignItems: "center" }}><Box component={Images} size={18} aria-hidden sx={{ color: "text.faint", flexShrink: 0 }} />{t("gallery.deleteStays", { count: collection.count })}</Typography>
        {problem && <ErrorNote title={t("gallery.deleteFailed")} error={problem} details={problem.details} />}
      </Box>
    </Frame>
  );
}
