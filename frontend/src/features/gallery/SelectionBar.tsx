import { Box, Button, IconButton, Slide, Tooltip } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { CheckCheck, Columns2, Download, FolderInput, FolderPlus, Heart, Tag, Trash2, X } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { downloadImages, useDeleteImages } from "@/api/actions";
import { useMark } from "@/api/marking";
import { queries } from "@/api/queries";
import type { Picked } from "@/api/types";
import type { Look } from "@/lib/look";
import { IconButtonLink } from "@/ui/links";

import { CollectionMenu } from "./CollectionMenu";

/** What can be done with the selected pictures; comes when there are some. `onAll`: others could be selected as well. */
export function SelectionBar({ images, look, onTag, onAll, onClear }: { images: Picked[]; look: Look; onTag: () => void; onAll?: () => void; onClear: () => void }) {
  const { t, i18n } = useTranslation();
  const remove = useDeleteImages();
  const mark = useMark();
  const here = useQuery(queries.collections()).data?.find((one) => one.id === look.collection);
  const [menu, setMenu] = useState<{ anchor: HTMLElement; moves: boolean } | null>(null);
  const [one, other] = images;
  const loved = images.length > 0 && images.every((image) => image.favourite);
  return (
    <>
      <Slide direction="up" in={images.length > 0} unmountOnExit mountOnEnter>
        <Box role="toolbar" aria-label={t("gallery.selected", { count: images.length })} sx={{ position: "fixed", zIndex: 1200, bottom: { xs: 72, md: 24 }, insetInline: 0, mx: "auto", width: "max-content", maxWidth: "calc(100vw - 16px)", display: "flex", alignItems: "center", gap: { xs: 0, sm: 1 }, p: 1, pl: 4, borderRadius: "12px", bgcolor: "background.raised", border: 1, borderColor: "divider", boxShadow: "0 16px 40px -12px rgb(8 12 20 / 0.4)" }}>
          <Box sx={{ fontWeight: 550, mr: { xs: 1, sm: 3 }, whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" }}>
            <Box component="span" sx={{ display: { xs: "none", sm: "inline" } }}>{t("gallery.selected", { count: images.length })}</Box>
            <Box component="span" aria-hidden sx={{ display: { sm: "none" } }}>{images.length.toLocaleString(i18n.language)}</Box>
          </Box>
          {onAll && <Tool label={t("gallery.selectAll")} onClick={onAll}><CheckCheck size={18} /></Tool>}
          <Tool label={t(loved ? "gallery.unfavourite" : "gallery.favourite")} onClick={() => mark.mutate({ images, change: { favourite: !loved } })}><Heart size={18} fill={loved ? "currentColor" : "none"} /></Tool>
          <Tool label={t("gallery.editTags")} onClick={onTag}><Tag size={18} /></Tool>
          <Tool label={t("gallery.addTo")} onClick={(event) => setMenu({ anchor: event.currentTarget, moves: false })}><FolderPlus size={18} /></Tool>
          {here && <Tool label={t("gallery.moveTo")} onClick={(event) => setMenu({ anchor: event.currentTarget, moves: true })}><FolderInput size={18} /></Tool>}
          {one && other && images.length === 2 && (
            <Tooltip title={t("gallery.compare")}>
              <IconButtonLink to="/gallery/compare/$one/$other" params={{ one: one.id, other: other.id }} search={(old: object) => old} resetScroll={false} aria-label={t("gallery.compare")}><Columns2 size={18} /></IconButtonLink>
            </Tooltip>
          )}
          <Tool label={t("common.download")} onClick={() => downloadImages(images)}><Download size={18} /></Tool>
          <Button
            color="error" startIcon={<Trash2 size={16} />} sx={{ minWidth: 0, "& .MuiButton-startIcon": { mr: { xs: 0, sm: "6px" } } }} aria-label={t("common.delete")}
            onClick={() => {
              remove.mutate(images);
              onClear();
            }}
          >
            <Box component="span" sx={{ display: { xs: "none", sm: "inline" } }}>{t("common.delete")}</Box>
          </Button>
          <Tool label={t("gallery.clearSelection")} onClick={onClear}><X size={17} /></Tool>
        </Box>
      </Slide>
      {menu && <CollectionMenu anchor={menu.anchor} images={images} from={menu.moves ? here : undefined} onClose={() => setMenu(null)} />}
    </>
  );
}

function Tool({ label, onClick, children }: { label: string; onClick: (event: { currentTarget: HTMLElement }) => void; children: ReactNode }) {
  return <Tooltip title={label}><IconButton aria-label={label} onClick={onClick} sx={{ p: { xs: "7px", sm: "8px" } }}>{children}</IconButton></Tooltip>;
}
