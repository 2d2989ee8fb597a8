import { Box, Typography } from "@mui/material";
import { ImageDown } from "lucide-react";
import { useEffect, useState } from "react";

const OURS = /\/gallery\/(img_[0-9a-f]{20})/;

/** What a page does with pictures that are dropped or pasted: files, or the id of one of our own. */
export interface Takes {
  files: (files: File[]) => void;
  ours: (id: string) => void;
}

/**
 * The whole page takes pictures that are dropped or pasted. True while something that can be taken is held over the
 * window. `takes` must stay the same from one drawing to the next.
 */
export function useDropping(takes: Takes): boolean {
  const [depth, setDepth] = useState(0);
  useEffect(() => {
    const fits = (event: DragEvent) => event.dataTransfer?.types.includes("Files") || event.dataTransfer?.types.includes("text/uri-list");
    const enter = (event: DragEvent) => fits(event) && setDepth((old) => old + 1);
    const leave = (event: DragEvent) => fits(event) && setDepth((old) => Math.max(0, old - 1));
    const hover = (event: DragEvent) => fits(event) && event.preventDefault();
    const drop = (event: DragEvent) => {
      if (!fits(event)) return;
      event.preventDefault();
      setDepth(0);
      // One of ours, dragged from a tile or from a strip, is known to the server already.
      const ours = OURS.exec(event.dataTransfer?.getData("text/uri-list") ?? "")?.[1];
      if (ours) takes.ours(ours);
      else if (event.dataTransfer?.files.length) takes.files([...event.dataTransfer.files]);
    };
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])].filter((each) => each.type.startsWith("image/"));
      if (!files.length || document.querySelector("[role=dialog]")) return;
      event.preventDefault();
      takes.files(files);
    };
    const listeners = [["dragenter", enter], ["dragleave", leave], ["dragover", hover], ["drop", drop], ["paste", paste]] as const;
    for (const [name, listener] of listeners) window.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of listeners) window.removeEventListener(name, listener as EventListener);
    };
  }, [takes]);
  return depth > 0;
}

/** Lies over the page while a picture is held over it. */
export function DropVeil({ children }: { children: string }) {
  return (
    <Box sx={{ position: "fixed", inset: 12, zIndex: 1300, display: "grid", placeItems: "center", borderRadius: "16px", border: "2px dashed", borderColor: "primary.main", bgcolor: "color-mix(in srgb, var(--a-palette-background-default) 86%, transparent)", pointerEvents: "none" }}>
      <Box sx={{ display: "grid", justifyItems: "center", gap: 2, color: "text.primary" }}>
        <ImageDown size={36} aria-hidden />
        <Typography variant="h2" component="p">{children}</Typography>
      </Box>
    </Box>
  );
}
