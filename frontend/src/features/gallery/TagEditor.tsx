import { Box, Button, ButtonBase, InputBase } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMark } from "@/api/marking";
import { queries } from "@/api/queries";
import type { Picked } from "@/api/types";
import { plainTag, shared } from "@/lib/marks";
import { Frame } from "@/ui/Frame";

export const MOST_TAGS = 20;

/** The tags of some pictures: what all have, what some have, and a field for another. Each change is made at once. */
export function TagEditor({ images, autoFocus }: { images: Picked[]; autoFocus?: boolean }) {
  const { t } = useTranslation();
  const mark = useMark();
  const list = useId();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const facets = useQuery(queries.facets()).data;
  const tags = shared(images.map((image) => image.tags ?? []));
  const known = (facets?.tags ?? []).map((tag) => tag.name).filter((name) => !tags.some(([tag, count]) => tag === name && count === images.length));
  const full = images.some((image) => (image.tags?.length ?? 0) >= MOST_TAGS);
  const add = (words: string) => {
    const found = words.split(",").map(plainTag).filter(Boolean);
    setText("");
    if (found.length) mark.mutate({ images, change: { add_tags: found } });
  };
  return (
    <Box sx={{ display: "flex", flexWrap: "wrap", gap: 1, alignItems: "center" }}>
      {tags.map(([tag, count]) => (
        <Box key={tag} sx={{ display: "inline-flex", alignItems: "center", height: 26, pl: "9px", borderRadius: "13px", border: 1, borderStyle: count < images.length ? "dashed" : "solid", borderColor: "divider", bgcolor: "background.sunken", fontSize: 13, maxWidth: 1 }}>
          <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{tag}{count < images.length && <Box component="span" sx={{ color: "text.faint" }}> {count}</Box>}</Box>
          {count < images.length && <ButtonBase aria-label={t("gallery.tagAll", { tag })} onClick={() => add(tag)} sx={{ width: 20, height: 24, color: "text.faint" }}><Plus size={12} /></ButtonBase>}
          <ButtonBase aria-label={t("gallery.untag", { tag })} onClick={() => { mark.mutate({ images, change: { remove_tags: [tag] } }); input.current?.focus(); }} sx={{ width: 24, height: 24, borderRadius: "12px", color: "text.faint", "&:hover": { color: "text.primary" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}><X size={12} /></ButtonBase>
        </Box>
      ))}
      <InputBase
        inputRef={input} value={text} autoFocus={autoFocus} disabled={full} placeholder={t(full ? "gallery.tagsFull" : "gallery.addTag", { max: MOST_TAGS })} inputProps={{ "aria-label": t("gallery.addTag"), list, maxLength: 200, "data-tags": "" }}
        onChange={(event) => (event.target.value.endsWith(",") ? add(event.target.value) : setText(event.target.value))}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !text.trim()) return;
          event.preventDefault();
          add(text);
        }}
        onBlur={() => text.trim() && add(text)}
        sx={{ flex: 1, minWidth: 110, height: 32, fontSize: 13, px: 2, borderRadius: "6px", border: 1, borderColor: "divider", "&.Mui-focused": { borderColor: "text.secondary" }, "& input:focus-visible": { outline: "none" } }}
      />
      <datalist id={list}>{known.map((name) => <option key={name} value={name} />)}</datalist>
    </Box>
  );
}

export function TagDialog({ images, onClose }: { images: Picked[]; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Frame title={t("gallery.tagsOf", { count: images.length })} note={t("gallery.tagsHint")} onClose={onClose} onSubmit={onClose} actions={<Button variant="contained" type="submit">{t("gallery.done")}</Button>}>
      <TagEditor images={images} autoFocus />
    </Frame>
  );
}
