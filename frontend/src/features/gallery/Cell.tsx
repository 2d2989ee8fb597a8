import { Box } from "@mui/material";
import { Check } from "lucide-react";
import { memo, type MouseEvent } from "react";

import type { ImageOut } from "@/api/types";
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

export const Cell = memo(function Cell({ image, index, width, reachable, selected, selecting, onClick, onToggle }: Props) {
  return (
    <Box
      role="option"
      aria-selected={selected}
      aria-label={image.prompt}
      data-index={index}
      data-image={image.id}
      tabIndex={reachable ? 0 : -1}
      onClick={(event) => onClick(event, index)}
      sx={{
        position: "relative", height: 1, flex: "none", cursor: "pointer", borderRadius: "4px", overflow: "hidden", bgcolor: "background.sunken",
        "&:focus-visible": { outline: "3px solid", outlineColor: "primary.main", outlineOffset: "-3px", zIndex: 1 },
        "& .tick": { opacity: selected || selecting ? 1 : 0 }, "&:hover .tick, &:focus-visible .tick": { opacity: 1 },
        "&::after": selected ? { content: '""', position: "absolute", inset: 0, boxShadow: "inset 0 0 0 3px var(--a-palette-primary-main)", borderRadius: "4px" } : {},
      }}
      style={{ width }}
    >
      {image.kind === "video" ? <Loop src={image.url} poster={image.thumbnail_url} alt="" animated={image.format === "webp"} sx={{ transition: "scale 140ms ease-out", scale: selected ? "0.94" : "1" }} /> : <Box component="img" src={image.thumbnail_url} alt="" loading="lazy" decoding="async" draggable={false} sx={{ display: "block", width: 1, height: 1, objectFit: "cover", transition: "scale 140ms ease-out", scale: selected ? "0.94" : "1", borderRadius: selected ? "6px" : 0 }} />}
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
    </Box>
  );
});
