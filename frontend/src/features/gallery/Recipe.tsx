import { Box, Divider, Typography } from "@mui/material";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { ImageOut } from "@/api/types";
import { bytes } from "@/lib/numbers";
import { Ago } from "@/ui/Ago";
import { CopyButton } from "@/ui/CopyButton";
import { Facts } from "@/ui/Section";

import { sidesOf, taskOf, toldTo } from "./facts";
import { Lineage } from "./Lineage";
import { Talks } from "./Talks";
import { Opinion } from "./Opinion";
import { Verdict } from "./Verdict";

/** Everything that made a picture. */
export function Recipe({ image }: { image: ImageOut }) {
  const { t, i18n } = useTranslation();
  const task = taskOf(image);
  const sides = sidesOf(image);
  const varied = new Set(sides.map(({ field }) => field));
  const mono = (value: string | number) => <Typography variant="mono" sx={{ fontSize: 13 }}>{value}</Typography>;
  return (
    <Box component="aside" aria-label={t("gallery.recipe")} sx={{ width: { md: 340 }, flexShrink: 0, maxHeight: { xs: "44vh", md: "none" }, overflow: "auto", borderLeft: { md: 1 }, borderTop: { xs: 1, md: 0 }, borderColor: { xs: "divider", md: "divider" }, bgcolor: "background.paper", p: 6 }}>
      <Opinion image={image} />
      <Box sx={{ display: "flex", alignItems: "center", justifyContent: "space-between", mb: 3 }}>
        <Typography variant="h3" component="h2">{t("gallery.recipe")}</Typography>
        <CopyButton text={JSON.stringify(image.recipe, null, 2)} name={t("gallery.copyRecipe")} />
      </Box>
      {image.prompt && (
        <Box sx={{ display: "flex", gap: 1, alignItems: "flex-start" }}>
          <Typography sx={{ flex: 1, lineHeight: 1.5 }}>{image.prompt}</Typography>
          <CopyButton text={image.prompt} name={t("generate.copyPrompt")} />
        </Box>
      )}
      {image.negative_prompt && <Typography variant="body2" sx={{ color: "text.secondary", mt: 3 }}><Box component="span" sx={{ color: "text.faint" }}>{t("generate.negative")}: </Box>{image.negative_prompt}</Typography>}
      {typedOf(image) && <Typography variant="body2" sx={{ color: "text.secondary", mt: 3 }}><Box component="span" sx={{ color: "text.faint" }}>{t("gallery.typed")}: </Box>{typedOf(image)}</Typography>}
      {(image.prompt || image.negative_prompt) && <Divider sx={{ my: 4 }} />}
      <Facts
        facts={[
          ...(task ? [[t("gallery.recipeNames.task"), t(`task.names.${task}`)] as [string, string]] : []),
          ...sides.map(({ field, values }) => [t(`gallery.axes.${field}` as "gallery.axes.steps"), values] as [string, string]),
          ...(varied.has("model") ? [] : [[t("generate.model"), image.model] as [string, string]]),
          [t("gallery.size"), mono(`${image.width} × ${image.height}`)],
          ...toldTo(image, i18n.language).map(({ name, text, edges }) => [t(`gallery.recipeNames.${name}`), text ? mono(text) : edges?.map(([edge, pixels]) => `${t(`task.sides.${edge}`)} ${pixels}`).join(", ")] as [string, ReactNode]),
          ...(varied.has("steps") ? [] : [[t("generate.steps"), mono(image.steps)] as [string, ReactNode]]),
          ...(varied.has("guidance_scale") ? [] : [[t("generate.guidance"), mono(image.guidance_scale)] as [string, ReactNode]]),
          ...(varied.has("seed") ? [] : [[t("generate.seed"), <Box key="seed" sx={{ display: "flex", alignItems: "center", my: "-5px" }}>{mono(image.seed)}<CopyButton text={String(image.seed)} /></Box>] as [string, ReactNode]]),
          ...(varied.has("scheduler") ? [] : [[t("generate.scheduler"), samplerOf(image) ?? t("generate.schedulerDefault")] as [string, string]]),
          ...notesOf(image).map((note) => [t("gallery.notes"), t(`gallery.recipeNotes.${note}`)] as [string, string]),
          ...additionsOf(image).map(({ label, text }) => [t(label), text] as [string, string]),
        ]}
      />
      <Divider sx={{ my: 4 }} />
      <Facts
        facts={[
          [t("gallery.made"), <Ago key="made" time={image.created_at} />],
          [t("gallery.file"), `${image.format.toUpperCase()}, ${bytes(image.bytes, i18n.language)}`],
          ["SHA-256", <Box key="hash" sx={{ display: "flex", alignItems: "center", my: "-5px" }}>{mono(`${image.sha256.slice(0, 12)}…`)}<CopyButton text={image.sha256} /></Box>],
          ["ID", <Box key="id" sx={{ display: "flex", alignItems: "center", my: "-5px" }}>{mono(image.id.length > 16 ? `${image.id.slice(0, 14)}…` : image.id)}<CopyButton text={image.id} /></Box>],
        ]}
      />
      {!image.recipe.grid && <Verdict key={image.id} image={image} />}
      <Lineage image={image} />
      <Talks image={image} />
    </Box>
  );
}

const NOTES = ["prompt_syntax_ignored", "prompt_and_ignored"] as const;

/** What the engine says of how it read the request. */
function notesOf(image: ImageOut) {
  const { notes = [] } = image.recipe as { notes?: string[] };
  return NOTES.filter((note) => notes.includes(note));
}

/** What somebody typed, where styles, LoRAs or a translation made other words of it. */
function typedOf(image: ImageOut): string {
  const { asked: { prompt = "", typed_prompt: typed = prompt, styles = [] } = {} } = image.recipe as { asked?: { prompt?: string; typed_prompt?: string; styles?: string[] } };
  return [typed, ...styles.map((name) => `“${name}”`)].filter(Boolean).join(" + ");
}

interface Enlarged { upscaler?: string; upscaler_sha256?: string }

/** LoRAs with their weights, embeddings by their words, upscalers that are models. */
function additionsOf(image: ImageOut) {
  const { loras = [], embeddings = [], start, hires } = image.recipe as { loras?: { model: string; weight: number }[]; embeddings?: { token: string }[]; start?: Enlarged; hires?: Enlarged };
  const upscaler = [start, hires].flatMap((one) => (one?.upscaler_sha256 ? [one.upscaler] : [])).join(", ");
  return [
    { label: "generate.loras" as const, text: loras.map(({ model, weight }) => `${model} × ${weight}`).join(", ") },
    { label: "models.types.upscaler" as const, text: upscaler },
    { label: "models.types.embedding" as const, text: embeddings.map(({ token }) => token).join(", ") },
  ].filter(({ text }) => text !== "");
}

/** The name that people know, from the recipe; the key for pictures whose recipe does not say it. */
function samplerOf(image: ImageOut): string | null {
  const { sampler, schedule_type: schedule } = image.recipe as { sampler?: string; schedule_type?: string };
  if (!sampler) return image.scheduler;
  return schedule && schedule !== "Automatic" ? `${sampler} ${schedule}` : sampler;
}
