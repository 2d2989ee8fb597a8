import { Box } from "@mui/material";

import type { ImageOut } from "@/api/types";
import { usePictureName } from "@/ui/pictureName";

const STILL = "(prefers-reduced-motion: reduce)";

/** A video in the full view: plays at once and again and again, with the browser's controls; waits where motion is not wanted. */
export function Player({ video }: { video: ImageOut }) {
  const name = usePictureName()(video);
  const still = window.matchMedia(STILL).matches;
  // As wide as the picture and no wider: the controls stand on the video, not on the room beside it. Three times its size
  // at most, as pictures are.
  const fit = { display: "block", width: `min(100cqw, ${3 * video.width}px, calc(100cqh * ${video.width / video.height}))`, aspectRatio: `${video.width} / ${video.height}`, borderRadius: "2px" } as const;
  return (
    <Box sx={{ position: "absolute", inset: { xs: "8px", sm: "16px 64px" }, containerType: "size", display: "grid", placeItems: "center" }}>
      {video.format === "webp" ? <Box component="img" src={video.url} alt={name} sx={fit} /> : <Box component="video" key={video.id} src={video.url} poster={video.thumbnail_url} aria-label={name} controls loop muted playsInline autoPlay={!still} onKeyDown={(event) => event.stopPropagation()} sx={fit} />}
    </Box>
  );
}
