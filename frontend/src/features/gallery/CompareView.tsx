import { Box, Dialog, IconButton, Skeleton, Tooltip, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ArrowLeftRight, Columns2, Heart, Maximize, SquareSplitHorizontal, Trash2, X, ZoomIn, ZoomOut } from "lucide-react";
import { useEffect, useId, useRef, useState, type PointerEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useDeleteImages } from "@/api/actions";
import { asProblem } from "@/api/errors";
import { useMark } from "@/api/marking";
import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";
import { stored, store } from "@/lib/browser";
import { ErrorNote } from "@/ui/ErrorNote";
import { Segmented } from "@/ui/Segmented";

import { Differences } from "./Differences";
import { FITTED, fitted, moved, zoomed, type View } from "./zoom";

const route = getRouteApi("/gallery/compare/$one/$other");
type Way = "beside" | "over";

/** Two pictures at the same zoom, beside each other or one over the other; below, in what their recipes differ. */
export function CompareView() {
  const { t } = useTranslation();
  const { one, other } = route.useParams();
  const title = useId();
  const go = route.useNavigate();
  const remove = useDeleteImages();
  const asked = [useQuery({ ...queries.image(one), retry: false }), useQuery({ ...queries.image(other), retry: false })];
  const [a, b] = [asked[0]?.data, asked[1]?.data];
  const [way, setWay] = useState<Way>(() => stored<Way>("compare", "beside"));
  const [view, setView] = useState<View>(FITTED);
  const failed = asked.find((each) => each.isError);
  const problem = failed ? asProblem(failed.error) : null;
  const close = () => void go({ to: "/gallery", search: (old) => old, resetScroll: false });
  const swap = () => void go({ to: "/gallery/compare/$one/$other", params: { one: other, other: one }, search: (old) => old, replace: true, resetScroll: false });
  /** The other one is what stays. */
  const drop = (image: ImageOut) => {
    void go({ to: "/gallery/$id", params: { id: image.id === one ? other : one }, search: (old) => old, replace: true, resetScroll: false });
    remove.mutate([image]);
  };
  const choose = (next: Way) => {
    setWay(next);
    store("compare", next);
  };
  const key = (event: React.KeyboardEvent) => {
    if (event.key === "+" || event.key === "=") setView((old) => zoomed(old, 1.4));
    else if (event.key === "-") setView((old) => zoomed(old, 1 / 1.4));
    else if (event.key === "0") setView(FITTED);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog open fullScreen onClose={close} onKeyDown={key} aria-labelledby={title} slotProps={{ paper: { sx: { bgcolor: "background.default", border: 0, borderRadius: 0 } } }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 1, px: { xs: 2, sm: 4 }, height: 56, borderBottom: 1, borderColor: "divider", flexShrink: 0 }}>
        <Tool label={t("common.close")} onClick={close}><X size={19} /></Tool>
        <Typography id={title} component="h2" sx={{ fontWeight: 600, px: 2, display: { xs: "none", md: "block" } }}>{t("gallery.compareTitle")}</Typography>
        <Box sx={{ mx: "auto", minWidth: { xs: 150, sm: 300 } }}>
          <Segmented<Way> label={t("gallery.compareWay")} value={way} onChange={choose} options={[{ value: "beside", label: <Option Icon={Columns2} text={t("gallery.beside")} />, name: t("gallery.beside") }, { value: "over", label: <Option Icon={SquareSplitHorizontal} text={t("gallery.over")} />, name: t("gallery.over") }]} />
        </Box>
        <Box sx={{ display: { xs: "none", sm: "flex" } }}>
          <Tool label={t("gallery.zoomOut")} onClick={() => setView((old) => zoomed(old, 1 / 1.4))}><ZoomOut size={18} /></Tool>
          <Tool label={t("gallery.zoomIn")} onClick={() => setView((old) => zoomed(old, 1.4))}><ZoomIn size={18} /></Tool>
        </Box>
        <Tool label={t("gallery.fit")} onClick={() => setView(FITTED)}><Maximize size={17} /></Tool>
        <Tool label={t("gallery.swap")} onClick={swap}><ArrowLeftRight size={18} /></Tool>
      </Box>
      <Box sx={{ flex: 1, minHeight: 0, overflow: "auto", display: "flex", flexDirection: "column" }}>
        {problem ? <Box sx={{ p: 6 }}><ErrorNote title={t("gallery.compareFailed")} error={problem} details={problem.details} onRetry={() => asked.forEach((each) => void each.refetch())} /></Box> : (
          <>
            <Box sx={{ flex: "1 0 auto", height: { xs: way === "beside" ? "76vh" : "46vh", md: "60vh" }, display: "flex", flexDirection: { xs: "column", sm: "row" }, gap: "2px", bgcolor: "divider" }}>
              {!a || !b ? <Skeleton variant="rectangular" sx={{ flex: 1, height: "auto" }} aria-busy /> : way === "beside" ? (
                <>
                  <Pane label="A" view={view} onView={setView} images={[a]} onGone={drop} />
                  <Pane label="B" view={view} onView={setView} images={[b]} onGone={drop} />
                </>
              ) : <Pane view={view} onView={setView} images={[a, b]} onGone={drop} />}
            </Box>
            {a && b && <Differences one={a} other={b} />}
          </>
        )}
      </Box>
    </Dialog>
  );
}

