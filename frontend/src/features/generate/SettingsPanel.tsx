import { Box, Button, IconButton, MenuItem, Select, Skeleton, Tooltip, Typography } from "@mui/material";
import { Lock, LockOpen } from "lucide-react";
import { useId, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { ModelOut } from "@/api/types";
import { aboutModel, useSaid } from "@/i18n/said";
import { lookOf } from "@/lib/models";
import { useSignal } from "@/lib/signal";
import type { Size } from "@/lib/sizes";
import { Fold } from "@/ui/Fold";
import { ModelState } from "@/ui/ModelState";
import { FieldNote, NumberField } from "@/ui/NumberField";
import { Segmented } from "@/ui/Segmented";

import { LoraPicker } from "./LoraPicker";
import { SecondPass, Variations } from "./Refinements";
import { SamplerSettings } from "./SamplerSettings";
import { SchedulerPicker } from "./SchedulerPicker";
import { SeedInput } from "./SeedInput";
import { change, chooseModel, chooseScheduler, effective, LIMITS, resetToModel, rollSeed, type Field, type FileFormat, type Settings } from "./settings";
import { ShapePicker } from "./ShapePicker";
import { changeTask, taskForm, type Task, type TaskForm } from "./tasks";

interface Props {
  form: Settings;
  /** Not known yet, or not to be had (the page says why). */
  models: ModelOut[] | undefined;
  model: ModelOut | undefined;
  loading: boolean;
  /** What is done with a picture, if there is one; and the size at which it is worked on. */
  task: Task | null;
  picture: Size | null;
  errors: Partial<Record<Field, string>>;
  /** How often somebody has tried to send it: what is wrong and folded away is shown each time. */
  tries: number;
}

export function SettingsPanel({ form, models, model, loading, task, picture, errors, tries }: Props) {
  const { t } = useTranslation();
  const wrong = (...fields: Field[]) => (fields.some((field) => errors[field]) ? tries + 1 : 0);
  const values = effective(form, model, picture);
  if (loading) return <Shape />;
  const many = task === "animate" ? t("task.videos") : t("generate.outputs");
  const outputs = (
    <Labelled label={many} error={errors.num_outputs}>
      <Segmented label={many} value={form.outputs} options={[1, 2, 4, 8].map((value) => ({ value, label: value }))} onChange={(value) => change({ outputs: value })} />
    </Labelled>
  );
  if (task === "animate") {
    return (
      <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)" }}>
        {models && <ModelPicker models={models} model={model} error={errors.model} onChoose={(key) => changeTask({ videoModel: key, frames: null, videoSteps: null, videoGuidance: null })} />}
        {outputs}
        <VideoSteps model={model} errors={errors} />
        <SeedField form={form} error={errors.seed} />
        <VideoFormat />
      </Box>
    );
  }
  return (
    <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)" }}>
      {models && <ModelPicker models={models} model={model} error={errors.model} onChoose={chooseModel} />}
      {outputs}
      {task !== "outpaint" && task !== "upscale" && <ShapePicker form={form} model={model} picture={picture} errors={errors} />}
      <NumberField label={t("generate.steps")} value={values.steps} min={1} max={LIMITS.steps} sliderMax={60} step={1} error={errors.steps} hint={t("generate.stepsHint")} onChange={(steps) => change({ steps })} />
      <NumberField label={t("generate.guidance")} value={values.guidance} min={0} max={LIMITS.guidance} sliderMax={15} step={0.5} error={errors.guidance_scale} hint={t("generate.guidanceHint")} onChange={(guidance) => change({ guidance })} />
      <SeedField form={form} error={errors.seed} />
      <LoraPicker form={form} model={model} error={errors.loras} />
      <Variations form={form} errors={errors} wrong={wrong} />
      {(!task || task === "change") && <SecondPass form={form} errors={errors} wrong={wrong} size={values} steps={values.steps} model={model} />}
      <Advanced form={form} errors={errors} wrong={wrong("scheduler", "sampler_settings", "clip_skip", "format", "quality")} model={model} />
    </Box>
  );
}

/** The panel before the models are known. All of it at once: what they allow decides about every part. */
function Shape() {
  return (
    <Box aria-busy sx={{ display: "grid", gap: 4 }}>
      {[94, 59, 64, 82, 82, 58, 24, 24, 24].map((height, index) => <Skeleton key={index} variant="rectangular" height={height} />)}
    </Box>
  );
}

function Labelled({ label, error, hint, children }: { label: string; error?: string; hint?: string; children: ReactNode }) {
  return (
    <Box>
      <Typography variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{label}</Typography>
      {children}
      <FieldNote error={error} hint={hint} />
    </Box>
  );
}

