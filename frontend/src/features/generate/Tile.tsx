import { Box, Typography } from "@mui/material";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { ImageOut, PreviewOut } from "@/api/types";
import { Loop } from "@/ui/Video";
import { BoxLink } from "@/ui/links";

import { TileActions } from "./TileActions";

interface Props {
  number: number;
  aspect: number;
  image: ImageOut | undefined;
  preview: PreviewOut | undefined;
  progress: number;
  state: "waiting" | "making" | "ended";
  prompt: string;
}

/** One picture from nothing to done in the same frame: its place is reserved, the preview comes into focus, the file replaces it. */
export function Tile({ number, aspect, image, preview, progress, state, prompt }: Props) {
  const { t } = useTranslation();
  const [loaded, setLoaded] = useState<string | null>(null);
  const ready = image !== undefined && loaded === image.id;
  return (
    <Box
      data-tile={image ? "image" : preview ? "preview" : state}
      sx={{
        position: "relative", overflow: "hidden", borderRadius: "10px", bgcolor: "background.sunken", boxShadow: (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}`,
        "&:hover .tile-actions, &:focus-within .tile-actions": { opacity: 1 },
      }}
      style={{ aspectRatio: aspect }}
    >
      {!image && state === "ended" && (
        <Typography variant="caption" data-place tabIndex={-1} sx={{ position: "absolute", inset: 0, borderRadius: "10px", "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: "-3px" }, display: "grid", placeItems: "center", color: "text.faint" }}>{t("generate.deletedTile")}</Typography>
      )}
      {!image && !preview && state !== "ended" && <Waiting number={number} moving={state === "making"} />}
      {preview && !ready && (state !== "ended" || image) && (
        <Box component="img" src={preview.data_url} alt={preview.final ? t("generate.pictureOf", { number, prompt }) : t("generate.making", { number })} sx={{ ...cover, transition: "filter 200ms ease-out, scale 200ms ease-out" }} style={image || preview.final ? undefined : { filter: `blur(${((1 - progress) * 6).toFixed(1)}px)`, scale: 1 + (1 - progress) * 0.1 }} />
      )}
      {image && (
        <BoxLink data-place to="/gallery/$id" params={{ id: image.id }} aria-label={t("generate.pictureOf", { number, prompt })} sx={{ position: "absolute", inset: 0, borderRadius: "10px", "&:focus-visible": { outlineOffset: -3 } }}>
          {image.kind === "video" ? (
            <Loop src={image.url} poster={image.thumbnail_url} alt={prompt} animated={image.format === "webp"} />
          ) : (
            <Box
              component="img"
              src={image.url}
              alt={prompt}
              decoding="async"
              onLoad={() => setLoaded(image.id)}
              sx={{ ...cover, opacity: ready ? 1 : 0, transition: "opacity 180ms ease-out" }}
            />
          )}
        </BoxLink>
      )}
      {image && <TileActions image={image} />}
    </Box>
  );
}

const cover = { position: "absolute", inset: 0, width: 1, height: 1, objectFit: "cover", display: "block" } as const;

function Waiting({ number, moving }: { number: number; moving: boolean }) {
  return (
    <Box
      sx={{
        position: "absolute", inset: 0, display: "grid", placeItems: "center", color: "text.disabled", fontSize: 13,
        ...(moving && {
          "&::after": { content: '""', position: "absolute", inset: 0, background: "linear-gradient(100deg, transparent 30%, color-mix(in srgb, var(--a-palette-text-primary) 6%, transparent) 50%, transparent 70%)", backgroundSize: "220% 100%", animation: "tile-shine 1.8s linear infinite" },
          "@keyframes tile-shine": { from: { backgroundPositionX: "180%" }, to: { backgroundPositionX: "-60%" } },
        }),
      }}
    >
      {number}
    </Box>
  );
}
