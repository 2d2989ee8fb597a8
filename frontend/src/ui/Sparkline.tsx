import { Box } from "@mui/material";

/** A line over time without axes; values 0..1, newest right. `slots` is how many fit, so that it grows from the right. */
export function Sparkline({ values, label, slots = 60, height = 36, colour = "var(--a-palette-primary-main)" }: { values: readonly number[]; label: string; slots?: number; height?: number; colour?: string }) {
  const step = 100 / (slots - 1);
  const points = values.map((value, index) => {
    const x = 100 - (values.length - 1 - index) * step;
    return [x, (1 - Math.min(1, Math.max(0, value))) * (height - 3) + 1.5] as const;
  });
  const line = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(1)}`).join("");
  const first = points[0]?.[0] ?? 100;
  return (
    <Box component="svg" role="img" aria-label={label} viewBox={`0 0 100 ${height}`} preserveAspectRatio="none" sx={{ width: "100%", height, display: "block", overflow: "visible" }}>
      <line x1="0" x2="100" y1={height - 0.5} y2={height - 0.5} stroke="var(--a-palette-divider)" strokeWidth="1" vectorEffect="non-scaling-stroke" />
      {points.length > 1 && (
        <>
          <path d={`${line}L100 ${height}L${first.toFixed(2)} ${height}Z`} fill={colour} opacity="0.12" />
          <path d={line} fill="none" stroke={colour} strokeWidth="1.5" strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
        </>
      )}
    </Box>
  );
}
