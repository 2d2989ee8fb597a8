import { Box, type SxProps } from "@mui/material";
import { Play } from "lucide-react";
import { useEffect, useRef, useState } from "react";

interface Props {
  src: string;
  poster: string;
  alt: string;
  /** An animated picture plays as a picture. */
  animated: boolean;
  sx?: SxProps;
}

const STILL = "(prefers-reduced-motion: reduce)";

/** A short video as a picture among pictures: its poster until it is pointed at, or what it lies in is focused; then a silent loop. */
export function Loop({ src, poster, alt, animated, sx }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const [plays, setPlays] = useState(false);
  useEffect(() => {
    const around = root.current?.closest("a, [role=option], [data-tile]") ?? root.current;
    const begin = () => setPlays(!window.matchMedia(STILL).matches);
    const end = () => setPlays(false);
    const listeners = [["pointerenter", begin], ["pointerleave", end], ["focusin", begin], ["focusout", end]] as const;
    for (const [name, listener] of listeners) around?.addEventListener(name, listener);
    return () => {
      for (const [name, listener] of listeners) around?.removeEventListener(name, listener);
    };
  }, []);
  const cover = { position: "absolute", inset: 0, width: 1, height: 1, objectFit: "cover", display: "block" } as const;
  return (
    <Box ref={root} data-video={plays ? "plays" : "rests"} sx={[{ position: "absolute", inset: 0 }, ...(Array.isArray(sx) ? sx : [sx])]}>
      <Box component="img" src={plays && animated ? src : poster} alt={alt} loading="lazy" decoding="async" draggable={false} sx={cover} />
      {plays && !animated && <Box component="video" src={src} poster={poster} muted loop autoPlay playsInline disablePictureInPicture aria-hidden tabIndex={-1} sx={cover} />}
      {!plays && (
        <Box aria-hidden sx={{ position: "absolute", left: 8, bottom: 8, width: 28, height: 28, borderRadius: "50%", display: "grid", placeItems: "center", color: "#f2f5f9", bgcolor: "rgb(13 16 21 / 0.72)", pointerEvents: "none" }}>
          <Play size={14} fill="currentColor" style={{ marginLeft: 2 }} />
        </Box>
      )}
    </Box>
  );
}
