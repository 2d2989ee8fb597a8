import { Box, FormControlLabel, Switch, Typography } from "@mui/material";
import { useTranslation } from "react-i18next";

import type { ModelOut } from "@/api/types";
import { percent } from "@/lib/numbers";
import { Fold } from "@/ui/Fold";
import { FieldNote, NumberField } from "@/ui/NumberField";
import { Segmented } from "@/ui/Segmented";

import { SchedulerPicker } from "./SchedulerPicker";
import { SeedInput } from "./SeedInput";
import { change, HIRES_SCALES, LIMITS, type Field, type Settings } from "./settings";
import { ownRedraw } from "./tasks";
import { UpscalerPicker } from "./UpscalerPicker";

interface Props { form: Settings; errors: Partial<Record<Field, string>>; wrong: (...fields: Field[]) => number }

/** Pictures that are nearly the one of this seed. */
export function Variations({ form, errors, wrong }: Props) {
  const { t, i18n } = useTranslation();
  return (
    <Fold title={t("refine.variation")} note={form.variation > 0 ? percent(form.variation, i18n.language) : t("refine.off")} wrong={wrong("subseed", "subseed_strength")}>
      <NumberField label={t("refine.strength")} value={form.variation} min={0} max={1} step={0.01} error={errors.subseed_strength} hint={t("refine.strengthHint")} onChange={(variation) => change({ variation })} />
      {form.variation > 0 && <SeedInput label={t("refine.seed")} value={form.subseed} error={errors.subseed} hint={t("refine.seedHint")} onChange={(subseed) => change({ subseed })} />}
    </Fold>
  );
}

/** The picture enlarged and drawn over once more. */
export function SecondPass({ form, errors, wrong, size, steps, model }: Props & { size: { width: number; height: number }; steps: number; model: ModelOut | undefined }) {
  const { t } = useTranslation();
  const [width, height] = [Math.round(size.width * form.hiresScale), Math.round(size.height * form.hiresScale)];
  return (
    <Fold title={t("refine.hires")} note={form.hires ? `× ${form.hiresScale}` : t("refine.off")} wrong={wrong("hires", "hires_steps", "hires_scheduler", "hires_upscaler")}>
      <Box>
        <FormControlLabel control={<Switch size="small" checked={form.hires} onChange={(_, hires) => change({ hires })} />} label={t("refine.hiresOn")} slotProps={{ typography: { sx: { fontSize: 13 } } }} sx={{ gap: 2, ml: -1 }} />
        <FieldNote hint={t("refine.hiresHint")} error={errors.hires} />
      </Box>
      {form.hires && (
        <>
          <Box>
            <Segmented label={t("task.scale")} value={form.hiresScale} options={HIRES_SCALES.map((value) => ({ value, label: `× ${value}` }))} onChange={(hiresScale) => change({ hiresScale })} />
            <Typography variant="caption" component="p" sx={{ mt: 1, color: "text.faint" }}>{t("task.comes", { size: `${width} × ${height}` })}</Typography>
          </Box>
          <NumberField label={t("task.redraw")} value={form.hiresStrength} min={0.05} max={1} step={0.05} hint={t("refine.hiresStrengthHint")} onChange={(hiresStrength) => change({ hiresStrength })} />
          <SmallModelNote model={model} />
          <NumberField label={t("refine.hiresSteps")} value={form.hiresSteps ?? steps} min={1} max={LIMITS.steps} sliderMax={50} step={1} error={errors.hires_steps} hint={form.hiresSteps === null ? t("refine.hiresStepsHint") : undefined} onChange={(hiresSteps) => change({ hiresSteps })} />
          <SchedulerPicker label={t("refine.hiresScheduler")} otherwise={t("refine.hiresSame")} value={form.hiresScheduler} model={model} error={errors.hires_scheduler} onChange={(hiresScheduler) => change({ hiresScheduler })} />
          <UpscalerPicker plain={["lanczos", "latent", "nearest"]} value={form.hiresUpscaler} error={errors.hires_upscaler} onChange={(hiresUpscaler) => change({ hiresUpscaler })} />
        </>
      )}
    </Fold>
  );
}

/** What comes of drawing over a picture that is larger than its model knows. */
export function SmallModelNote({ model }: { model: ModelOut | undefined }) {
  const { t } = useTranslation();
  if (!model?.defaults || ownRedraw(model) > 0) return null;
  return <Typography variant="caption" component="p" sx={{ color: "warning.main", mt: -2 }}>{t("refine.smallModel", { model: model.name, size: `${model.defaults.width} × ${model.defaults.height}` })}</Typography>;
}
