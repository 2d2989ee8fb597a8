import { Box, Typography } from "@mui/material";
import { useState } from "react";

import { roundTop } from "@/lib/chart";
import { seriesColour } from "@/lib/series";

interface Day { key: string; name: string; /** One on top of the other. */ values: readonly number[]; /** Told, not drawn. */ aside: number }
interface Props { label: string; /** What all the days together are called. */ whole: string; days: readonly Day[]; parts: readonly string[]; aside: string; /** Of each part, then of what is told aside. */ sums: readonly number[]; write: (value: number) => string; top: (value: number) => string }

const HEIGHT = 120;

/** A bar for each day, in parts: above stand the figures of all days, or of the one pointed at or reached with the arrow keys. */
export function DayChart({ label, whole, days, parts, aside, sums, write, top }: Props) {
  const [chosen, setChosen] = useState<number | null>(null);
  const day = chosen === null ? undefined : days[chosen];
  const max = roundTop(Math.max(1, ...days.map((one) => one.values.reduce((sum, value) => sum + value, 0))));
  const shown = day ? [...day.values, day.aside] : sums;
  const names = [...parts, aside];
  const step = (by: number) => setChosen((at) => Math.min(days.length - 1, Math.max(0, (at ?? days.length - (by < 0 ? 0 : 1)) + by)));
  const point = (event: React.PointerEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    setChosen(Math.min(days.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * days.length))));
  };
  return (
    <Box>
      <Box sx={{ display: "flex", flexWrap: "wrap", columnGap: 8, rowGap: 2, alignItems: "baseline" }}>
        {shown.map((value, index) => (
          <Box key={names[index]} sx={{ minWidth: 96 }}>
            <Box sx={{ display: "flex", alignItems: "center", gap: 2, fontSize: 13, color: "text.secondary" }}>
              {index < parts.length && <Box component="span" aria-hidden sx={{ width: 8, height: 8, borderRadius: "2px", bgcolor: seriesColour(index) }} />}
              {names[index]}
            </Box>
            <Typography sx={{ fontSize: 20, lineHeight: "30px", fontWeight: 620, letterSpacing: "-0.01em" }}>{write(value)}</Typography>
          </Box>
        ))}
        <Typography variant="caption" sx={{ ml: "auto", color: "text.faint", whiteSpace: "nowrap" }}>{day?.name ?? whole}</Typography>
      </Box>
      <Box
        tabIndex={0}
        role="slider"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={days.length - 1}
        aria-valuenow={chosen ?? days.length - 1}
        aria-valuetext={`${day?.name ?? whole}: ${shown.map((value, index) => `${names[index]} ${write(value)}`).join(", ")}`}
        onKeyDown={(event) => {
          const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!by) return;
          event.preventDefault();
          step(by);
        }}
        onBlur={() => setChosen(null)}
        onPointerMove={point}
        onPointerDown={point}
        onPointerLeave={() => setChosen(null)}
        sx={{ position: "relative", display: "grid", gridAutoFlow: "column", gridAutoColumns: "minmax(0, 1fr)", height: HEIGHT, mt: 4, touchAction: "pan-y", borderRadius: "4px", borderBottom: 1, borderColor: "divider", backgroundImage: "linear-gradient(var(--a-palette-divider), var(--a-palette-divider))", backgroundSize: "100% 1px", backgroundRepeat: "no-repeat" }}
      >
        {days.map((one, at) => (
          <Box key={one.key} aria-hidden sx={{ display: "flex", flexDirection: "column-reverse", alignItems: "center", height: HEIGHT - 1, bgcolor: at === chosen ? "action.hover" : undefined }}>
            {one.values.map((value, part) => <Box key={part} sx={{ width: "64%", maxWidth: 28, flexShrink: 0, bgcolor: seriesColour(part), "&:last-of-type": { borderRadius: "2px 2px 0 0" } }} style={{ height: value > 0 ? Math.max(1, (value / max) * (HEIGHT - 1)) : 0 }} />)}
          </Box>
        ))}
        <Box component="span" aria-hidden sx={{ position: "absolute", top: 2, left: 0, fontSize: 11, lineHeight: "14px", px: "3px", borderRadius: "3px", color: "text.faint", bgcolor: "background.paper", opacity: 0.85, pointerEvents: "none" }}>{top(max)}</Box>
      </Box>
      <Box aria-hidden sx={{ display: "flex", justifyContent: "space-between", mt: 1, fontSize: 12, color: "text.faint" }}><span>{days[0]?.name}</span><span>{days.at(-1)?.name}</span></Box>
    </Box>
  );
}
