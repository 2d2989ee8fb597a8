import { Box, ButtonBase, Collapse, InputBase, Tooltip, Typography } from "@mui/material";
import { Ruler } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";

import type { ModelOut } from "@/api/types";
import { presets } from "@/lib/sizes";
import { FieldNote, useDraft } from "@/ui/NumberField";

import { change, effective, sideLimits, type Field, type Settings } from "./settings";

/** Shapes that this model can make, drawn as what they are; the own size folded. */
export function ShapePicker({ form, model, errors }: { form: Settings; model: ModelOut | undefined; errors: Partial<Record<Field, string>> }) {
  const { t } = useTranslation();
  const { width, height } = effective(form, model);
  const limits = sideLimits(model);
  const choices = presets({ width: model?.defaults?.width ?? 256, height: model?.defaults?.height ?? 256 }, limits);
  const matches = choices.some((choice) => choice.width === width && choice.height === height);
  const [own, setOwn] = useState(false);
  const open = own || !matches;
  return (
    <Box>
      <Box sx={{ display: "flex", justifyContent: "space-between", alignItems: "baseline", mb: 1 }}>
        <Typography variant="overline" sx={{ color: "text.secondary" }}>{t("generate.shape")}</Typography>
        <Typography variant="mono" sx={{ color: "text.faint" }}>{`${width || "?"} × ${height || "?"}`}</Typography>
      </Box>
      <Box role="group" aria-label={t("generate.shape")} sx={{ display: "grid", gridTemplateColumns: `repeat(${choices.length + 1}, minmax(0, 1fr))`, gap: 1 }}>
        {choices.map((choice) => {
          const name = t(`generate.shapes.${choice.id}`);
          const on = choice.width === width && choice.height === height && !own;
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
          <Side label={t("generate.width")} value={width} error={errors.width} onChange={(value) => change({ width: value, height })} />
          <Side label={t("generate.height")} value={height} error={errors.height} onChange={(value) => change({ height: value, width })} />
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

function Side({ label, value, error, onChange }: { label: string; value: number; error?: string; onChange: (value: number) => void }) {
  const id = useId();
  const draft = useDraft(value);
  return (
    <Box sx={{ display: "flex", alignItems: "center", gap: 2, border: 1, borderColor: error ? "error.main" : "divider", borderRadius: "8px", bgcolor: "background.raised", pl: 3, height: 36, "&:focus-within": { borderColor: error ? "error.main" : "primary.main" } }}>
      <Typography component="label" htmlFor={id} variant="caption" sx={{ color: "text.faint" }}>{label}</Typography>
      <InputBase
        id={id}
        value={draft.text}
        onChange={(event) => onChange(draft.keep(event.target.value, event.target.value.trim() === "" ? Number.NaN : Number(event.target.value)))}
        onBlur={draft.settle}
        inputProps={{ inputMode: "numeric", "aria-invalid": !!error }}
        sx={{ flex: 1, fontSize: 13, fontFamily: '"JetBrains Mono Variable", monospace', "& input": { textAlign: "right", pr: 3, "&:focus-visible": { outline: "none" } } }}
      />
    </Box>
  );
}
