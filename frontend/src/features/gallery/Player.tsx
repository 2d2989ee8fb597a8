import { Box } from "@mui/material";

import type { ImageOut } from "@/api/types";

const STILL = "(prefers-reduced-motion: reduce)";

/** A video in the full view: plays at once and again and again, with the browser's controls; waits where motion is not wanted. */
export function Player({ video }: { video: ImageOut }) {
  const still = window.matchMedia(STILL).matches;
  const fit = { position: "absolute", inset: { xs: "8px", sm: "16px 64px" }, width: { xs: "calc(100% - 16px)", sm: "calc(100% - 128px)" }, height: { xs: "calc(100% - 16px)", sm: "calc(100% - 32px)" }, objectFit: "contain", borderRadius: "2px" } as const;
  if (video.format === "webp") return <Box component="img" src={video.url} alt={video.prompt} sx={fit} />;
  return <Box component="video" key={video.id} src={video.url} poster={video.thumbnail_url} aria-label={video.prompt} controls loop muted playsInline autoPlay={!still} onKeyDown={(event) => event.stopPropagation()} sx={fit} />;
}
