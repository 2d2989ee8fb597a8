import { Box, ButtonBase, InputBase, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { FolderPlus, Heart } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { useEditImage, useMark } from "@/api/marking";
import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";

import { CollectionMenu } from "./CollectionMenu";
import { Rate } from "./Stars";
import { TagEditor } from "./TagEditor";

const MOST_NOTE = 4000;

/** What its owner says of a picture: favourite, stars, collections, tags, a note. */
export function Opinion({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const mark = useMark();
  const collections = useQuery(queries.collections()).data ?? [];
  const [menu, setMenu] = useState<HTMLElement | null>(null);
  const mine = collections.filter((one) => image.collections?.includes(one.id));
  return (
    <Box sx={{ display: "grid", gap: 3, mb: 5 }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3 }}>
        <ButtonBase aria-pressed={image.favourite === true} aria-label={t("gallery.favourite")} onClick={() => mark.mutate({ images: [image], change: { favourite: !image.favourite } })} sx={{ width: 32, height: 32, borderRadius: "8px", color: image.favourite ? "error.main" : "text.faint", "&:hover": { bgcolor: "action.hover" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}>
          <Heart size={19} fill={image.favourite ? "currentColor" : "none"} />
        </ButtonBase>
        <Rate value={image.rating ?? 0} onChange={(rating) => mark.mutate({ images: [image], change: { rating } })} />
        <ButtonBase aria-label={t("gallery.addTo")} aria-haspopup="menu" onClick={(event) => setMenu(event.currentTarget)} sx={{ ml: "auto", width: 32, height: 32, borderRadius: "8px", color: "text.secondary", "&:hover": { bgcolor: "action.hover" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}><FolderPlus size={18} /></ButtonBase>
      </Box>
      {mine.length > 0 && <Typography variant="body2" sx={{ color: "text.secondary" }}>{t("gallery.in", { names: mine.map((one) => one.name).join(", ") })}</Typography>}
      <TagEditor images={[image]} />
      <Note key={image.id} image={image} />
      {menu && <CollectionMenu anchor={menu} images={[image]} onClose={() => setMenu(null)} />}
    </Box>
  );
}

/** Kept as it is written: a moment after the last letter, and when the field is left. */
function Note({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const edit = useEditImage();
  const [text, setText] = useState(image.note ?? "");
  const [from, setFrom] = useState(image.note ?? "");
  if (from !== (image.note ?? "")) {
    // Another tab, or the server's word on what was written here: what is being typed counts more.
    if (text === from) setText(image.note ?? "");
    setFrom(image.note ?? "");
  }
  const save = () => text !== (image.note ?? "") && edit.mutate({ image, change: { note: text } });
  const last = useRef(save);
  useEffect(() => {
    last.current = save;
  });
  useEffect(() => {
    const timer = setTimeout(() => last.current(), 700);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => () => void last.current(), []);
  return (
    <InputBase
      multiline minRows={1} maxRows={8} value={text} placeholder={t("gallery.addNote")} inputProps={{ "aria-label": t("gallery.note"), maxLength: MOST_NOTE }} onChange={(event) => setText(event.target.value)} onBlur={save}
      sx={{ fontSize: 13, lineHeight: 1.5, px: 2, py: "5px", borderRadius: "6px", border: 1, borderColor: "divider", "&.Mui-focused": { borderColor: "text.secondary" }, "& textarea:focus-visible": { outline: "none" } }}
    />
  );
}