/** One picture, or the first of two over the second up to a line that can be moved. */
function Pane({ images, label, view, onView, onGone }: { images: ImageOut[]; label?: string; view: View; onView: (change: (old: View) => View) => void; onGone: (image: ImageOut) => void }) {
  const { t, i18n } = useTranslation();
  const root = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState({ width: 0, height: 0 });
  const [split, setSplit] = useState(50);
  const drag = useRef<{ x: number; y: number } | null>(null);
  const [under, over] = images.length > 1 ? [images[1], images[0]] : [images[0], undefined];
  const size = under ? fitted(under, { width: room.width - 24, height: room.height - 24 }) : { width: 1, height: 1 };
  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setRoom({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const turn = useRef((_event: WheelEvent) => {});
  useEffect(() => {
    turn.current = (event) => {
      event.preventDefault();
      const box = root.current?.getBoundingClientRect();
      const [px, py] = box ? [(event.clientX - box.left - box.width / 2) / size.width, (event.clientY - box.top - box.height / 2) / size.height] : [0, 0];
      onView((old) => zoomed(old, Math.exp(-event.deltaY * 0.002), px, py));
    };
  });
  useEffect(() => {
    const element = root.current;
    const wheel = (event: WheelEvent) => turn.current(event);
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  }, []);
  const onMove = (event: PointerEvent) => {
    const from = drag.current;
    if (!from) return;
    const [dx, dy] = [(event.clientX - from.x) / size.width, (event.clientY - from.y) / size.height];
    drag.current = { x: event.clientX, y: event.clientY };
    onView((old) => moved(old, dx, dy));
  };
  const place = { width: size.width, height: size.height, transform: `translate(${view.x * size.width}px, ${view.y * size.height}px) scale(${view.zoom})` };
  // The line stands still while the picture moves beneath it: the cut is counted from the room.
  const cut = over ? (((split / 100 - 0.5) * room.width) / size.width - view.x) / view.zoom + 0.5 : 1;
  return (
    <Box
      ref={root}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        drag.current = { x: event.clientX, y: event.clientY };
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={onMove} onPointerUp={() => (drag.current = null)} onPointerCancel={() => (drag.current = null)}
      onDoubleClick={() => onView((old) => (old.zoom > 1 ? FITTED : zoomed(old, 3)))}
      sx={{ position: "relative", flex: 1, minHeight: 0, overflow: "hidden", display: "grid", placeItems: "center", bgcolor: "background.sunken", touchAction: "none", cursor: view.zoom > 1 ? "grab" : "zoom-in" }}
    >
      {room.width > 0 && [under, over].map((image, index) => image && (
        <Box key={image.id} component="img" src={image.url} alt={image.prompt} draggable={false} data-view={`${view.zoom.toFixed(2)} ${view.x.toFixed(3)} ${view.y.toFixed(3)}`} sx={{ gridArea: "1 / 1", maxWidth: "none", userSelect: "none", objectFit: "contain" }} style={{ ...place, ...(index === 1 && { clipPath: `inset(0 ${(1 - Math.min(1, Math.max(0, cut))) * 100}% 0 0)` }) }} />
      ))}
      {over && (
        <>
          <Box aria-hidden sx={{ position: "absolute", insetBlock: 0, width: "2px", bgcolor: "#fff", boxShadow: "0 0 0 1px rgb(0 0 0 / 0.35)", pointerEvents: "none" }} style={{ left: `${split}%` }} />
          <Box
            component="input" type="range" min={0} max={100} step={0.5} value={split} aria-label={t("gallery.splitAt")} aria-valuetext={new Intl.NumberFormat(i18n.language, { style: "percent" }).format(split / 100)} onChange={(event: React.ChangeEvent<HTMLInputElement>) => setSplit(Number(event.target.value))} onPointerDown={(event: PointerEvent) => event.stopPropagation()} onDoubleClick={(event: React.MouseEvent) => event.stopPropagation()}
            sx={{ position: "absolute", bottom: 14, left: 0, width: 1, m: 0, height: 36, appearance: "none", bgcolor: "transparent", cursor: "ew-resize", "&::-webkit-slider-thumb": { appearance: "none", width: 36, height: 36, borderRadius: "50%", bgcolor: "background.raised", border: "1px solid", borderColor: "text.disabled", boxShadow: "0 2px 8px rgb(0 0 0 / 0.3)" }, "&::-moz-range-thumb": { width: 34, height: 34, borderRadius: "50%", bgcolor: "background.raised", border: "1px solid", borderColor: "text.disabled" } }}
          />
        </>
      )}
      {label && <Letter sx={{ left: 10 }}>{label}</Letter>}
      {over && <><Letter sx={{ left: 10 }}>A</Letter><Letter sx={{ right: 10 }}>B</Letter></>}
      {label && under && <Choice image={under} label={label} onGone={() => onGone(under)} />}
      {over && under && <><Choice image={over} label="A" onGone={() => onGone(over)} /><Choice image={under} label="B" right onGone={() => onGone(under)} /></>}
    </Box>
  );
}

/** Which of the two is it? Said at the picture itself. */
function Choice({ image, label, right, onGone }: { image: ImageOut; label: string; right?: boolean; onGone: () => void }) {
  const { t } = useTranslation();
  const mark = useMark();
  return (
    <Box onPointerDown={(event) => event.stopPropagation()} onDoubleClick={(event) => event.stopPropagation()} sx={{ position: "absolute", top: 4, [right ? "right" : "left"]: 38, display: "flex", bgcolor: "rgb(13 16 21 / 0.7)", borderRadius: "8px", "& .MuiIconButton-root": { color: "#fff" } }}>
      <Tooltip title={t("gallery.favourite")}><IconButton aria-label={`${label}: ${t("gallery.favourite")}`} aria-pressed={image.favourite} onClick={() => mark.mutate({ images: [image], change: { favourite: !image.favourite } })} sx={{ width: 36, height: 36 }}><Heart size={17} fill={image.favourite ? "currentColor" : "none"} /></IconButton></Tooltip>
      <Tooltip title={t("common.delete")}><IconButton aria-label={`${label}: ${t("common.delete")}`} onClick={onGone} sx={{ width: 36, height: 36 }}><Trash2 size={17} /></IconButton></Tooltip>
    </Box>
  );
}

function Letter({ sx, children }: { sx: object; children: ReactNode }) {
  return <Box sx={{ position: "absolute", top: 10, minWidth: 24, height: 24, borderRadius: "6px", display: "grid", placeItems: "center", bgcolor: "rgb(13 16 21 / 0.7)", color: "#fff", fontSize: 13, fontWeight: 600, ...sx }}>{children}</Box>;
}

function Option({ Icon, text }: { Icon: typeof Columns2; text: string }) {
  return <Box component="span" sx={{ display: "flex", alignItems: "center", gap: "6px" }}><Icon size={15} aria-hidden /><Box component="span" sx={{ display: { xs: "none", sm: "inline" } }}>{text}</Box></Box>;
}

function Tool({ label, onClick, children }: { label: string; onClick: () => void; children: ReactNode }) {
  return <Tooltip title={label}><IconButton aria-label={label} onClick={onClick}>{children}</IconButton></Tooltip>;
}
