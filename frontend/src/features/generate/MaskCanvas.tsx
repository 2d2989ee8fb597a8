import { Box } from "@mui/material";
import { useEffect, useImperativeHandle, useRef, useState, type KeyboardEvent, type PointerEvent, type Ref } from "react";
import { useTranslation } from "react-i18next";

import { lasso, rectangle, stroke, type Area, type Point } from "@/lib/mask";

import { Easel } from "./easel";
import type { Painting } from "./source";

export const TOOLS = ["brush", "eraser", "rectangle", "lasso", "move"] as const;
export type Tool = (typeof TOOLS)[number];

export interface CanvasHandle {
  zoom: (factor: number) => void;
  fit: () => void;
  refresh: (area: Area | null) => void;
}

interface Props {
  ref: Ref<CanvasHandle>;
  image: HTMLImageElement;
  painting: Painting;
  tool: Tool;
  /** Of the brush, in pixels of the mask. */
  radius: number;
  onRadius: (factor: number) => void;
  /** A step is done. */
  onStep: () => void;
}

type Gesture =
  | { kind: "stroke"; erase: boolean; last: Point & { radius: number } }
  | { kind: "rectangle" | "lasso"; erase: boolean; points: Point[] }
  | { kind: "move" | "pinch" | "none"; last: Point; distance: number };

const ERASER_OF_A_PEN = 32;

