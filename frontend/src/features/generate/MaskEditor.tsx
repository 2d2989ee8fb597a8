import { Box, Button, Dialog, Divider, IconButton, Slider, Tooltip, Typography } from "@mui/material";
import { Brush, Contrast, Eraser, Hand, Lasso, Maximize, PaintBucket, Redo2, SquareDashed, Trash2, Undo2, X, ZoomIn, ZoomOut, type LucideIcon } from "lucide-react";
import { useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { covered, fill, invert, type Area } from "@/lib/mask";
import { percent } from "@/lib/numbers";

import { MaskCanvas, TOOLS, type CanvasHandle, type Tool } from "./MaskCanvas";
import { painted, type Painting, type Source } from "./source";
import { usePicture } from "./usePicture";

const ICONS: Record<Tool, LucideIcon> = { brush: Brush, eraser: Eraser, rectangle: SquareDashed, lasso: Lasso, move: Hand };
const KEYS: Record<string, Tool> = { b: "brush", e: "eraser", r: "rectangle", l: "lasso", h: "move" };

/** Where it is said what is to be painted anew: over the whole window, so that there is room for it on a phone as well. */
export function MaskEditor({ picture, painting, onClose }: { picture: Source; painting: Painting; onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const canvas = useRef<CanvasHandle>(null);
  const image = usePicture(picture.url);
  const { mask, steps } = painting;
  const most = Math.max(mask.width, mask.height) / 4;
  const [tool, setTool] = useState<Tool>("brush");
  const [radius, setRadius] = useState(() => Math.max(4, Math.round(Math.max(mask.width, mask.height) / 16)));
  const resize = (factor: number) => setRadius((old) => Math.min(most, Math.max(1, old * factor)));

  const whole = (change: () => Area) => {
    steps.begin();
    canvas.current?.refresh(steps.touch(change()));
    steps.end();
    painted();
  };
  const travel = (area: Area | null) => {
    canvas.current?.refresh(area);
    if (area) painted();
  };
  const [undo, redo] = [() => travel(steps.undo()), () => travel(steps.redo())];
  const all = { fill: () => whole(() => fill(mask, 255)), invert: () => whole(() => invert(mask)), clear: () => whole(() => fill(mask, 0)) };

  const onKey = (event: KeyboardEvent) => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (key === "z") (event.shiftKey ? redo : undo)();
      else if (key === "y") redo();
      else if (key === "enter") onClose();
      else return;
    } else if (event.altKey) return;
    else if (KEYS[key]) setTool(KEYS[key]);
    else if (key === "[" || key === "]") resize(key === "[" ? 1 / 1.2 : 1.2);
    else if (key === "+" || key === "=") canvas.current?.zoom(1.25);
    else if (key === "-") canvas.current?.zoom(1 / 1.25);
    else if (key === "0") canvas.current?.fit();
    else if (key === "i") all.invert();
    else if (key === "delete") all.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <Dialog open fullScreen onClose={onClose} onKeyDown={onKey} slotProps={{ paper: { "aria-label": t("mask.title"), sx: { bgcolor: "background.default", border: 0, borderRadius: 0 } } }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 1, px: { xs: 2, sm: 4 }, height: 56, borderBottom: 1, borderColor: "divider", flexShrink: 0 }}>
        <Act label={t("common.close")} onClick={onClose}><X size={19} /></Act>
        <Box sx={{ flex: 1, minWidth: 0, px: 2 }}>
          <Typography variant="h4" component="h2" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{t("mask.title")}</Typography>
          <Typography variant="caption" sx={{ color: "text.faint", display: { xs: "none", md: "block" } }}>{t("mask.hint")}</Typography>
        </Box>
        <Act label={t("mask.undo")} disabled={!steps.canUndo} onClick={undo}><Undo2 size={18} /></Act>
        <Act label={t("mask.redo")} disabled={!steps.canRedo} onClick={redo}><Redo2 size={18} /></Act>
        <Button variant="contained" onClick={onClose} sx={{ ml: 2 }}>{t("mask.done")}</Button>
      </Box>
      <Box sx={{ position: "relative", flex: 1, minHeight: 0, bgcolor: "background.sunken" }}>
        {image && <MaskCanvas ref={canvas} image={image} painting={painting} tool={tool} radius={radius} onRadius={resize} onStep={painted} />}
        <Box sx={{ position: "absolute", top: 10, right: 10, display: "flex", borderRadius: "10px", bgcolor: "background.raised", border: 1, borderColor: "divider" }}>
          <Act label={t("gallery.zoomOut")} onClick={() => canvas.current?.zoom(1 / 1.25)}><ZoomOut size={17} /></Act>
          <Act label={t("gallery.zoomIn")} onClick={() => canvas.current?.zoom(1.25)}><ZoomIn size={17} /></Act>
          <Act label={t("gallery.fit")} onClick={() => canvas.current?.fit()}><Maximize size={16} /></Act>
        </Box>
        <Typography variant="mono" role="status" sx={{ position: "absolute", top: 10, left: 10, px: 2, py: "6px", lineHeight: 1.5, borderRadius: "8px", bgcolor: "background.raised", border: 1, borderColor: "divider", color: "text.secondary" }}>
          {t("mask.covered", { share: percent(covered(mask), i18n.language) })}
        </Typography>
      </Box>
      <Box role="toolbar" aria-label={t("mask.tools")} sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", justifyContent: "center", columnGap: 1, rowGap: 0, px: 2, py: 2, borderTop: 1, borderColor: "divider", bgcolor: "background.paper", flexShrink: 0 }}>
        {TOOLS.map((each) => {
          const Icon = ICONS[each];
          return <Act key={each} label={t(`mask.tool.${each}`)} pressed={tool === each} onClick={() => setTool(each)}><Icon size={19} /></Act>;
        })}
        <Box sx={{ display: "flex", alignItems: "center", gap: 3, width: { xs: 132, sm: 180 }, mx: 3 }}>
          <Box aria-hidden sx={{ width: 6, height: 6, borderRadius: "50%", bgcolor: "text.faint", flexShrink: 0 }} />
          <Slider size="small" aria-label={t("mask.size")} value={Math.sqrt(radius)} min={1} max={Math.sqrt(most)} step={0.1} getAriaValueText={() => t("mask.pixels", { count: Math.round(2 * radius) })} onChange={(_, value) => setRadius((value as number) ** 2)} />
          <Box aria-hidden sx={{ width: 16, height: 16, borderRadius: "50%", bgcolor: "text.faint", flexShrink: 0 }} />
        </Box>
        <Divider orientation="vertical" flexItem sx={{ mx: 2, display: { xs: "none", sm: "block" } }} />
        <Act label={t("mask.fill")} onClick={all.fill}><PaintBucket size={18} /></Act>
        <Act label={t("mask.invert")} onClick={all.invert}><Contrast size={18} /></Act>
        <Act label={t("mask.clear")} onClick={all.clear}><Trash2 size={18} /></Act>
      </Box>
    </Dialog>
  );
}

function Act({ label, pressed, disabled, onClick, children }: { label: string; pressed?: boolean; disabled?: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <Tooltip title={label}>
      <span>
        <IconButton aria-label={label} aria-pressed={pressed} disabled={disabled} onClick={onClick} sx={{ width: 38, height: 38, ...(pressed && { color: "primary.main", bgcolor: "color-mix(in srgb, var(--a-palette-primary-main) 12%, transparent)" }) }}>{children}</IconButton>
      </span>
    </Tooltip>
  );
}

