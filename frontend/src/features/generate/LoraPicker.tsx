import { Autocomplete, Box, ButtonBase, IconButton, TextField, Tooltip, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ModelOut } from "@/api/types";
import { familyName } from "@/lib/models";
import { TextLink } from "@/ui/links";
import { FieldNote, NumberField } from "@/ui/NumberField";

import { fits, fittingLoras, LORA_WEIGHT, withWord, type LoraChoice } from "./loras";
import { change, type Settings } from "./settings";

interface Props { form: Settings; model: ModelOut | undefined; error?: string }

/** LoRAs for the chosen model: found by name, each with its weight and the words that call it. */
export function LoraPicker({ form, model, error }: Props) {
  const { t } = useTranslation();
  const models = useQuery(queries.models());
  if (!model || !models.data) return null;
  const fitting = fittingLoras(models.data, model);
  const chosen = form.loras.filter((choice) => fits(choice, model));
  const left = fitting.filter((lora) => !chosen.some((choice) => choice.key === lora.key));
  const set = (loras: LoraChoice[]) => change({ loras: [...form.loras.filter((choice) => !fits(choice, model)), ...loras] });
  return (
    <Box component="section" aria-label={t("generate.loras")} sx={{ display: "grid", gap: 3, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Box>
        <Typography variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("generate.loras")}</Typography>
        {fitting.length === 0 && (
          <Typography variant="caption" sx={{ color: "text.faint" }}>
            {t("generate.lorasNone", { family: familyName(model.family) })}{" "}
            <TextLink to="/models">{t("generate.lorasFind")}</TextLink>
          </Typography>
        )}
        {left.length > 0 && (
          <Autocomplete<ModelOut>
            key={chosen.length}
            size="small"
            options={left}
            value={null}
            getOptionLabel={(lora) => lora.name}
            getOptionKey={(lora) => lora.key}
            noOptionsText={t("generate.lorasNoMatch")}
            onChange={(_, lora) => lora && set([...chosen, { key: lora.key, weight: 1, family: lora.family }])}
            renderInput={(params) => <TextField {...params} placeholder={t("generate.lorasAdd")} slotProps={{ ...params.slotProps, htmlInput: { ...params.slotProps.htmlInput, "aria-label": t("generate.lorasAdd") } }} />}
          />
        )}
      </Box>
      {chosen.map((choice) => (
        <Chosen
          key={choice.key}
          choice={choice}
          lora={fitting.find((lora) => lora.key === choice.key)}
          prompt={form.prompt}
          onWeight={(weight) => set(chosen.map((each) => (each.key === choice.key ? { ...each, weight } : each)))}
          onRemove={() => set(chosen.filter((each) => each.key !== choice.key))}
        />
      ))}
      <FieldNote error={error} />
    </Box>
  );
}

interface ChosenProps { choice: LoraChoice; lora: ModelOut | undefined; prompt: string; onWeight: (weight: number) => void; onRemove: () => void }

function Chosen({ choice, lora, prompt, onWeight, onRemove }: ChosenProps) {
  const { t } = useTranslation();
  const name = lora?.name ?? choice.key;
  const remove = t("generate.lorasRemove", { name });
  const wrong = Number.isFinite(choice.weight) && Math.abs(choice.weight) <= LORA_WEIGHT.max ? undefined : t("validation.range", { min: -LORA_WEIGHT.max, max: LORA_WEIGHT.max });
  return (
    <Box sx={{ display: "grid", gridTemplateColumns: "minmax(0, 1fr) auto", columnGap: 2, alignItems: "start" }}>
      <NumberField label={name} value={choice.weight} min={-LORA_WEIGHT.slider} max={LORA_WEIGHT.max} sliderMax={LORA_WEIGHT.slider} step={0.05} error={wrong ?? (lora ? undefined : t("generate.lorasGone"))} onChange={onWeight} />
      <Tooltip title={remove}><IconButton size="small" aria-label={remove} onClick={onRemove}><X size={15} /></IconButton></Tooltip>
      {lora && lora.trigger_words && lora.trigger_words.length > 0 && (
        <Box sx={{ gridColumn: "1 / -1", display: "flex", flexWrap: "wrap", gap: 1 }}>
          {lora.trigger_words.slice(0, 6).map((word) => (
            <Tooltip key={word} describeChild title={t("generate.lorasWord")}>
              <ButtonBase onClick={() => change({ prompt: withWord(prompt, word) })} sx={{ px: 2, py: "2px", border: 1, borderColor: "divider", borderRadius: "6px", fontFamily: "inherit", fontSize: 12, color: "text.secondary", maxWidth: 1, "&:hover": { color: "text.primary" } }}>
                <Box component="span" sx={{ overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>{word}</Box>
              </ButtonBase>
            </Tooltip>
          ))}
        </Box>
      )}
    </Box>
  );
}
