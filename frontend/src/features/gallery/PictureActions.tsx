import { useMediaQuery } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Brush, Clapperboard, Expand, Grid3x3, ImageUp, MessageSquareText, Scaling, WandSparkles } from "lucide-react";
import { useTranslation } from "react-i18next";

import { gridOf, plannedGrid } from "@/api/grids";
import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";
import { toast } from "@/lib/toast";
import { PickMenu } from "@/ui/PickMenu";

/** Goes on from this picture on the Generate page: as an input, and with what is to be done with it. */
export function PictureActions({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const go = useNavigate();
  const models = useQuery(queries.models());
  const phone = useMediaQuery("(max-width: 599.9px)");
  if (image.kind === "video") return null;
  const animates = models.data?.some((model) => model.task === "video" && model.runnable && model.available);
  const seer = models.data?.find((model) => model.task === "chat" && model.sees && model.runnable && model.available);
  const describe = () => {
    if (seer) return void go({ to: "/chat", search: { picture: image.id, model: seer.key } });
    toast(t("chat.noSeeing"), { seconds: 8, action: { label: t("chat.moreModels"), run: () => void go({ to: "/models", search: { add: "hub", task: "chat" } }) } });
  };
  const options = [
    { key: "change", text: t("task.use"), icon: <ImageUp size={16} /> },
    { key: "inpaint", text: t("task.names.inpaint"), icon: <Brush size={16} /> },
    { key: "outpaint", text: t("task.names.outpaint"), icon: <Expand size={16} /> },
    { key: "upscale", text: t("task.names.upscale"), icon: <Scaling size={16} /> },
    ...(animates ? [{ key: "animate", text: t("task.names.animate"), icon: <Clapperboard size={16} /> }] : []),
    // Beside this menu where there is room for it.
    ...(phone ? [{ key: "grid", text: t("gallery.grid_"), icon: <Grid3x3 size={16} /> }] : []),
    { key: "describe", text: t("chat.describeThis"), icon: <MessageSquareText size={16} /> },
  ];
  return <PickMenu label={t("task.with")} icon={<WandSparkles size={18} />} options={options} onPick={(key) => (key === "describe" ? describe() : key === "grid" ? plannedGrid.set(gridOf(image)) : void go({ to: "/", search: { input: image.id, do: key } }))} />;
}
