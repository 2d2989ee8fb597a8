import { Box } from "@mui/material";
import { Check, Heart, Star } from "lucide-react";
import { memo, type MouseEvent } from "react";
import { useTranslation } from "react-i18next";

import type { ImageOut } from "@/api/types";
import { usePictureName } from "@/ui/pictureName";
import { Loop } from "@/ui/Video";

interface Props {
  image: ImageOut;
  index: number;
  width: number;
  reachable: boolean;
  selected: boolean;
  selecting: boolean;
  onClick: (event: MouseEvent, index: number) => void;
  onToggle: (index: number, range?: boolean) => void;
}

/** A picture that was scrolled past before it came is not fetched any more: those that are seen now would wait behind it. */
const letGo = (picture: HTMLImageElement | null) => () =>
  queueMicrotask(() => {
    if (picture && !picture.isConnected && !picture.complete) picture.removeAttribute("src");
  });

export const Cell = memo(function Cell({ image, index, width, reachable, selected, selecting, onClick, onToggle }: Props) {
  const { t } = useTranslation();
  const nameOf = usePictureName();
  return (
    <Box
      role="option"
      aria-selected={selected}
      aria-label={[nameOf(image), image.favourite && t("gallery.isFavourite"), !!image.rating && t("gallery.starsExactly", { count: image.rating })].filter(Boolean).join(", ")}
      data-index={index}
      data-image={image.id}
      tabIndex={reachable ? 0 : -1}
      onClick={(event) => onClick(event, index)}
      sx={{
        position: "relative", height: 1, flex: "none", cursor: "pointer", borderRadius: "4px", overflow: "hidden", bgcolor: "background.sunken",
        "&:focus-visible": { outline: "none", zIndex: 1 },
        "& .tick": { opacity: selected || selecting ? 1 : 0 }, "&:hover .tick, &:focus-visible .tick": { opacity: 1 },
        "&::after": selected ? { content: '""', position: "absolute", inset: 0, boxShadow: "inset 0 0 0 3px var(--a-palette-primary-main)", borderRadius: "4px" } : {},
        // Above the picture: an outline would lie under it.
        "&:focus-visible::after": { content: '""', position: "absolute", inset: 0, border: "3px solid", borderColor: "primary.main", borderRadius: "4px" },
      }}
      style={{ width }}
    >
      {image.kind === "video" ? <Loop src={image.url} poster={image.thumbnail_url} alt="" animated={image.format === "webp"} sx={{ transition: "scale 140ms ease-out", scale: selected ? "0.94" : "1" }} /> : <Box component="img" ref={letGo} src={image.thumbnail_url} alt="" loading="lazy" decoding="async" draggable={false} sx={{ display: "block", width: 1, height: 1, objectFit: "cover", transition: "scale 140ms ease-out", scale: selected ? "0.94" : "1", borderRadius: selected ? "6px" : 0 }} />}
      <Box
        className="tick"
        aria-hidden
        onClick={(event) => {
          event.stopPropagation();
          onToggle(index, event.shiftKey);
        }}
        sx={{ position: "absolute", zIndex: 1, top: 8, left: 8, width: 24, height: 24, borderRadius: "50%", display: "grid", placeItems: "center", border: "1.5px solid #fff", bgcolor: selected ? "primary.main" : "rgb(13 16 21 / 0.45)", color: selected ? "primary.contrastText" : "#fff", transition: "opacity 120ms ease-out" }}
      >
        {selected && <Check size={14} strokeWidth={3} />}
      </Box>
      {(image.favourite || !!image.rating) && (
        <Box aria-hidden sx={{ position: "absolute", left: 6, bottom: 6, display: "flex", alignItems: "center", gap: "5px", px: "6px", height: 20, borderRadius: "10px", bgcolor: "rgb(13 16 21 / 0.55)", color: "#fff", fontSize: 12, fontWeight: 600 }}>
          {image.favourite && <Heart size={12} fill="currentColor" strokeWidth={0} />}
          {!!image.rating && <Box component="span" sx={{ display: "flex", alignItems: "center", gap: "2px" }}>{image.rating}<Star size={11} fill="currentColor" strokeWidth={0} /></Box>}
        </Box>
      )}
    </Box>
  );
});
