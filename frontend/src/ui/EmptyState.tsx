import { Box, Typography } from "@mui/material";
import type { ReactNode } from "react";

/** An empty page teaches: one picture, one sentence, one button. */
export function EmptyState({ art, title, text, children }: { art?: ReactNode; title: string; text: string; children?: ReactNode }) {
  return (
    <Box sx={{ display: "grid", justifyItems: "center", textAlign: "center", py: { xs: 12, md: "72px" }, px: 4 }}>
      {art && <Box sx={{ mb: 4, color: "text.faint" }}>{art}</Box>}
      <Typography variant="h2" component="p">{title}</Typography>
      <Typography sx={{ color: "text.secondary", mt: 2, maxWidth: 440, textWrap: "balance" }}>{text}</Typography>
      {children && <Box sx={{ mt: 6 }}>{children}</Box>}
    </Box>
  );
}

/** Three overlapping frames, the middle one with a little hill and sun: a wall where pictures will hang. */
export function FramesArt() {
  return (
    <svg width="148" height="92" viewBox="0 0 148 92" fill="none" aria-hidden>
      <g stroke="currentColor" strokeWidth="1.5" opacity=".55">
        <rect x="6" y="22" width="50" height="58" rx="7" transform="rotate(-7 31 51)" />
        <rect x="92" y="22" width="50" height="58" rx="7" transform="rotate(7 117 51)" />
      </g>
      <rect x="42" y="8" width="64" height="72" rx="9" fill="var(--a-palette-background-paper)" stroke="currentColor" strokeWidth="1.5" />
      <circle cx="87" cy="28" r="6" fill="var(--a-palette-primary-main)" />
      <path d="M48 66l15-19 11 12 8-8 18 20v1a4 4 0 0 1-4 4H52a5 5 0 0 1-5-5z" fill="currentColor" opacity=".22" />
    </svg>
  );
}
