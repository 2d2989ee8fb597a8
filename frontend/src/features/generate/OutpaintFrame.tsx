import { Box } from "@mui/material";
import { useLayoutEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { useTranslation } from "react-i18next";

import { EDGES, grown, MOST_GROWTH, moveEdge, type Edge, type Growth } from "@/lib/frame";
import type { Limits } from "@/lib/sizes";

import type { Source } from "./source";
import { changeTask } from "./tasks";

const STRIPES = "repeating-linear-gradient(135deg, transparent 0 5px, color-mix(in srgb, var(--a-palette-primary-main) 34%, transparent) 5px 7px)";

/** The picture in a frame whose edges can be dragged outwards, or moved with the arrow keys. */
export function OutpaintFrame({ picture, growth, limits }: { picture: Source; growth: Growth; limits: Limits }) {
  const { t } = useTranslation();
  const root = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState({ width: 0, height: 0 });
  /** While an edge is dragged the scale stays, so that it follows the hand. */
  const [held, setHeld] = useState<{ edge: Edge; from: number; start: number; scale: number } | null>(null);
  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    const measure = () => setRoom({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const outer = grown(picture, growth);
  const scale = held?.scale ?? Math.min(room.width / Math.max(picture.width * 1.6, outer.width * 1.2), room.height / Math.max(picture.height * 1.6, outer.height * 1.2));
  const set = (edge: Edge, pixels: number) => changeTask({ growth: moveEdge(growth, edge, pixels, picture, limits) });

  const down = (edge: Edge) => (event: PointerEvent<HTMLElement>) => {
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    event.currentTarget.focus();
    setHeld({ edge, from: along(edge, event), start: growth[edge], scale });
  };
  const drag = (event: PointerEvent) => {
    if (held) set(held.edge, held.start + (along(held.edge, event) - held.from) / held.scale);
  };
  const onKey = (edge: Edge) => (event: KeyboardEvent) => {
    const outwards = { left: "ArrowLeft", right: "ArrowRight", top: "ArrowUp", bottom: "ArrowDown" }[edge];
    const inwards = { left: "ArrowRight", right: "ArrowLeft", top: "ArrowDown", bottom: "ArrowUp" }[edge];
    const by = event.key === outwards ? 1 : event.key === inwards ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    set(edge, growth[edge] + by * limits.multiple * (event.shiftKey ? 4 : 1));
  };
  return (
    <Box ref={root} sx={{ position: "absolute", inset: 0, display: "grid", placeItems: "center", overflow: "hidden" }}>
      {room.width > 0 && (
        <Box sx={{ position: "relative", border: "1.5px dashed", borderColor: "primary.main", backgroundImage: STRIPES, boxSizing: "content-box", transition: held ? "none" : "width 140ms ease-out, height 140ms ease-out" }} style={{ width: outer.width * scale, height: outer.height * scale }}>
          <Box component="img" src={picture.url} alt={t("task.pictureAlt", { name: picture.name })} draggable={false} sx={{ position: "absolute", display: "block", userSelect: "none" }} style={{ left: growth.left * scale, top: growth.top * scale, width: picture.width * scale, height: picture.height * scale }} />
          {EDGES.map((edge) => {
            const across = edge === "left" || edge === "right";
            return (
              <Box
                key={edge}
                role="slider"
                tabIndex={0}
                aria-label={t(`task.edge.${edge}`)}
                aria-orientation={across ? "horizontal" : "vertical"}
                aria-valuemin={0}
                aria-valuemax={MOST_GROWTH}
                aria-valuenow={growth[edge]}
                aria-valuetext={t("mask.pixels", { count: growth[edge] })}
                data-edge={edge}
                onPointerDown={down(edge)}
                onPointerMove={drag}
                onPointerUp={() => setHeld(null)}
                onPointerCancel={() => setHeld(null)}
                onKeyDown={onKey(edge)}
                sx={{
                  position: "absolute", touchAction: "none", cursor: across ? "ew-resize" : "ns-resize", display: "grid", placeItems: "center", "&:focus-visible": { outline: "none" },
                  ...(across ? { top: 0, bottom: 0, width: 24, [edge]: -13 } : { left: 0, right: 0, height: 24, [edge]: -13 }),
                  "&::after": { content: '""', borderRadius: "3px", bgcolor: "background.raised", border: "1.5px solid", borderColor: "primary.main", ...(across ? { width: 7, height: 26 } : { width: 26, height: 7 }) },
                  "&:focus-visible::after": { boxShadow: "0 0 0 4px color-mix(in srgb, var(--a-palette-primary-main) 36%, transparent)" },
                }}
              />
            );
          })}
        </Box>
      )}
    </Box>
  );
}

/** How far out the pointer is, in the direction in which this edge grows. */
function along(edge: Edge, event: { clientX: number; clientY: number }): number {
  return { left: -event.clientX, right: event.clientX, top: -event.clientY, bottom: event.clientY }[edge];
}
