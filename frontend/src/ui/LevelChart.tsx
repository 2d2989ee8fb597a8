import { Box, Typography } from "@mui/material";
import { useState } from "react";

import { roundTop } from "@/lib/chart";
import { levelsOf, type LevelLine } from "@/lib/levels";
import { seriesColour } from "@/lib/series";

interface Props { title: string; lines: readonly LevelLine[]; axis: string; write: (value: number) => string }

const WIDTH = 1000;
const HEIGHT = 132;

/** Lines over levels, evenly spaced: the values of the level that is pointed at or reached with the arrow keys stand above. */
export function LevelChart({ title, lines, axis, write }: Props) {
  const levels = levelsOf(lines);
  const [chosen, setChosen] = useState<number | null>(null);
  const at = chosen === null ? levels.length - 1 : Math.min(chosen, levels.length - 1);
  const max = roundTop(Math.max(0, ...lines.flatMap((line) => line.points.map((point) => point.value))));
  const x = (level: number) => (levels.length < 2 ? WIDTH / 2 : (WIDTH * levels.indexOf(level)) / (levels.length - 1));
  const y = (value: number) => HEIGHT * (1 - value / max);
  const level = levels[at];
  const choose = (share: number) => setChosen(Math.round(Math.min(1, Math.max(0, share)) * (levels.length - 1)));
  const step = { ArrowRight: 1, ArrowLeft: -1 } as Record<string, number>;
  return (
    <Box>
      <Box sx={{ display: "flex", justifyContent: "space-between", gap: 2, fontSize: 13, color: "text.secondary" }}>
        <span>{title}</span>
        {level !== undefined && <Typography variant="caption" sx={{ color: "text.faint", whiteSpace: "nowrap" }}>{`${axis} ${level}`}</Typography>}
      </Box>
      <Box sx={{ display: "grid", gap: 1, mt: 1, mb: 3, fontSize: 13, gridTemplateColumns: "minmax(0, 1fr)" }}>
        {lines.map((line, index) => {
          const found = line.points.find((point) => point.level === level);
          return (
            <Box key={line.key} sx={{ display: "flex", alignItems: "center", gap: 2, minWidth: 0 }}>
              <Box sx={{ width: 10, height: 3, borderRadius: "2px", bgcolor: seriesColour(index), flexShrink: 0 }} />
              <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", color: "text.secondary" }}>{line.name}</Box>
              <Box component="span" sx={{ ml: "auto", fontWeight: 600, whiteSpace: "nowrap" }}>{found ? write(found.value) : "–"}</Box>
            </Box>
          );
        })}
      </Box>
      <Box
        tabIndex={0}
        role="slider"
        aria-label={`${title}, ${axis}`}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, levels.length - 1)}
        aria-valuenow={Math.max(0, at)}
        aria-valuetext={level === undefined ? "" : [`${axis} ${level}`, ...lines.map((line) => { const found = line.points.find((point) => point.level === level); return `${line.name}: ${found ? write(found.value) : "–"}`; })].join("; ")}
        onKeyDown={(event) => { const by = step[event.key]; if (by) { event.preventDefault(); setChosen(Math.min(levels.length - 1, Math.max(0, at + by))); } }}
        onPointerMove={(event) => { const box = event.currentTarget.getBoundingClientRect(); choose((event.clientX - box.left) / box.width); }}
        onPointerLeave={() => setChosen(null)}
        sx={{ position: "relative", touchAction: "pan-y", borderRadius: "4px" }}
      >
        <Box component="svg" aria-hidden viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" sx={{ display: "block", width: 1, height: HEIGHT, overflow: "visible", "& path, & line": { vectorEffect: "non-scaling-stroke" } }}>
          {[0, HEIGHT / 2, HEIGHT].map((height) => <line key={height} x1="0" x2={WIDTH} y1={height} y2={height} stroke="var(--a-palette-divider)" />)}
          {level !== undefined && levels.length > 1 && <line x1={x(level)} x2={x(level)} y1="0" y2={HEIGHT} stroke="var(--a-palette-text-faint)" strokeDasharray="3 3" />}
          {lines.map((line, index) => line.points.length > 1 && <path key={line.key} d={`M${line.points.map((point) => `${x(point.level)} ${y(point.value).toFixed(1)}`).join("L")}`} fill="none" stroke={seriesColour(index)} strokeWidth="1.75" strokeLinejoin="round" />)}
        </Box>
        {lines.map((line, index) => line.points.map((point) => (
          <Box key={`${line.key}${point.level}`} aria-hidden sx={{ position: "absolute", width: 7, height: 7, borderRadius: "50%", translate: "-50% -50%", bgcolor: seriesColour(index), boxShadow: "0 0 0 2px var(--a-palette-background-paper)", pointerEvents: "none" }} style={{ left: `${x(point.level) / 10}%`, top: y(point.value) }} />
        )))}
        <Box component="span" aria-hidden sx={{ position: "absolute", top: 2, left: 0, fontSize: 11, lineHeight: "14px", px: "3px", borderRadius: "3px", color: "text.faint", bgcolor: "background.paper", opacity: 0.85, pointerEvents: "none" }}>{write(max)}</Box>
      </Box>
      <Box aria-hidden sx={{ position: "relative", height: 18, mt: 1, fontSize: 12, color: "text.faint" }}>
        {levels.map((each, index) => <Box key={each} component="span" sx={{ position: "absolute", translate: index === 0 && levels.length > 1 ? "0" : index === levels.length - 1 && levels.length > 1 ? "-100%" : "-50%" }} style={{ left: `${x(each) / 10}%` }}>{each}</Box>)}
      </Box>
    </Box>
  );
}
