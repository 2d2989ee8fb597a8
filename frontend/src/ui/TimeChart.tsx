import { Box, Typography } from "@mui/material";
import { useRef, useState, type PointerEvent } from "react";

import { nearest, paths, windowed, xOf, yOf, type Frame, type Point } from "@/lib/chart";

export interface Line { key: string; name: string; colour: string; points: readonly Point[] }
interface Props {
  lines: readonly Line[];
  label: string;
  now: number;
  seconds: number;
  max: number;
  /** A value as people read it. */
  write: (value: number) => string;
  /** A moment as people read it. */
  time: (at: number) => string;
  from: string;
  to: string;
  height?: number;
}

const WIDTH = 1000;

/** Lines over the last minutes: three grid lines, the top of the axis, and the values under the pointer. */
export function TimeChart({ lines, label, now, seconds, max, write, time, from, to, height = 92 }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number | null>(null); // a share of the width: the chart moves under a pointer that rests
  const frame: Frame = { now, seconds, max, width: WIDTH, height };
  const shown = lines.map((line) => ({ ...line, points: windowed(line.points, now, seconds) }));
  const at = pointed === null ? null : now - seconds * (1 - pointed);
  const found = at === null ? [] : shown.flatMap((line) => { const point = nearest(line.points, at); return point ? [{ ...line, point }] : []; });
  const cross = found[0]?.point.at;
  const move = (event: PointerEvent) => {
    const box = root.current?.getBoundingClientRect();
    if (box) setPointed(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  };
  return (
    <Box>
      <Box ref={root} onPointerMove={move} onPointerDown={move} onPointerLeave={() => setPointed(null)} sx={{ position: "relative", touchAction: "pan-y" }}>
        <Box component="svg" role="img" aria-label={label} viewBox={`0 0 ${WIDTH} ${height}`} preserveAspectRatio="none" sx={{ display: "block", width: "100%", height, overflow: "hidden", "& path, & line": { vectorEffect: "non-scaling-stroke" } }}>
          {[0.5, height / 2, height - 0.5].map((y) => <line key={y} x1="0" x2={WIDTH} y1={y} y2={y} stroke="var(--a-palette-divider)" />)}
          {shown.map((line) => {
            const drawn = paths(line.points, frame);
            return (
              <g key={line.key}>
                {shown.length === 1 && <path d={drawn.area} fill={line.colour} opacity="0.1" />}
                <path d={drawn.line} fill="none" stroke={line.colour} strokeWidth="1.5" strokeLinejoin="round" />
              </g>
            );
          })}
          {cross !== undefined && <line x1={xOf(cross, frame)} x2={xOf(cross, frame)} y1="0" y2={height} stroke="var(--a-palette-text-faint)" strokeDasharray="3 3" />}
        </Box>
        <Box component="span" aria-hidden sx={{ position: "absolute", top: 2, left: 0, fontSize: 11, lineHeight: "14px", px: "3px", borderRadius: "3px", color: "text.faint", bgcolor: "background.paper", opacity: 0.85 }}>{write(max)}</Box>
        {cross !== undefined && found.map((line) => (
          <Box key={line.key} aria-hidden sx={{ position: "absolute", width: 7, height: 7, borderRadius: "50%", translate: "-50% -50%", bgcolor: line.colour, boxShadow: "0 0 0 2px var(--a-palette-background-paper)", pointerEvents: "none" }} style={{ left: `${xOf(line.point.at, frame) / 10}%`, top: yOf(line.point.value ?? 0, frame) }} />
        ))}
        {cross !== undefined && <Readout left={xOf(cross, frame) / WIDTH} time={time(cross)} values={found.map((line) => [line.key, line.name, line.colour, write(line.point.value ?? 0)])} />}
      </Box>
      <Box aria-hidden sx={{ display: "flex", justifyContent: "space-between", mt: 1, fontSize: 12, lineHeight: 1.45, color: "text.faint" }}>
        <span>{from}</span>
        <span>{to}</span>
      </Box>
    </Box>
  );
}

function Readout({ left, time, values }: { left: number; time: string; values: [string, string, string, string][] }) {
  return (
    <Box aria-hidden sx={{ position: "absolute", bottom: "calc(100% + 4px)", zIndex: 2, px: 2, py: 1, borderRadius: "6px", bgcolor: "background.raised", border: 1, borderColor: "divider", boxShadow: "0 6px 18px -8px rgb(8 12 20 / 0.35)", pointerEvents: "none", whiteSpace: "nowrap", fontSize: 12 }} style={left > 0.5 ? { right: `${(1 - left) * 100}%` } : { left: `${left * 100}%` }}>
      <Typography variant="caption" sx={{ color: "text.faint", display: "block" }}>{time}</Typography>
      {values.map(([key, name, colour, value]) => (
        <Box key={key} sx={{ display: "flex", alignItems: "center", gap: 2 }}>
          <Box sx={{ width: 8, height: 2, borderRadius: "1px", bgcolor: colour }} />
          {values.length > 1 && <Box component="span" sx={{ color: "text.secondary" }}>{name}</Box>}
          <Box component="span" sx={{ fontWeight: 600, ml: "auto" }}>{value}</Box>
        </Box>
      ))}
    </Box>
  );
}
