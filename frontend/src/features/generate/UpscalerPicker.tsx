import { Box, ListSubheader, MenuItem, Select, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import { FieldNote } from "@/ui/NumberField";
import { Segmented } from "@/ui/Segmented";

import type { Upscaler } from "./settings";

type Plain = "lanczos" | "latent" | "nearest";

interface Props { plain: Plain[]; value: Upscaler; error?: string; onChange: (value: Upscaler) => void }

/** What makes a picture larger before it is drawn over: by arithmetic, or by a model of its own. Nothing to see where there is nothing to choose. */
export function UpscalerPicker({ plain, value, error, onChange }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const models = (useQuery(queries.models()).data ?? []).filter((model) => model.type === "upscaler" && model.available && !model.download);
  const options = plain.map((each) => ({ value: each as Upscaler, label: each === "lanczos" ? "Lanczos" : t(`refine.upscalers.${each}`) }));
  const named = models.map((model) => ({ value: model.key, label: model.name }));
  // Of a picture whose upscaler is gone: it is still what the form says.
  if (![...options, ...named].some((option) => option.value === value)) named.push({ value, label: value });
  if (named.length === 0 && options.length < 2) return null;
  return (
    <Box>
      <Typography id={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("refine.upscaler")}</Typography>
      {named.length === 0 ? (
        <Segmented<Upscaler> label={t("refine.upscaler")} value={value} options={options} onChange={onChange} />
      ) : (
        <Select size="small" fullWidth value={value} labelId={id} error={!!error} onChange={(event) => onChange(event.target.value)}>
          {options.map((option) => <MenuItem key={option.value} value={option.value}>{option.label}</MenuItem>)}
          <ListSubheader disableSticky sx={{ px: "10px", lineHeight: 2.5, bgcolor: "transparent" }}>{t("refine.upscalerModels")}</ListSubheader>
          {named.map((option) => <MenuItem key={option.value} value={option.value} sx={{ whiteSpace: "normal", overflowWrap: "anywhere" }}>{option.label}</MenuItem>)}
        </Select>
      )}
      <FieldNote error={error} />
    </Box>
  );
}
