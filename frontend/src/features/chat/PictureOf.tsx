import { Box } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import { BoxLink } from "@/ui/links";

import { pictureUrl } from "./drafts";

const frame = { display: "block", borderRadius: "10px", overflow: "hidden", border: 1, borderColor: "divider", bgcolor: "background.sunken", "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main" } } as const;

/** A picture that goes with a question; one of the gallery is called by its prompt and leads there. */
export function PictureOf({ id, at, of }: { id: string; at: number; of: number }) {
  const { t } = useTranslation();
  const [gone, setGone] = useState(false);
  const ours = id.startsWith("img_");
  const known = useQuery({ ...queries.image(id), enabled: ours, retry: false });
  const name = known.data?.prompt || (of > 1 ? t("chat.pictureOf", { at: at + 1, of }) : t("chat.picture"));
  if (gone) return <Box sx={{ ...frame, display: "grid", placeItems: "center", height: 96, px: 4, color: "text.faint", fontSize: 13 }}>{t("chat.pictureGone")}</Box>;
  const shown = <Box component="img" src={pictureUrl(id, true)} alt={name} title={name} loading="lazy" onError={() => setGone(true)} sx={{ display: "block", height: 144, maxWidth: 1, minWidth: 96, objectFit: "cover" }} />;
  return ours ? <BoxLink to="/gallery/$id" params={{ id }} sx={frame}>{shown}</BoxLink> : <Box component="a" href={pictureUrl(id)} target="_blank" rel="noopener" sx={frame}>{shown}</Box>;
}
