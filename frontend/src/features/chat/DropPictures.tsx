import { Box, Typography } from "@mui/material";
import { ImageDown } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import type { Signal } from "@/lib/signal";
import { toast } from "@/lib/toast";

import { attachFiles, attachOfGallery, type Draft } from "./drafts";

const OURS = /\/gallery\/(img_[0-9a-f]{20})/;

/** The whole page takes pictures that are dropped or pasted. */
export function DropPictures({ draft }: { draft: Signal<Draft> }) {
  const { t } = useTranslation();
  const [depth, setDepth] = useState(0);
  useEffect(() => {
    const take = (files: File[]) => {
      if (!attachFiles(draft, files)) toast(t("chat.pictureRefused"), { tone: "bad" });
    };
    const takes = (event: DragEvent) => event.dataTransfer?.types.includes("Files") || event.dataTransfer?.types.includes("text/uri-list");
    const enter = (event: DragEvent) => takes(event) && setDepth((old) => old + 1);
    const leave = (event: DragEvent) => takes(event) && setDepth((old) => Math.max(0, old - 1));
    const hover = (event: DragEvent) => takes(event) && event.preventDefault();
    const drop = (event: DragEvent) => {
      if (!takes(event)) return;
      event.preventDefault();
      setDepth(0);
      const ours = OURS.exec(event.dataTransfer?.getData("text/uri-list") ?? "")?.[1];
      if (ours) void attachOfGallery(draft, ours);
      else if (event.dataTransfer?.files.length) take([...event.dataTransfer.files]);
    };
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])].filter((each) => each.type.startsWith("image/"));
      if (!files.length || document.querySelector("[role=dialog]")) return;
      event.preventDefault();
      take(files);
    };
    const listeners = [["dragenter", enter], ["dragleave", leave], ["dragover", hover], ["drop", drop], ["paste", paste]] as const;
    for (const [name, listener] of listeners) window.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of listeners) window.removeEventListener(name, listener as EventListener);
    };
  }, [draft, t]);
  if (depth === 0) return null;
  return (
    <Box sx={{ position: "fixed", inset: 12, zIndex: 1300, display: "grid", placeItems: "center", borderRadius: "16px", border: "2px dashed", borderColor: "primary.main", bgcolor: "color-mix(in srgb, var(--a-palette-background-default) 86%, transparent)", pointerEvents: "none" }}>
      <Box sx={{ display: "grid", justifyItems: "center", gap: 2, color: "text.primary" }}>
        <ImageDown size={36} aria-hidden />
        <Typography variant="h2" component="p">{t("chat.drop")}</Typography>
      </Box>
    </Box>
  );
}