/** The picture under its mask: draws with mouse, pen, finger and keyboard; two fingers, the wheel and the move tool change the view. */
export function MaskCanvas({ ref, image, painting, tool, radius, onRadius, onStep }: Props) {
  const { t } = useTranslation();
  const canvas = useRef<HTMLCanvasElement>(null);
  const easel = useRef<Easel | null>(null);
  const pointers = useRef(new Map<number, Point>());
  const gesture = useRef<Gesture | null>(null);
  const [cursor, setCursor] = useState<{ at: Point; keyboard: boolean } | null>(null);
  const [scale, setScale] = useState(1);
  const { mask, steps } = painting;

  useEffect(() => {
    const element = canvas.current;
    const room = element?.parentElement;
    if (!element || !room) return;
    const made = new Easel(element, mask, image);
    easel.current = made;
    const measure = () => {
      made.resize(room.clientWidth, room.clientHeight);
      setScale(made.scale);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(room);
    return () => {
      observer.disconnect();
      made.stop();
      easel.current = null;
    };
  }, [mask, image]);

  const zoom = (factor: number, at?: Point) => {
    easel.current?.zoom(factor, at);
    setScale(easel.current?.scale ?? 1);
  };
  useImperativeHandle(ref, () => ({
    zoom,
    fit: () => {
      easel.current?.fit();
      setScale(easel.current?.scale ?? 1);
    },
    refresh: (area) => easel.current?.refresh(area),
  }));

  useEffect(() => {
    const element = canvas.current;
    // React's wheel listener is passive; this one keeps the page from scrolling and the browser from zooming.
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const factor = Math.exp(-event.deltaY * 0.0018);
      if (event.ctrlKey || event.metaKey || tool === "move") zoom(factor, { x: event.offsetX, y: event.offsetY });
      else onRadius(factor);
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  });

  const place = (event: { clientX: number; clientY: number }): Point => {
    const box = canvas.current?.getBoundingClientRect();
    return { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
  };
  /** A pen draws as wide as it is pressed. */
  const tip = (event: { pointerType: string; pressure: number; clientX: number; clientY: number }) => {
    const point = easel.current?.toMask(place(event)) ?? { x: 0, y: 0 };
    return { ...point, radius: event.pointerType === "pen" ? radius * (0.25 + 0.75 * event.pressure) : radius };
  };
  const apply = (area: Area) => easel.current?.refresh(steps.touch(area));

  const middle = () => {
    const [a, b] = [...pointers.current.values()];
    return a && b ? { last: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }, distance: Math.hypot(a.x - b.x, a.y - b.y) } : null;
  };

  const down = (event: PointerEvent<HTMLCanvasElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    const at = place(event);
    pointers.current.set(event.pointerId, at);
    if (pointers.current.size > 1) {
      // A second finger: it was no stroke after all.
      easel.current?.refresh(steps.drop());
      easel.current?.outline(null);
      gesture.current = { kind: "pinch", ...(middle() ?? { last: at, distance: 1 }) };
      return;
    }
    const erase = tool === "eraser" || event.button === 2 || event.altKey || (event.buttons & ERASER_OF_A_PEN) > 0;
    if (event.button === 1 || tool === "move") {
      gesture.current = { kind: "move", last: at, distance: 1 };
      return;
    }
    steps.begin();
    if (tool === "rectangle" || tool === "lasso") {
      gesture.current = { kind: tool, erase, points: [easel.current?.toMask(at) ?? at] };
      return;
    }
    const from = tip(event);
    gesture.current = { kind: "stroke", erase, last: from };
    apply(stroke(mask, from, from, erase));
  };

  const drag = (event: PointerEvent<HTMLCanvasElement>) => {
    const at = place(event);
    if (event.pointerType !== "touch") setCursor({ at, keyboard: false });
    if (!pointers.current.has(event.pointerId)) return;
    pointers.current.set(event.pointerId, at);
    const now = gesture.current;
    if (now?.kind === "stroke") {
      const moves = event.nativeEvent.getCoalescedEvents?.() ?? [];
      for (const each of moves.length ? moves : [event.nativeEvent]) {
        const to = tip(each);
        apply(stroke(mask, now.last, to, now.erase));
        now.last = to;
      }
    } else if (now?.kind === "rectangle" || now?.kind === "lasso") {
      const point = easel.current?.toMask(at) ?? at;
      now.points = now.kind === "lasso" ? [...now.points, point] : [now.points[0] ?? point, point];
      easel.current?.outline({ kind: now.kind, points: now.points });
    } else if (now?.kind === "move") {
      easel.current?.move(at.x - now.last.x, at.y - now.last.y);
      now.last = at;
    } else if (now?.kind === "pinch") {
      const next = middle();
      if (!next) return;
      easel.current?.move(next.last.x - now.last.x, next.last.y - now.last.y);
      zoom(next.distance / Math.max(1, now.distance), next.last);
      Object.assign(now, next);
    }
  };

  const up = (event: PointerEvent) => {
    pointers.current.delete(event.pointerId);
    const now = gesture.current;
    if (now?.kind === "rectangle" || now?.kind === "lasso") {
      const [first, last] = [now.points[0], now.points.at(-1)];
      if (first && last) apply(now.kind === "lasso" ? lasso(mask, now.points, now.erase) : rectangle(mask, first, last, now.erase));
      easel.current?.outline(null);
    }
    if (now && now.kind !== "move" && now.kind !== "pinch" && now.kind !== "none") {
      steps.end();
      onStep();
    }
    // After two fingers the one that stays down draws nothing.
    gesture.current = pointers.current.size > 0 ? { kind: "none", last: { x: 0, y: 0 }, distance: 1 } : null;
  };

  const onKey = (event: KeyboardEvent<HTMLCanvasElement>) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const here = easel.current;
    if (!here || event.ctrlKey || event.metaKey) return;
    const from = cursor?.at ?? { x: event.currentTarget.clientWidth / 2, y: event.currentTarget.clientHeight / 2 };
    const pace = Math.max(2, (radius * here.scale) / 2);
    const to = by ? { x: from.x + (by[0] ?? 0) * pace, y: from.y + (by[1] ?? 0) * pace } : from;
    const draws = event.key === " " || event.key === "Enter" || (by && event.shiftKey);
    if (!by && !draws) return;
    event.preventDefault();
    setCursor({ at: to, keyboard: true });
    if (!draws) return;
    steps.begin();
    apply(stroke(mask, { ...here.toMask(from), radius }, { ...here.toMask(to), radius }, tool === "eraser"));
    steps.end();
    onStep();
  };

  const brush = tool === "brush" || tool === "eraser";
  const size = Math.max(4, 2 * radius * scale);
  return (
    <Box sx={{ position: "absolute", inset: 0, overflow: "hidden" }}>
      <Box
        component="canvas"
        ref={canvas}
        role="application"
        tabIndex={0}
        aria-label={t("mask.canvas")}
        aria-description={t("mask.canvasKeys")}
        onPointerDown={down}
        onPointerMove={drag}
        onPointerUp={up}
        onPointerCancel={up}
        onPointerLeave={() => setCursor((old) => (old?.keyboard ? old : null))}
        onKeyDown={onKey}
        onFocus={(event) => event.currentTarget.matches(":focus-visible") && setCursor((old) => old ?? { at: { x: event.currentTarget.clientWidth / 2, y: event.currentTarget.clientHeight / 2 }, keyboard: true })}
        onBlur={() => setCursor(null)}
        onContextMenu={(event) => event.preventDefault()}
        sx={{ position: "absolute", inset: 0, width: 1, height: 1, display: "block", touchAction: "none", cursor: tool === "move" ? "grab" : brush ? "none" : "crosshair", "&:focus-visible": { outlineOffset: -3 } }}
      />
      {cursor && (brush || cursor.keyboard) && (
        <Box
          aria-hidden
          sx={{ position: "absolute", top: 0, left: 0, borderRadius: "50%", pointerEvents: "none", border: "1.5px solid #fff", boxShadow: "0 0 0 1.5px rgb(8 12 20 / 0.75), inset 0 0 0 1px rgb(8 12 20 / 0.5)", ...(tool === "eraser" && { borderStyle: "dashed" }) }}
          style={{ width: size, height: size, transform: `translate(${cursor.at.x - size / 2}px, ${cursor.at.y - size / 2}px)` }}
        />
      )}
    </Box>
  );
}
