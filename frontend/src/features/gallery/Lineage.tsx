import { Box, Divider, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";
import { BoxLink, TextLink } from "@/ui/links";
import { usePictureName } from "@/ui/pictureName";

const SHOWN = 9;

/** What a picture was made from, and what came of it. Nothing, while there is neither. */
export function Lineage({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const nameOf = usePictureName();
  const lineage = useQuery(queries.lineage(image.id)).data;
  if (!lineage || (lineage.made_from.length === 0 && lineage.became.length === 0)) return null;
  const row = (title: string, images: ImageOut[]) => images.length > 0 && (
    <Box sx={{ mb: 3 }}>
      <Typography variant="overline" component="h3" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{title}</Typography>
      <Box sx={{ display: "flex", flexWrap: "wrap", gap: 1 }}>
        {images.slice(0, SHOWN).map((one) => (
          <BoxLink key={one.id} to="/gallery/$id" params={{ id: one.id }} search={(old: object) => old} replace resetScroll={false} aria-label={nameOf(one)} sx={{ width: 62, height: 62, borderRadius: "6px", overflow: "hidden", "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: 1 } }}>
            <Box component="img" src={one.thumbnail_url} alt="" loading="lazy" sx={{ display: "block", width: 1, height: 1, objectFit: "cover" }} />
          </BoxLink>
        ))}
      </Box>
    </Box>
  );
  return (
    <>
      <Divider sx={{ my: 4 }} />
      {row(t("gallery.madeFrom"), lineage.made_from)}
      {row(t("gallery.became"), lineage.became)}
      {lineage.became.length > SHOWN && <TextLink to="/gallery" search={{ parent: image.id }} variant="body2">{t("gallery.showChildren", { count: lineage.became.length })}</TextLink>}
    </>
  );
}
