import { Box, IconButton, Tooltip, Typography } from "@mui/material";
import { CopyPlus, Download, Ellipsis, Quote, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { downloadImages, useDeleteImages } from "@/api/actions";
import type { ImageOut, PreviewOut } from "@/api/types";
import { copyText } from "@/lib/browser";
import { toast } from "@/lib/toast";
import { PickMenu } from "@/ui/PickMenu";
import { BoxLink } from "@/ui/links";

import { reuse } from "./settings";

interface Props {
  number: number;
  aspect: number;
  image: ImageOut | undefined;
  preview: PreviewOut | undefined;
  progress: number;
  state: "waiting" | "making" | "ended";
  prompt: string;
}

/** One picture from nothing to done in the same frame: its place is reserved, the preview comes into focus, the file replaces it. */
export function Tile({ number, aspect, image, preview, progress, state, prompt }: Props) {
  const { t } = useTranslation();
  const [loaded, setLoaded] = useState<string | null>(null);
  const ready = image !== undefined && loaded === image.id;
  return (
    <Box
      data-tile={image ? "image" : preview ? "preview" : state}
      sx={{
        position: "relative", overflow: "hidden", borderRadius: "10px", bgcolor: "background.sunken", boxShadow: (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}`,
        "&:hover .tile-actions, &:focus-within .tile-actions": { opacity: 1 },
      }}
      style={{ aspectRatio: aspect }}
    >
      {!image && state === "ended" && (
        <Typography variant="caption" sx={{ position: "absolute", inset: 0, display: "grid", placeItems: "center", color: "text.faint" }}>{t("generate.deletedTile")}</Typography>
      )}
      {!image && !preview && state !== "ended" && <Waiting number={number} moving={state === "making"} />}
      {preview && !ready && (state !== "ended" || image) && (
        <Box component="img" src={preview.data_url} alt={preview.final ? t("generate.pictureOf", { number, prompt }) : t("generate.making", { number })} sx={{ ...cover, transition: "filter 200ms ease-out, scale 200ms ease-out" }} style={image || preview.final ? undefined : { filter: `blur(${((1 - progress) * 6).toFixed(1)}px)`, scale: 1 + (1 - progress) * 0.1 }} />
      )}
      {image && (
        <BoxLink to="/gallery/$id" params={{ id: image.id }} aria-label={t("generate.pictureOf", { number, prompt })} sx={{ position: "absolute", inset: 0, borderRadius: "10px", "&:focus-visible": { outlineOffset: -3 } }}>
          <Box
            component="img"
            src={image.url}
            alt={prompt}
            decoding="async"
            onLoad={() => setLoaded(image.id)}
            sx={{ ...cover, opacity: ready ? 1 : 0, transition: "opacity 180ms ease-out" }}
          />
        </BoxLink>
      )}
      {image && <Actions image={image} />}
    </Box>
  );
}

const cover = { position: "absolute", inset: 0, width: 1, height: 1, objectFit: "cover", display: "block" } as const;

function Waiting({ number, moving }: { number: number; moving: boolean }) {
  return (
    <Box
      sx={{
        position: "absolute", inset: 0, display: "grid", placeItems: "center", color: "text.disabled", fontSize: 13,
        ...(moving && {
          "&::after": { content: '""', position: "absolute", inset: 0, background: "linear-gradient(100deg, transparent 30%, color-mix(in srgb, var(--a-palette-text-primary) 6%, transparent) 50%, transparent 70%)", backgroundSize: "220% 100%", animation: "tile-shine 1.8s linear infinite" },
          "@keyframes tile-shine": { from: { backgroundPositionX: "180%" }, to: { backgroundPositionX: "-60%" } },
        }),
      }}
    >
      {number}
    </Box>
  );
}

function Actions({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const remove = useDeleteImages();
  const copyPrompt = async () => {
    if (await copyText(image.prompt)) toast(t("generate.promptCopied"));
  };
  const same = () => {
    reuse(image);
    window.scrollTo({ top: 0, behavior: "smooth" });
  };
  const actions = [
    { key: "same", text: t("generate.same"), icon: <CopyPlus size={16} />, run: same },
    { key: "prompt", text: t("generate.copyPrompt"), icon: <Quote size={16} />, run: () => void copyPrompt() },
    { key: "download", text: t("common.download"), icon: <Download size={16} />, run: () => downloadImages([image]) },
    { key: "delete", text: t("common.delete"), icon: <Trash2 size={16} />, run: () => remove.mutate([image]), danger: true },
  ];
  const pill = { position: "absolute", right: 6, bottom: 6, display: "flex", bgcolor: "rgb(13 16 21 / 0.72)", borderRadius: "8px", backdropFilter: "blur(6px)", "& .MuiIconButton-root": { color: "#f2f5f9" } } as const;
  return (
    <>
      <Box className="tile-actions" sx={{ ...pill, opacity: 0, transition: "opacity 120ms ease-out", "@media (hover: none)": { display: "none" }, "@container (max-width: 150px)": { display: "none" } }}>
        {actions.map((action) => (
          <Tooltip key={action.key} title={action.text}>
            <IconButton size="small" aria-label={action.text} onClick={action.run}>{action.icon}</IconButton>
          </Tooltip>
        ))}
      </Box>
      <Box sx={{ ...pill, display: "none", "@media (hover: none)": { display: "flex" } }}>
        <PickMenu size={36} label={t("common.more")} icon={<Ellipsis size={18} />} options={actions} onPick={(key) => actions.find((action) => action.key === key)?.run()} />
      </Box>
    </>
  );
}