function VideoSteps({ model, errors }: { model: ModelOut | undefined; errors: Props["errors"] }) {
  const { t } = useTranslation();
  const { videoSteps, videoGuidance } = useSignal(taskForm);
  return (
    <>
      <NumberField label={t("generate.steps")} value={videoSteps ?? model?.defaults?.steps ?? 25} min={1} max={LIMITS.steps} sliderMax={60} step={1} error={errors.steps} hint={t("generate.stepsHint")} onChange={(steps) => changeTask({ videoSteps: steps })} />
      <NumberField label={t("generate.guidance")} value={videoGuidance ?? model?.defaults?.guidance_scale ?? 3} min={0} max={LIMITS.guidance} sliderMax={15} step={0.5} error={errors.guidance_scale} hint={t("generate.guidanceVideoHint")} onChange={(guidance) => changeTask({ videoGuidance: guidance })} />
    </>
  );
}

function VideoFormat() {
  const { t } = useTranslation();
  const { videoFormat } = useSignal(taskForm);
  return (
    <Labelled label={t("generate.format")} hint={t("task.videoFormatHint")}>
      <Segmented<TaskForm["videoFormat"]> label={t("generate.format")} value={videoFormat} options={[{ value: "mp4", label: "MP4" }, { value: "webp", label: "WebP" }]} onChange={(format) => changeTask({ videoFormat: format })} />
    </Labelled>
  );
}

function ModelPicker({ models, model, error, onChoose }: { models: ModelOut[]; model: ModelOut | undefined; error?: string; onChoose: (key: string) => void }) {
  const { t } = useTranslation();
  useSaid();
  const id = useId();
  if (!model) return <Typography variant="body2" sx={{ color: "text.secondary" }}>{t("generate.noModels")}</Typography>;
  return (
    <Box>
      <Typography component="label" id={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("generate.model")}</Typography>
      <Select size="small" fullWidth value={model.key} labelId={id} error={!!error} onChange={(event) => onChoose(event.target.value)} renderValue={() => <Named model={model} />}>
        {models.map((item) => (
          <MenuItem key={item.key} value={item.key} disabled={!item.available} sx={{ display: "block", maxWidth: 320, whiteSpace: "normal" }}>
            <Box sx={{ fontWeight: 550 }}><Named model={item} always /></Box>
            <Typography variant="caption" sx={{ color: "text.faint" }}>{aboutModel(item)}</Typography>
          </MenuItem>
        ))}
      </Select>
      <FieldNote error={error} hint={aboutModel(model)} />
    </Box>
  );
}

/** A model's name, and how it stands: in the list always, in the field when that matters for how soon it answers. */
function Named({ model, always }: { model: ModelOut; always?: boolean }) {
  const look = lookOf(model);
  return (
    <Box component="span" sx={{ display: "flex", alignItems: "center", gap: 2 }}>
      <Box component="span" sx={{ flex: 1, minWidth: 0, overflow: "hidden", textOverflow: "ellipsis" }}>{model.name}</Box>
      {(always || look !== "idle") && <ModelState look={look} />}
    </Box>
  );
}

function SeedField({ form, error }: { form: Settings; error?: string }) {
  const { t } = useTranslation();
  const lock = form.keepSeed ? t("generate.seedUnlock") : t("generate.seedLock");
  return (
    <SeedInput label={t("generate.seed")} value={form.keepSeed ? form.seed : null} error={error} hint={t("generate.seedHint")} onChange={(seed) => change({ seed, keepSeed: seed !== null })}>
      <Tooltip title={lock}>
        <IconButton aria-label={lock} aria-pressed={form.keepSeed} onClick={() => (form.keepSeed ? change({ keepSeed: false }) : form.seed === null || Number.isNaN(form.seed) ? rollSeed() : change({ keepSeed: true }))} sx={{ width: 36, color: form.keepSeed ? "primary.main" : undefined }}>
          {form.keepSeed ? <Lock size={16} /> : <LockOpen size={16} />}
        </IconButton>
      </Tooltip>
    </SeedInput>
  );
}

function Advanced({ form, errors, wrong, model }: { form: Settings; errors: Props["errors"]; wrong: number; model: ModelOut | undefined }) {
  const { t } = useTranslation();
  return (
    <Fold title={t("generate.advanced")} wrong={wrong}>
      <SchedulerPicker label={t("generate.scheduler")} value={form.scheduler} model={model} error={errors.scheduler} onChange={chooseScheduler} />
      <SamplerSettings form={form} model={model} error={errors.sampler_settings} />
      <NumberField label={t("generate.clipSkip")} value={form.clipSkip} min={0} max={8} step={1} error={errors.clip_skip} hint={t("generate.clipSkipHint")} onChange={(clipSkip) => change({ clipSkip })} />
      <Labelled label={t("generate.format")} error={errors.format}>
        <Segmented<FileFormat> label={t("generate.format")} value={form.format} options={[{ value: "png", label: "PNG" }, { value: "webp", label: "WebP" }, { value: "jpeg", label: "JPEG" }]} onChange={(format) => change({ format })} />
      </Labelled>
      {form.format !== "png" && <NumberField label={t("generate.quality")} value={form.quality} min={1} max={100} step={1} error={errors.quality} hint={t("generate.qualityHint")} onChange={(quality) => change({ quality })} />}
      <Button size="small" variant="outlined" color="inherit" onClick={resetToModel}>{t("generate.reset")}</Button>
    </Fold>
  );
}
