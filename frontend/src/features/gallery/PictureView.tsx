import { Box, Button, Dialog, IconButton, Tooltip } from "@mui/material";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ChevronLeft, ChevronRight, CopyPlus, Download, Grid3x3, Info, Trash2, X } from "lucide-react";
import { useEffect, useState, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { downloadImages, useDeleteImages } from "@/api/actions";
import { asProblem } from "@/api/errors";
import { gridOf, plannedGrid } from "@/api/grids";
import { useMark } from "@/api/marking";
import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";
import { stored, store } from "@/lib/browser";
import { EmptyState, FramesArt } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { usePictureName } from "@/ui/pictureName";

import { PictureActions } from "./PictureActions";
import { Player } from "./Player";
import { Recipe } from "./Recipe";
import { Stage } from "./Stage";

const route = getRouteApi("/gallery/$id");

/** One picture over the gallery, at an address of its own. The gallery stays where it was underneath. */
export function PictureView() {
  const { t } = useTranslation();
  const nameOf = usePictureName();
  const { id } = route.useParams();
  const look = route.useSearch();
  const go = route.useNavigate();
  const gallery = useInfiniteQuery(queries.gallery(look));
  const list = gallery.data?.pages.flatMap((page) => page.items) ?? [];
  const at = list.findIndex((image) => image.id === id);
  const one = useQuery({ ...queries.image(id), enabled: at < 0, retry: false });
  const image = list[at] ?? one.data;
  const [previous, next] = [at > 0 ? list[at - 1] : undefined, at >= 0 ? list[at + 1] : undefined];
  const [recipe, setRecipe] = useState(() => stored("recipe", true));
  const remove = useDeleteImages();
  const mark = useMark();
  const nearEnd = at >= 0 && at >= list.length - 8 && gallery.hasNextPage && !gallery.isFetchingNextPage;
  const { fetchNextPage } = gallery;
  useEffect(() => {
    if (nearEnd) void fetchNextPage();
  }, [nearEnd, fetchNextPage]);

  const close = () => void go({ to: "/gallery", search: (old) => old, resetScroll: false });
  const show = (other: ImageOut | undefined) => other && void go({ to: "/gallery/$id", params: { id: other.id }, search: (old) => old, replace: true, resetScroll: false });
  const reuse = () => void go({ to: "/", search: { reuse: id } });
  const drop = () => {
    if (!image) return;
    if (next ?? previous) show(next ?? previous);
    else close();
    remove.mutate([image]);
  };
  const toggleRecipe = () => {
    setRecipe(!recipe);
    store("recipe", !recipe);
  };
  const onKey = (event: KeyboardEvent) => {
    // Letters and arrows that are typed into the note or the tags are theirs.
    if (event.target instanceof HTMLElement && event.target.closest("input, textarea, [role=menu]")) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (image && plain && /^[0-5]$/.test(event.key)) mark.mutate({ images: [image], change: { rating: Number(event.key) } });
    else if (image && plain && event.key.toLowerCase() === "f") mark.mutate({ images: [image], change: { favourite: !image.favourite } });
    else if (image && plain && event.key.toLowerCase() === "t") {
      if (!recipe) toggleRecipe();
      requestAnimationFrame(() => document.querySelector<HTMLElement>("[role=dialog] [data-tags]")?.focus());
    } else if (event.key === "ArrowRight") show(next);
    else if (event.key === "ArrowLeft") show(previous);
    else if (event.key === "Delete") drop();
    else if (event.key.toLowerCase() === "i" && !event.ctrlKey && !event.metaKey) toggleRecipe();
    else return;
    event.preventDefault();
  };
  const missing = !image && one.isError;
  const problem = missing ? asProblem(one.error) : null;
  return (
    <Dialog open fullScreen onClose={close} onKeyDown={onKey} slotProps={{ paper: { "aria-label": image ? nameOf(image) : t("common.loading"), sx: { bgcolor: "background.default", border: 0, borderRadius: 0 } } }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 1, px: { xs: 2, sm: 4 }, height: 56, borderBottom: 1, borderColor: "divider", flexShrink: 0 }}>
        <Tool label={t("common.close")} onClick={close}><X size={19} /></Tool>
        <Box sx={{ flex: 1, minWidth: 0, px: 2, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", color: "text.secondary", fontSize: 14 }}>{image && nameOf(image)}</Box>
        {image && (
          <>
            <Button color="inherit" startIcon={<CopyPlus size={16} />} onClick={reuse} sx={{ display: { xs: "none", sm: "inline-flex" } }}>{t("generate.same")}</Button>
            <Box sx={{ display: { xs: "block", sm: "none" } }}><Tool label={t("generate.same")} onClick={reuse}><CopyPlus size={18} /></Tool></Box>
            {image.kind !== "video" && <Box sx={{ display: { xs: "none", sm: "block" } }}><Tool label={t("gallery.grid_")} onClick={() => plannedGrid.set(gridOf(image))}><Grid3x3 size={18} /></Tool></Box>}
            <PictureActions image={image} />
            <Tool label={t("common.download")} onClick={() => downloadImages([image])}><Download size={18} /></Tool>
            <Tool label={t("common.delete")} onClick={drop}><Trash2 size={18} /></Tool>
            <Tool label={t("gallery.showRecipe")} pressed={recipe} onClick={toggleRecipe}><Info size={18} /></Tool>
          </>
        )}
      </Box>
      <Box sx={{ flex: 1, minHeight: 0, display: "flex", flexDirection: { xs: "column", md: "row" } }}>
        <Box sx={{ position: "relative", flex: 1, minWidth: 0, minHeight: { xs: "46vh", md: 0 }, bgcolor: "background.sunken" }}>
          {image && (image.kind === "video" ? <Player video={image} /> : <Stage key={image.id} image={image} />)}
          {missing && problem && (problem.status === 404 ? <EmptyState art={<FramesArt />} title={t("gallery.missingTitle")} text={t("gallery.missingText")}><Button variant="contained" onClick={close}>{t("gallery.toGallery")}</Button></EmptyState> : <Box sx={{ p: 6 }}><ErrorNote title={t("gallery.failed")} error={problem} details={problem.details} onRetry={() => void one.refetch()} /></Box>)}
          {previous && <Arrow side="left" label={t("gallery.previous")} onClick={() => show(previous)}><ChevronLeft size={22} /></Arrow>}
          {next && <Arrow side="right" label={t("gallery.next")} onClick={() => show(next)}><ChevronRight size={22} /></Arrow>}
        </Box>
        {image && recipe && <Recipe image={image} />}
      </Box>
    </Dialog>
  );
}

function Tool({ label, pressed, onClick, children }: { label: string; pressed?: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <Tooltip title={label}>
      <IconButton aria-label={label} aria-pressed={pressed} onClick={onClick} sx={{ color: pressed ? "primary.main" : undefined }}>{children}</IconButton>
    </Tooltip>
  );
}

function Arrow({ side, label, onClick, children }: { side: "left" | "right"; label: string; onClick: () => void; children: ReactNode }) {
  return (
    <IconButton aria-label={label} onClick={onClick} sx={{ position: "absolute", top: "50%", translate: "0 -50%", [side]: 12, width: 40, height: 40, borderRadius: "50%", bgcolor: "background.raised", border: 1, borderColor: "divider", "&:hover": { bgcolor: "background.raised", borderColor: "text.disabled" } }}>
      {children}
    </IconButton>
  );
}
