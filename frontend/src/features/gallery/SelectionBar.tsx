import { Box, Button, IconButton, Slide, Tooltip } from "@mui/material";
import { Download, Trash2, X } from "lucide-react";
import { useTranslation } from "react-i18next";

import { downloadImages, useDeleteImages } from "@/api/actions";
import type { ImageOut } from "@/api/types";

/** What can be done with the selected pictures; comes when there are some. */
export function SelectionBar({ images, onClear }: { images: ImageOut[]; onClear: () => void }) {
  const { t } = useTranslation();
  const remove = useDeleteImages();
  return (
    <Slide direction="up" in={images.length > 0} unmountOnExit mountOnEnter>
      <Box role="toolbar" aria-label={t("gallery.selected", { count: images.length })} sx={{ position: "fixed", zIndex: 1200, bottom: { xs: 72, md: 24 }, insetInline: 0, mx: "auto", width: "max-content", maxWidth: "calc(100vw - 24px)", display: "flex", alignItems: "center", gap: 1, p: 1, pl: 4, borderRadius: "12px", bgcolor: "background.raised", border: 1, borderColor: "divider", boxShadow: "0 16px 40px -12px rgb(8 12 20 / 0.4)" }}>
        <Box sx={{ fontWeight: 550, mr: 3, whiteSpace: "nowrap" }}>{t("gallery.selected", { count: images.length })}</Box>
        <Button color="inherit" startIcon={<Download size={16} />} onClick={() => downloadImages(images)}>{t("common.download")}</Button>
        <Button
          color="error"
          startIcon={<Trash2 size={16} />}
          onClick={() => {
            remove.mutate(images);
            onClear();
          }}
        >
          {t("common.delete")}
        </Button>
        <Tooltip title={t("gallery.clearSelection")}>
          <IconButton aria-label={t("gallery.clearSelection")} onClick={onClear}><X size={17} /></IconButton>
        </Tooltip>
      </Box>
    </Slide>
  );
}
