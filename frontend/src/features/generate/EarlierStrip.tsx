import { Box, Skeleton, Typography } from "@mui/material";
import { useInfiniteQuery } from "@tanstack/react-query";
import { ArrowRight } from "lucide-react";
import { memo, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import { useSignal } from "@/lib/signal";
import { BoxLink, TextLink } from "@/ui/links";
import { usePictureName } from "@/ui/pictureName";

import { shown } from "./useGenerate";

const HEIGHT = 124;
const MOST = 40;

/** What was made before, in one line that scrolls. One tab stop: the arrow keys, Home and End move along it. */
export const EarlierStrip = memo(function EarlierStrip() {
  const { t } = useTranslation();
  const nameOf = usePictureName();
  const ours = useSignal(shown);
  const gallery = useInfiniteQuery(queries.gallery());
  const images = (gallery.data?.pages[0]?.items ?? []).filter((image) => !ours.includes(image.job_id)).slice(0, MOST);
  const strip = useRef<HTMLDivElement>(null);
  // By id and not by place: new pictures come in from the left.
  const [reached, setReached] = useState<string | null>(null);
  const at = Math.max(0, images.findIndex((image) => image.id === reached));
  const onKey = (event: KeyboardEvent) => {
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: images.length - 1 }[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    strip.current?.querySelectorAll("a")[Math.min(images.length - 1, Math.max(0, next))]?.focus();
  };
  if (gallery.isPending) return <Skeleton aria-busy variant="rectangular" height={HEIGHT} sx={{ mt: 8 }} />;
  if (images.length === 0) return null;
  return (
    <Box component="section" aria-labelledby="earlier" sx={{ mt: 4, minWidth: 0 }}>
      <Box sx={{ display: "flex", alignItems: "baseline", justifyContent: "space-between", mb: 2 }}>
        <Typography variant="h4" component="h2" id="earlier">{t("generate.earlier")}</Typography>
        <TextLink to="/gallery" sx={{ display: "inline-flex", alignItems: "center", gap: 1, py: 1, my: -1, fontSize: 13, color: "text.secondary" }}>
          {t("generate.allPictures")} <ArrowRight size={14} aria-hidden />
        </TextLink>
      </Box>
      <Box ref={strip} role="group" aria-labelledby="earlier" onKeyDown={onKey} sx={{ display: "flex", gap: 2, overflowX: "auto", pb: 3, borderRadius: "8px", scrollSnapType: "x proximity" }}>
        {images.map((image, index) => (
          <BoxLink key={image.id} to="/gallery/$id" params={{ id: image.id }} title={nameOf(image)} tabIndex={index === at ? 0 : -1} onFocus={() => setReached(image.id)} sx={{ flex: "none", scrollSnapAlign: "start", borderRadius: "8px", "&:focus-visible": { outlineOffset: -3 } }}>
            <Box component="img" src={image.thumbnail_url} alt={nameOf(image)} loading="lazy" decoding="async" sx={{ display: "block", height: HEIGHT, aspectRatio: `${image.width} / ${image.height}`, objectFit: "cover", borderRadius: "8px", bgcolor: "background.sunken" }} />
          </BoxLink>
        ))}
      </Box>
    </Box>
  );
});
