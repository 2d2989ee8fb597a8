import { Box, IconButton, Tooltip } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { Brush, Clapperboard, CopyPlus, Download, Ellipsis, Expand, Grid3x3, ImageUp, Quote, Scaling, Shuffle, Trash2 } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { downloadImages, useComplain, useDeleteImages } from "@/api/actions";
import { gridOf, plannedGrid } from "@/api/grids";
import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";
import { copyText } from "@/lib/browser";
import { toast } from "@/lib/toast";
import { PickMenu } from "@/ui/PickMenu";

import { again, vary } from "./again";
import { takeImage } from "./source";
import { changeTask, makes, type Task } from "./tasks";

interface Action { key: string; text: string; icon: ReactNode; run: () => void; danger?: boolean; first?: boolean }

/** What can be done with a result: the usual at hand, the rest in a menu; all of it in the menu where nothing hovers. */
export function TileActions({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const actions = useActions(image);
  const pick = (key: string) => actions.find((action) => action.key === key)?.run();
  const pill = { position: "absolute", right: 6, bottom: 6, display: "flex", bgcolor: "rgb(13 16 21 / 0.72)", borderRadius: "8px", backdropFilter: "blur(6px)", "& .MuiIconButton-root": { color: "#f2f5f9" } } as const;
  return (
    <>
      <Box className="tile-actions" sx={{ ...pill, opacity: 0, transition: "opacity 120ms ease-out", "@media (hover: none)": { display: "none" } }}>
        {actions.filter((action) => action.first).map((action) => (
          <Tooltip key={action.key} title={action.text}>
            <IconButton size="small" aria-label={action.text} onClick={action.run}>{action.icon}</IconButton>
          </Tooltip>
        ))}
        <PickMenu size={28} label={t("task.with")} icon={<Ellipsis size={16} />} options={actions.filter((action) => !action.first)} onPick={pick} />
      </Box>
      <Box sx={{ ...pill, display: "none", "@media (hover: none)": { display: "flex" } }}>
        <PickMenu size={36} label={t("common.more")} icon={<Ellipsis size={18} />} options={actions} onPick={pick} />
      </Box>
    </>
  );
}

function useActions(image: ImageOut): Action[] {
  const { t } = useTranslation();
  const remove = useDeleteImages();
  const models = useQuery(queries.models());
  const top = () => window.scrollTo({ top: 0, behavior: "smooth" });
  const start = (task: Task) => () => {
    takeImage(image);
    changeTask({ task });
    top();
  };
  const complain = useComplain();
  const fill = (work: (image: ImageOut) => Promise<void>) => () => void work(image).then(top, complain);
  const copyPrompt = async () => {
    if (await copyText(image.prompt)) toast(t("generate.promptCopied"));
  };
  const same: Action = { key: "same", text: t("generate.same"), icon: <CopyPlus size={16} />, run: fill(again), first: true };
  const picture: Action[] = [
    { key: "use", text: t("task.use"), icon: <ImageUp size={16} />, run: start("change"), first: true },
    same,
    { key: "vary", text: t("refine.vary"), icon: <Shuffle size={16} />, run: fill(vary) },
    { key: "inpaint", text: t("task.names.inpaint"), icon: <Brush size={16} />, run: start("inpaint") },
    { key: "outpaint", text: t("task.names.outpaint"), icon: <Expand size={16} />, run: start("outpaint") },
    { key: "upscale", text: t("task.names.upscale"), icon: <Scaling size={16} />, run: start("upscale") },
    ...(models.data?.some(makes("video")) ? [{ key: "animate", text: t("task.names.animate"), icon: <Clapperboard size={16} />, run: start("animate") }] : []),
    { key: "grid", text: t("gallery.grid_"), icon: <Grid3x3 size={16} />, run: () => plannedGrid.set(gridOf(image)) },
    { key: "prompt", text: t("generate.copyPrompt"), icon: <Quote size={16} />, run: () => void copyPrompt() },
  ];
  return [
    ...(image.kind === "video" ? [same] : picture),
    { key: "download", text: t("common.download"), icon: <Download size={16} />, run: () => downloadImages([image]), first: true },
    { key: "delete", text: t("common.delete"), icon: <Trash2 size={16} />, run: () => remove.mutate([image]), danger: true, first: true },
  ];
}
