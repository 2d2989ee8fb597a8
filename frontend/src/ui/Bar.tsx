import { Box } from "@mui/material";

/** What a bar runs on: seen in the light and in the dark. */
export const TRACK = "color-mix(in srgb, var(--a-palette-text-primary) 14%, transparent)";

/** A thin progress bar. `value` 0..1, or null while the end is unknown. */
export function Bar({ value, label, tone = "primary.main" }: { value: number | null; label: string; tone?: string }) {
  return (
    <Box
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value === null ? undefined : Math.round(value * 100)}
      sx={{ height: 4, borderRadius: "2px", bgcolor: TRACK, overflow: "hidden", position: "relative" }}
    >
      <Box
        sx={{
          position: "absolute", inset: 0, borderRadius: "2px", bgcolor: tone, transformOrigin: "left",
          transition: "transform 200ms ease-out",
          ...(value === null && { width: "28%", animation: "bar-wander 1.6s ease-in-out infinite", "@keyframes bar-wander": { "0%": { left: "-28%" }, "100%": { left: "100%" } } }),
        }}
        style={value === null ? undefined : { transform: `scaleX(${value})` }}
      />
    </Box>
  );
}
