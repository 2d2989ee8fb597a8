import { Box, IconButton, Tooltip, Typography } from "@mui/material";
import { Maximize, ZoomIn, ZoomOut } from "lucide-react";
import { useEffect, useRef, useState, type PointerEvent } from "react";
import { useTranslation } from "react-i18next";

import type { ImageOut } from "@/api/types";

const MOST = 16;
const MARGIN = 16;
/** Where there is room, the arrows to the neighbours stand beside the picture. */
const ASIDE = 64;
const ROOMY = 700;
/** The zoom bar has a floor of its own below the fitted picture; only what is zoomed in goes under it. */
const BAR = 34;
const FLOOR = BAR + 2 * 10;

/** The picture, fitted; wheel or buttons zoom, dragging moves, a double click changes between fit and actual pixels. */
export function Stage({ image }: { image: ImageOut }) {
  const { t, i18n } = useTranslation();
  const root = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState({ width: 0, height: 0 });
  const [view, setView] = useState<{ scale: number; x: number; y: number } | null>(null);
  const drag = useRef<{ x: number; y: number } | null>(null);
  // Small pictures are shown up to three times their size, so that 256 pixels are not a stamp.
  const fit = Math.min(3, (room.width - 2 * (room.width < ROOMY ? MARGIN : ASIDE)) / image.width, (room.height - MARGIN - FLOOR) / image.height);
  const scale = view?.scale ?? Math.max(0.05, fit);

  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setRoom({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const zoom = (factor: number) => setView((old) => {
    const from = old ?? { scale, x: 0, y: 0 };
    const to = Math.min(MOST, Math.max(0.05, from.scale * factor));
    return { scale: to, x: (from.x * to) / from.scale, y: (from.y * to) / from.scale };
  });
  const zoomRef = useRef(zoom);
  useEffect(() => {
    zoomRef.current = zoom;
  });
  useEffect(() => {
    const element = root.current;
    // React's wheel listener is passive; this one keeps the page from scrolling.
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      zoomRef.current(Math.exp(-event.deltaY * 0.002));
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  }, []);

  const onMove = (event: PointerEvent) => {
    if (!drag.current) return;
    const [dx, dy] = [event.clientX - drag.current.x, event.clientY - drag.current.y];
    drag.current = { x: event.clientX, y: event.clientY };
    setView((old) => ({ scale, x: (old?.x ?? 0) + dx, y: (old?.y ?? 0) + dy }));
  };
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent" }).format(scale);
  return (
    <Box
      ref={root}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        drag.current = { x: event.clientX, y: event.clientY };
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={onMove}
      onPointerUp={() => (drag.current = null)}
      onPointerCancel={() => (drag.current = null)}
      onDoubleClick={() => setView(view ? null : { scale: 1, x: 0, y: 0 })}
      sx={{ position: "absolute", inset: 0, overflow: "hidden", display: "grid", placeItems: "center", pt: `${MARGIN}px`, pb: `${FLOOR}px`, touchAction: "none", cursor: "grab", "&:active": { cursor: "grabbing" } }}
    >
      {room.width > 0 && (
        <Box
          component="img"
          src={image.url}
          alt={image.prompt}
          draggable={false}
          sx={{ display: "block", maxWidth: "none", gridArea: "1 / 1", background: `center / cover url("${image.thumbnail_url}")`, borderRadius: "2px", userSelect: "none" }}
          style={{ width: image.width * scale, height: image.height * scale, transform: `translate(${view?.x ?? 0}px, ${view?.y ?? 0}px)`, imageRendering: scale >= 4 ? "pixelated" : "auto" }}
        />
      )}
      <Box onPointerDown={(event) => event.stopPropagation()} onDoubleClick={(event) => event.stopPropagation()} sx={{ position: "absolute", bottom: 10, height: BAR, justifySelf: "center", display: "flex", alignItems: "center", borderRadius: "10px", bgcolor: "background.raised", border: 1, borderColor: "divider", cursor: "default" }}>
        <Tooltip title={t("gallery.zoomOut")}><IconButton size="small" aria-label={t("gallery.zoomOut")} onClick={() => zoom(1 / 1.4)}><ZoomOut size={17} /></IconButton></Tooltip>
        <Tooltip title={t("gallery.actual")}>
          <Typography component="button" variant="mono" aria-label={`${percent}, ${t("gallery.actual")}`} onClick={() => setView({ scale: 1, x: 0, y: 0 })} sx={{ width: 52, alignSelf: "stretch", border: 0, bgcolor: "transparent", color: "text.secondary", cursor: "pointer", borderRadius: "6px", textAlign: "center" }}>
            {percent}
          </Typography>
        </Tooltip>
        <Tooltip title={t("gallery.zoomIn")}><IconButton size="small" aria-label={t("gallery.zoomIn")} onClick={() => zoom(1.4)}><ZoomIn size={17} /></IconButton></Tooltip>
        <Tooltip title={t("gallery.fit")}><IconButton size="small" aria-label={t("gallery.fit")} onClick={() => setView(null)}><Maximize size={16} /></IconButton></Tooltip>
      </Box>
    </Box>
  );
}
