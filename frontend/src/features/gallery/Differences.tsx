import { Box, FormControlLabel, Switch } from "@mui/material";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { ImageOut } from "@/api/types";

import { differences, wordsApart, type Word } from "./apart";
import { Named } from "./Named";

const LONG = new Set(["prompt", "negative_prompt"]);
/** These name a picture by its id: it is looked at, not read. */
const PICTURES = new Set(["image", "mask"]);
/** What the forms call it already. */
const ELSEWHERE = {
  left: "task.edge.left", right: "task.edge.right", top: "task.edge.top", bottom: "task.edge.bottom", feather: "task.feather", fit: "task.fit", fps: "task.fps", image: "gallery.madeFrom",
  mask_blur: "mask.blur", only_masked: "mask.onlyMasked", padding: "mask.padding", fill: "mask.under", clip_skip: "generate.clipSkip",
} as const;

/** What the forms call a value. */
const VALUES: Record<string, string> = { task: "task.names", fit: "task.fits", fill: "mask.fills" };

/** Two recipes as a table: what differs is marked and comes with a sign, not by colour alone. */
export function Differences({ one, other }: { one: ImageOut; other: ImageOut }) {
  const { t, i18n } = useTranslation();
  const [all, setAll] = useState(false);
  const rows = differences(one, other);
  const apart = rows.filter((row) => !row.same);
  const shown = all ? rows : apart;
  const name = (key: string) => {
    if (key in ELSEWHERE) return t(ELSEWHERE[key as keyof typeof ELSEWHERE]);
    return i18n.exists(`gallery.recipeNames.${key}`) ? t(`gallery.recipeNames.${key}` as "gallery.recipeNames.prompt") : key.replaceAll("_", " ");
  };
  const value = (row: string, text: string) => {
    const group = VALUES[row];
    return group && i18n.exists(`${group}.${text}`) ? t(`${group}.${text}` as "task.names.change") : text;
  };
  const cell = { p: "7px 12px", verticalAlign: "top", overflowWrap: "anywhere", borderTop: 1, borderColor: "divider", textAlign: "start" } as const;
  return (
    <Box sx={{ px: { xs: 2, sm: 4 }, py: 3, bgcolor: "background.paper", borderTop: 1, borderColor: "divider" }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3, flexWrap: "wrap" }}>
        <Box component="p" role="status" sx={{ m: 0, fontWeight: 550 }}>{apart.length ? t("gallery.differ", { count: apart.length }) : t("gallery.noDifference")}</Box>
        <FormControlLabel sx={{ ml: "auto", mr: 0, "& .MuiFormControlLabel-label": { fontSize: 13 } }} control={<Switch size="small" checked={all} onChange={(event) => setAll(event.target.checked)} />} label={t("gallery.showAllRows")} />
      </Box>
      {shown.length > 0 && (
        <Box component="table" aria-label={t("gallery.compareTitle")} sx={{ width: 1, borderCollapse: "collapse", fontSize: 13, tableLayout: "fixed", mt: 1 }}>
          <Box component="thead"><Box component="tr"><Box component="th" scope="col" sx={{ ...cell, width: { xs: 88, sm: 150 }, border: 0, color: "text.faint", fontWeight: 450 }}>{t("gallery.recipe")}</Box><Box component="th" scope="col" sx={{ ...cell, border: 0 }}>A</Box><Box component="th" scope="col" sx={{ ...cell, border: 0 }}>B</Box></Box></Box>
          <Box component="tbody">
            {shown.map((row) => {
              const [left, right] = LONG.has(row.name) ? wordsApart(row.one, row.other) : [[{ text: value(row.name, row.one), own: !row.same }], [{ text: value(row.name, row.other), own: !row.same }]];
              return (
                <Box component="tr" key={row.name} data-differs={!row.same || undefined}>
                  <Box component="th" scope="row" sx={{ ...cell, color: row.same ? "text.faint" : "text.primary", fontWeight: row.same ? 450 : 600 }}>{row.same ? "" : "≠ "}{name(row.name)}</Box>
                  <Box component="td" sx={cell}>{PICTURES.has(row.name) && row.one ? <Named id={row.one} /> : <Words words={left} />}</Box>
                  <Box component="td" sx={cell}>{PICTURES.has(row.name) && row.other ? <Named id={row.other} /> : <Words words={right} />}</Box>
                </Box>
              );
            })}
          </Box>
        </Box>
      )}
    </Box>
  );
}

function Words({ words }: { words: Word[] }) {
  if (words.every((word) => word.text === "")) return <Box component="span" sx={{ color: "text.faint" }}>–</Box>;
  return words.map((word, index) => (word.own && word.text.trim() ? <Box component="mark" key={index} sx={{ bgcolor: "color-mix(in srgb, var(--a-palette-warning-main) 26%, transparent)", color: "inherit", borderRadius: "3px", px: "2px" }}>{word.text}</Box> : <span key={index}>{word.text}</span>));
}
