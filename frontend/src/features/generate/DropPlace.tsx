import { Box, IconButton, Typography } from "@mui/material";
import { ImageDown, TriangleAlert, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { getImage } from "@/api/generated/sdk.gen";
import { bytes } from "@/lib/numbers";
import { useSignal } from "@/lib/signal";

import { refusal, takeFile, takeImage } from "./source";

/** The whole page takes a picture that is dropped or pasted, and says why it does not. */
export function DropPlace() {
  const { t, i18n } = useTranslation();
  const over = useDropping();
  const why = useSignal(refusal);
  const values = why && ("bytes" in why ? { name: why.name, size: bytes(why.bytes, i18n.language), most: bytes(why.most, i18n.language) } : "count" in why ? { name: why.name, size: Math.round(why.count / 1e6), most: why.most / 1e6 } : { name: why.name });
  return (
    <>
      {why && (
        <Box role="alert" sx={{ display: "flex", alignItems: "center", gap: 3, pl: 4, pr: 2, py: 2, borderRadius: "10px", border: 1, borderColor: "divider", bgcolor: "background.paper", fontSize: 13 }}>
          <Box component={TriangleAlert} size={17} aria-hidden sx={{ color: "warning.main", flexShrink: 0 }} />
          <Box sx={{ flex: 1, minWidth: 0 }}>{t(why.key, { ...values })}</Box>
          <IconButton size="small" aria-label={t("common.dismiss")} onClick={() => refusal.set(null)}><X size={16} /></IconButton>
        </Box>
      )}
      {over && (
        <Box sx={{ position: "fixed", inset: 12, zIndex: 1300, display: "grid", placeItems: "center", borderRadius: "16px", border: "2px dashed", borderColor: "primary.main", bgcolor: "color-mix(in srgb, var(--a-palette-background-default) 86%, transparent)", pointerEvents: "none" }}>
          <Box sx={{ display: "grid", justifyItems: "center", gap: 2, color: "text.primary" }}>
            <ImageDown size={36} aria-hidden />
            <Typography variant="h2" component="p">{t("task.drop")}</Typography>
          </Box>
        </Box>
      )}
    </>
  );
}

const OURS = /\/gallery\/(img_[0-9a-f]{20})/;

/** True while something that can be taken is held over the window. */
function useDropping(): boolean {
  const [depth, setDepth] = useState(0);
  useEffect(() => {
    const takes = (event: DragEvent) => event.dataTransfer?.types.includes("Files") || event.dataTransfer?.types.includes("text/uri-list");
    const enter = (event: DragEvent) => takes(event) && setDepth((old) => old + 1);
    const leave = (event: DragEvent) => takes(event) && setDepth((old) => Math.max(0, old - 1));
    const hover = (event: DragEvent) => takes(event) && event.preventDefault();
    const drop = (event: DragEvent) => {
      if (!takes(event)) return;
      event.preventDefault();
      setDepth(0);
      // One of ours, dragged from a tile or from the strip, is known to the server already.
      const ours = OURS.exec(event.dataTransfer?.getData("text/uri-list") ?? "")?.[1];
      const file = event.dataTransfer?.files[0];
      if (ours) void getImage({ path: { image_id: ours } }).then(takeImage, () => undefined);
      else if (file) void takeFile(file);
    };
    const paste = (event: ClipboardEvent) => {
      const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
      if (!file || document.querySelector("[role=dialog]")) return;
      event.preventDefault();
      void takeFile(file);
    };
    const listeners = [["dragenter", enter], ["dragleave", leave], ["dragover", hover], ["drop", drop], ["paste", paste]] as const;
    for (const [name, listener] of listeners) window.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of listeners) window.removeEventListener(name, listener as EventListener);
    };
  }, []);
  return depth > 0;
}
