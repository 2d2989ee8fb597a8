import { Autocomplete, Box, MenuItem, Select, TextField, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ModelOut, TextToImageIn } from "@/api/types";
import { Field } from "@/ui/Field";
import { FieldNote } from "@/ui/NumberField";

import { FIELDS, isPicked, type Axis, type AxisField } from "./axes";

interface Choice { key: string; name: string; group?: string }
/** What there is to choose from, for the fields whose values are names. */
export interface Choices { scheduler: Choice[]; model: Choice[]; lora_weight: Choice[] }

export function useChoices(request: TextToImageIn, models: ModelOut[]): Choices {
  const schedulers = useQuery(queries.schedulers()).data ?? [];
  const model = models.find((one) => one.key === request.model);
  const asked = (request.loras ?? []).map((lora) => lora.model);
  const fitting = models.filter((one) => one.type === "lora" && one.available && !one.download && (asked.includes(one.key) || one.family === model?.family));
  // Those that the picture has come first.
  fitting.sort((a, b) => Number(asked.includes(b.key)) - Number(asked.includes(a.key)));
  return {
    scheduler: schedulers.filter((one) => one.kind === (model?.sampling ?? "noise")).map((one) => ({ key: one.id, name: one.name, group: one.sampler })),
    model: models.filter((one) => one.task === "image" && one.type === "base_model" && one.runnable && one.available).map((one) => ({ key: one.key, name: one.name })),
    lora_weight: fitting.map((one) => ({ key: one.key, name: one.name })),
  };
}

/** What a field begins with: the first few of a list, else numbers that show a difference. */
const BEGIN: Partial<Record<AxisField, string>> = { steps: "10, 20, 30", guidance_scale: "3, 5, 7.5", seed: "1-4", lora_weight: "0, 0.5, 1", strength: "0.3, 0.5, 0.7" };
const FRACTIONS: Axis["field"][] = ["guidance_scale", "lora_weight", "strength"];

interface Props { name: string; axis: Axis; choices: Choices; /** Whether there is a picture to start from. */ starts: boolean; error: string | undefined; optional?: boolean; onChange: (axis: Axis) => void }

/** One side of the grid: which setting, and its values. */
export function AxisRow({ name, axis, choices, starts, error, optional, onChange }: Props) {
  const { t } = useTranslation();
  const begin = (field: Axis["field"]) => {
    const listed = field === "scheduler" || field === "model" ? choices[field] : [];
    onChange({ field, text: field === "" ? "" : (BEGIN[field] ?? ""), picked: listed.slice(0, 3).map((one) => one.key), lora: choices.lora_weight[0]?.key ?? null });
  };
  return (
    <Box sx={{ display: "grid", gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "200px minmax(0, 1fr)" }, gap: 3, alignItems: "start" }}>
      <Box>
        <Typography variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{name}</Typography>
        <Select size="small" fullWidth displayEmpty value={axis.field} inputProps={{ "aria-label": name }} onChange={(event) => begin(event.target.value as Axis["field"])}>
          {optional && <MenuItem value="">{t("common.none")}</MenuItem>}
          {FIELDS.filter((field) => (field !== "lora_weight" || choices.lora_weight.length > 0) && (field !== "strength" || starts)).map((field) => <MenuItem key={field} value={field}>{t(`gallery.axes.${field}`)}</MenuItem>)}
        </Select>
      </Box>
      <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: "minmax(0, 1fr)" }}>
        {axis.field === "lora_weight" && (
          <Box>
            <Typography variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("generate.loras")}</Typography>
            <Select size="small" fullWidth value={axis.lora ?? ""} inputProps={{ "aria-label": t("generate.loras") }} onChange={(event) => onChange({ ...axis, lora: event.target.value })}>
              {choices.lora_weight.map((one) => <MenuItem key={one.key} value={one.key}>{one.name}</MenuItem>)}
            </Select>
          </Box>
        )}
        {isPicked(axis.field) ? (
          <Picked choices={choices[axis.field as "scheduler" | "model"]} picked={axis.picked} error={error} onChange={(picked) => onChange({ ...axis, picked })} />
        ) : (
          axis.field && <Field label={t("gallery.gridValues")} value={axis.text} onChange={(text) => onChange({ ...axis, text })} error={error} hint={t(axis.field === "prompt_sr" ? "gallery.gridReplaceHint" : FRACTIONS.includes(axis.field) ? "gallery.gridCommas" : "gallery.gridValuesHint")} />
        )}
      </Box>
    </Box>
  );
}

function Picked({ choices, picked, error, onChange }: { choices: Choice[]; picked: string[]; error: string | undefined; onChange: (picked: string[]) => void }) {
  const { t } = useTranslation();
  return (
    <Box>
      <Typography variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("gallery.gridValues")}</Typography>
      <Autocomplete
        multiple
        disableCloseOnSelect
        size="small"
        options={choices}
        groupBy={choices.some((one) => one.group) ? (one) => one.group ?? "" : undefined}
        value={picked.flatMap((key) => choices.find((one) => one.key === key) ?? [])}
        getOptionLabel={(one) => one.name}
        getOptionKey={(one) => one.key}
        isOptionEqualToValue={(one, other) => one.key === other.key}
        noOptionsText={t("gallery.gridNoMatch")}
        onChange={(_, chosen) => onChange(chosen.map((one) => one.key))}
        renderInput={(params) => <TextField {...params} error={!!error} slotProps={{ ...params.slotProps, htmlInput: { ...params.slotProps.htmlInput, "aria-label": t("gallery.gridValues") } }} />}
      />
      <FieldNote error={error} />
    </Box>
  );
}
