import { Box, Skeleton } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import { BoxLink } from "@/ui/links";
import { usePictureName } from "@/ui/pictureName";

const SIDE = 48;
const frame = { display: "block", width: SIDE, height: SIDE, borderRadius: "6px", overflow: "hidden", "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: 1 } } as const;
const whole = { display: "block", width: 1, height: 1, objectFit: "cover" } as const;

/** A picture that a recipe names by its id, small, and the way to it: of the gallery, or of those that were sent. */
export function Named({ id }: { id: string }) {
  return id.startsWith("img_") ? <Kept id={id} /> : <Sent id={id} />;
}

function Kept({ id }: { id: string }) {
  const { t } = useTranslation();
  const nameOf = usePictureName();
  const { data: image, isError } = useQuery({ ...queries.image(id), retry: false });
  if (isError) return <Gone>{t("gallery.pictureGone")}</Gone>;
  if (!image) return <Skeleton variant="rectangular" width={SIDE} height={SIDE} />;
  return (
    <BoxLink to="/gallery/$id" params={{ id }} search={(old: object) => old} resetScroll={false} aria-label={nameOf(image)} sx={frame}>
      <Box component="img" src={image.thumbnail_url} alt="" sx={whole} />
    </BoxLink>
  );
}

/** Sent pictures are kept for as long as something is made from them. */
function Sent({ id }: { id: string }) {
  const { t } = useTranslation();
  const [gone, setGone] = useState(false);
  const file = `/api/inputs/${id}/file`;
  if (gone) return <Gone>{t("gallery.pictureGone")}</Gone>;
  return (
    <Box component="a" href={file} target="_blank" rel="noopener" aria-label={t("gallery.openSent")} sx={frame}>
      <Box component="img" src={file} alt="" onError={() => setGone(true)} sx={whole} />
    </Box>
  );
}

function Gone({ children }: { children: string }) {
  return <Box component="span" sx={{ color: "text.faint" }}>{children}</Box>;
}
