import { Box, ButtonBase, Collapse, Tooltip, Typography } from "@mui/material";
import { Image, Ruler } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { ModelOut } from "@/api/types";
import type { Size } from "@/lib/sizes";
import { FieldNote } from "@/ui/NumberField";
import { PixelField } from "@/ui/PixelField";

import { change, effective, type Field, type Settings } from "./settings";

/** Shapes that this model can make, drawn as what they are; the own size folded. With a picture, first of all that of the picture. */
export function ShapePicker({ form, model, picture, errors }: { form: Settings; model: ModelOut | undefined; picture: Size | null; errors: Partial<Record<Field, string>> }) {
  const { t } = useTranslation();
  const { width, height } = effective(form, model, picture);
  const choices = model?.presets ?? [];
  const follows = picture !== null && form.width === null && form.height === null;
  const matches = follows || choices.some((choice) => choice.width === width && choice.height === height);
  const [own, setOwn] = useState(false);
  const open = own || !matches;
  return (
    <Box>
      <Box sx={{ display: "flex", justifyContent: "space-between", alignItems: "baseline", mb: 1 }}>
        <Typography variant="overline" sx={{ color: "text.secondary" }}>{t("generate.shape")}</Typography>
        <Typography variant="mono" sx={{ color: "text.faint" }}>{`${width || "?"} × ${height || "?"}`}</Typography>
      </Box>
      <Box role="group" aria-label={t("generate.shape")} sx={{ display: "grid", gridTemplateColumns: `repeat(${choices.length + (picture ? 2 : 1)}, minmax(0, 1fr))`, gap: 1 }}>
        {picture && (
          <Tooltip title={t("generate.asPicture")}>
            <ButtonBase
              aria-label={t("generate.asPicture")}
              aria-pressed={follows && !own}
              onClick={() => {
                setOwn(false);
                change({ width: null, height: null });
              }}
              sx={shape(follows && !own)}
            >
              <Image size={18} />
            </ButtonBase>
          </Tooltip>
        )}
        {choices.map((choice) => {
          const name = t(`generate.shapes.${choice.id}`);
          const on = choice.width === width && choice.height === height && !own && !follows;
          const scale = 20 / Math.max(choice.width, choice.height);
          return (
            <Tooltip key={choice.id} title={`${name} · ${choice.width} × ${choice.height}`}>
              <ButtonBase
                aria-label={`${name}, ${choice.width} × ${choice.height}`}
                aria-pressed={on}
                onClick={() => {
                  setOwn(false);
                  change({ width: choice.width, height: choice.height });
                }}
                sx={shape(on)}
              >
                <Box sx={{ width: Math.round(choice.width * scale), height: Math.round(choice.height * scale), border: "1.6px solid currentColor", borderRadius: "3px" }} />
              </ButtonBase>
            </Tooltip>
          );
        })}
        <Tooltip title={t("generate.customSize")}>
          <ButtonBase aria-label={t("generate.customSize")} aria-pressed={open} aria-expanded={open} onClick={() => setOwn(!open)} sx={shape(open)}>
            <Ruler size={18} />
          </ButtonBase>
        </Tooltip>
      </Box>
      <Collapse in={open} unmountOnExit>
        <Box sx={{ display: "grid", gridTemplateColumns: "1fr 1fr", gap: 2, mt: 2 }}>
          <PixelField label={t("generate.width")} value={width} error={errors.width} onChange={(value) => change({ width: value, height })} />
          <PixelField label={t("generate.height")} value={height} error={errors.height} onChange={(value) => change({ height: value, width })} />
        </Box>
      </Collapse>
      <FieldNote error={errors.width ?? errors.height} />
    </Box>
  );
}

const shape = (on: boolean) => ({
  height: 42, borderRadius: "8px", border: 1, borderColor: on ? "primary.main" : "divider", color: on ? "primary.main" : "text.secondary", bgcolor: "background.raised", transition: "border-color 120ms ease-out",
  "&:hover": { color: on ? "primary.main" : "text.primary" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" },
});
