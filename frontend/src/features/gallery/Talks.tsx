import { Box, Divider, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";
import { TextLink } from "@/ui/links";

/** The conversations in which a picture was shown. Nothing, while there is none. */
export function Talks({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const talks = useQuery(queries.talksAbout(image.id)).data;
  if (!talks?.length) return null;
  return (
    <>
      <Divider sx={{ my: 4 }} />
      <Typography variant="overline" component="h3" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("gallery.talks")}</Typography>
      <Box component="ul" sx={{ listStyle: "none", m: 0, p: 0, display: "grid", gap: 1 }}>
        {talks.map((talk) => <li key={talk.id}><TextLink to="/chat/$id" params={{ id: talk.id }} variant="body2">{talk.title || t("chat.untitled")}</TextLink></li>)}
      </Box>
    </>
  );
}
