import { Box } from "@mui/material";

/** A thin progress bar. `value` 0..1, or null while the end is unknown. */
export function Bar({ value, label, tone = "primary.main" }: { value: number | null; label: string; tone?: string }) {
  return (
    <Box
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value === null ? undefined : Math.round(value * 100)}
      sx={{ height: 4, borderRadius: "2px", bgcolor: "background.sunken", overflow: "hidden", position: "relative", boxShadow: (t) => `inset 0 0 0 1px ${t.vars.palette.divider}` }}
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
