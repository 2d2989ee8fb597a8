import { Box, Button, Skeleton, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { FolderHeart, HardDrive, Hourglass, Layers, Zap, type LucideIcon } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { ReactNode } from "react";

import { asProblem } from "@/api/errors";
import type { ModelOut } from "@/api/types";
import { keys } from "@/api/keys";
import * as api from "@/api/generated/sdk.gen";
import { queries } from "@/api/queries";
import { bytes } from "@/lib/numbers";
import { toast } from "@/lib/toast";
import { ErrorNote } from "@/ui/ErrorNote";

import { Frame } from "@/ui/Frame";

/** Deleting cannot be undone, so it asks, and names what goes with the model. */
export function DeleteDialog({ model, onClose }: { model: ModelOut; onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const go = useNavigate();
  const what = useQuery(queries.consequences(model.key));
  const remove = useMutation({
    mutationFn: () => api.removeModel({ path: { key: model.key } }),
    onSuccess: () => {
      client.setQueryData<ModelOut[]>(keys.models, (list) => list?.filter((each) => each.key !== model.key));
      void client.invalidateQueries({ queryKey: keys.allModels });
      toast(t("models.delete.done", { name: model.name }));
      onClose();
      void go({ to: "/models", search: (old) => old, replace: true, resetScroll: false });
    },
  });
  const problem = remove.isError ? asProblem(remove.error) : what.isError ? asProblem(what.error) : null;
  const data = what.data;
  // Those that run are why it cannot be deleted now: nothing happens to them.
  const jobs = (data?.jobs ?? []).filter((job) => data?.removable || job.status === "queued");
  const names = (list: string[]) => list.slice(0, 5).map((each) => `“${each}”`).join(", ") + (list.length > 5 ? t("models.delete.more", { count: list.length - 5 }) : "");
  return (
    <Frame
      title={t("models.delete.title", { name: model.name })} onClose={onClose}
      actions={<><Button color="inherit" onClick={onClose} autoFocus>{t("common.cancel")}</Button><Button variant="contained" color="error" disabled={!data?.removable || remove.isPending} onClick={() => remove.mutate()}>{t(data?.files === "deleted" ? "models.delete.withFiles" : "models.delete.forget")}</Button></>}
    >
      <Box sx={{ display: "grid", gap: 3, minHeight: 112, alignContent: "start" }}>
        {what.isPending && <Box aria-busy sx={{ display: "grid", gap: 3 }}><Skeleton variant="rectangular" height={40} /><Skeleton variant="rectangular" height={40} /></Box>}
        {data && (
          <>
            {data.files === "deleted"
              ? <Goes Icon={HardDrive} title={t("models.delete.files", { size: bytes(data.bytes_freed, i18n.language) })}>{t("models.delete.filesText")}</Goes>
              : <Goes Icon={FolderHeart} title={t("models.delete.kept")}>{t("models.delete.keptText")}</Goes>}
            {data.loras.length > 0 && <Goes Icon={Layers} bad title={t("models.delete.models", { count: data.loras.length })}>{names(data.loras)}</Goes>}
            {data.workers.length > 0 && <Goes Icon={Zap} title={t("models.delete.loaded")}>{t("models.delete.loadedText")}</Goes>}
            {jobs.length > 0 && <Goes Icon={Hourglass} bad title={t("models.delete.jobs", { count: jobs.length })}>{names(jobs.map((job) => job.title))}</Goes>}
            {data.reason && <ErrorNote title={t("models.delete.notNow")} error={data.reason} />}
            <Typography variant="body2" sx={{ color: "text.secondary", mt: 1 }}>{t(model.source === "hub" ? "models.delete.againHub" : "models.delete.againDisk")}</Typography>
          </>
        )}
        {problem && <ErrorNote title={t("models.delete.failed")} error={problem} details={problem.details} />}
      </Box>
    </Frame>
  );
}

function Goes({ Icon, title, bad, children }: { Icon: LucideIcon; title: string; bad?: boolean; children: ReactNode }) {
  return (
    <Box sx={{ display: "flex", gap: 3 }}>
      <Box sx={{ color: bad ? "warning.main" : "text.faint", pt: "2px" }}><Icon size={18} aria-hidden /></Box>
      <Box sx={{ minWidth: 0 }}>
        <Typography sx={{ fontWeight: 550 }}>{title}</Typography>
        <Typography variant="body2" sx={{ color: "text.secondary" }}>{children}</Typography>
      </Box>
    </Box>
  );
}
