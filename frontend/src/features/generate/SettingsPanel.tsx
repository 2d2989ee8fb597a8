import { Box, Button, ButtonBase, Collapse, IconButton, InputBase, MenuItem, Select, Skeleton, Tooltip, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { ChevronDown, Dices, Lock, LockOpen } from "lucide-react";
import { useId, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ModelOut } from "@/api/types";
import { aboutModel, useSaid } from "@/i18n/said";
import { lookOf } from "@/lib/models";
import { ModelState } from "@/ui/ModelState";
import { FieldNote, NumberField, useDraft } from "@/ui/NumberField";
import { Segmented } from "@/ui/Segmented";

import { LoraPicker } from "./LoraPicker";
import { change, chooseModel, effective, LIMITS, resetToModel, rollSeed, seedOf, type Field, type FileFormat, type Settings } from "./settings";
import { ShapePicker } from "./ShapePicker";

interface Props {
  form: Settings;
  /** Not known yet, or not to be had (the page says why). */
  models: ModelOut[] | undefined;
  model: ModelOut | undefined;
  loading: boolean;
  errors: Partial<Record<Field, string>>;
}

export function SettingsPanel({ form, models, model, loading, errors }: Props) {
  const { t } = useTranslation();
  const values = effective(form, model);
  if (loading) return <Shape />;
  return (
    <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)" }}>
      {models && <ModelPicker models={models} model={model} error={errors.model} />}
      <Labelled label={t("generate.outputs")} error={errors.num_outputs}>
        <Segmented label={t("generate.outputs")} value={form.outputs} options={[1, 2, 4, 8].map((value) => ({ value, label: value }))} onChange={(outputs) => change({ outputs })} />
      </Labelled>
      <ShapePicker form={form} model={model} errors={errors} />
      <NumberField label={t("generate.steps")} value={values.steps} min={1} max={LIMITS.steps} sliderMax={60} step={1} error={errors.steps} hint={t("generate.stepsHint")} onChange={(steps) => change({ steps })} />
      <NumberField label={t("generate.guidance")} value={values.guidance} min={0} max={LIMITS.guidance} sliderMax={15} step={0.5} error={errors.guidance_scale} hint={t("generate.guidanceHint")} onChange={(guidance) => change({ guidance })} />
      <SeedField form={form} error={errors.seed} />
      <LoraPicker form={form} model={model} error={errors.loras} />
      <Advanced form={form} errors={errors} model={model} />
    </Box>
  );
}

/** The panel before the models are known. All of it at once: what they allow decides about every part. */
function Shape() {
  return (
    <Box aria-busy sx={{ display: "grid", gap: 4 }}>
      {[94, 59, 64, 82, 82, 58, 24].map((height, index) => <Skeleton key={index} variant="rectangular" height={height} />)}
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

function ModelPicker({ models, model, error }: { models: ModelOut[]; model: ModelOut | undefined; error?: string }) {
  const { t } = useTranslation();
  useSaid();
  const id = useId();
  if (!model) return <Typography variant="body2" sx={{ color: "text.secondary" }}>{t("generate.noModels")}</Typography>;
  return (
    <Box>
      <Typography component="label" id={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("generate.model")}</Typography>
      <Select size="small" fullWidth value={model.key} labelId={id} error={!!error} onChange={(event) => chooseModel(event.target.value)} renderValue={() => <Named model={model} />}>
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
  const id = useId();
  const draft = useDraft(form.keepSeed ? form.seed : null);
  const lock = form.keepSeed ? t("generate.seedUnlock") : t("generate.seedLock");
  return (
    <Box>
      <Typography component="label" htmlFor={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("generate.seed")}</Typography>
      <Box sx={{ display: "flex", gap: 1 }}>
        <InputBase
          id={id}
          value={draft.text}
          placeholder={t("generate.seedRandom")}
          onChange={(event) => {
            const seed = draft.keep(event.target.value, seedOf(event.target.value));
            change({ seed, keepSeed: seed !== null });
          }}
          onBlur={draft.settle}
          inputProps={{ inputMode: "numeric", "aria-invalid": !!error, "aria-describedby": `${id}-note` }}
          sx={{ flex: 1, border: 1, borderColor: error ? "error.main" : "divider", borderRadius: "8px", px: 3, height: 36, bgcolor: "background.raised", fontSize: 13, fontFamily: '"JetBrains Mono Variable", monospace', "&.Mui-focused": { borderColor: error ? "error.main" : "primary.main" }, "& input:focus-visible": { outline: "none" } }}
        />
        <Tooltip title={lock}>
          <IconButton aria-label={lock} aria-pressed={form.keepSeed} onClick={() => (form.keepSeed ? change({ keepSeed: false }) : form.seed === null || Number.isNaN(form.seed) ? rollSeed() : change({ keepSeed: true }))} sx={{ width: 36, color: form.keepSeed ? "primary.main" : undefined }}>
            {form.keepSeed ? <Lock size={16} /> : <LockOpen size={16} />}
          </IconButton>
        </Tooltip>
        <Tooltip title={t("generate.seedDice")}>
          <IconButton aria-label={t("generate.seedDice")} onClick={rollSeed} sx={{ width: 36 }}><Dices size={17} /></IconButton>
        </Tooltip>
      </Box>
      <FieldNote id={`${id}-note`} error={error} hint={t("generate.seedHint")} />
    </Box>
  );
}

function Advanced({ form, errors, model }: { form: Settings; errors: Props["errors"]; model: ModelOut | undefined }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const schedulers = useQuery(queries.schedulers());
  const id = useId();
  const own = schedulers.data?.find((item) => item.id === model?.defaults?.scheduler)?.name;
  return (
    <Box sx={{ borderTop: 1, borderColor: "divider", mx: -4, px: 4, mb: -2 }}>
      <ButtonBase aria-expanded={open} onClick={() => setOpen(!open)} sx={{ width: 1, minHeight: 44, justifyContent: "space-between", fontFamily: "inherit", fontSize: 13, fontWeight: 550, color: "text.secondary" }}>
        {t("generate.advanced")}
        <Box component={ChevronDown} size={16} aria-hidden sx={{ rotate: open ? "180deg" : 0, transition: "rotate 140ms ease-out" }} />
      </ButtonBase>
      <Collapse in={open} unmountOnExit>
        <Box sx={{ display: "grid", gap: 4, pb: 3 }}>
          <Box>
            <Typography id={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("generate.scheduler")}</Typography>
            <Select size="small" fullWidth displayEmpty value={form.scheduler ?? ""} labelId={id} error={!!errors.scheduler} onChange={(event) => change({ scheduler: event.target.value || null })}>
              <MenuItem value="">{t("generate.schedulerDefault")}{own && ` (${own})`}</MenuItem>
              {schedulers.data?.filter((item) => item.kind === (model?.sampling ?? "noise")).map((item) => <MenuItem key={item.id} value={item.id}>{item.name}</MenuItem>)}
            </Select>
            <FieldNote error={errors.scheduler} />
          </Box>
          <Labelled label={t("generate.format")} error={errors.format}>
            <Segmented<FileFormat> label={t("generate.format")} value={form.format} options={[{ value: "png", label: "PNG" }, { value: "webp", label: "WebP" }, { value: "jpeg", label: "JPEG" }]} onChange={(format) => change({ format })} />
          </Labelled>
          <Button size="small" variant="outlined" color="inherit" onClick={resetToModel}>{t("generate.reset")}</Button>
        </Box>
      </Collapse>
    </Box>
  );
}
