import { Box, Button, Collapse, FormControlLabel, MenuItem, Select, Slider, Switch, Typography } from "@mui/material";
import { Brush, ChevronDown, MoveHorizontal, MoveVertical, Expand } from "lucide-react";
import { useId, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { ModelOut } from "@/api/types";
import { EDGES, grows, moveEdge, NO_GROWTH, preset, type Preset } from "@/lib/frame";
import { covered } from "@/lib/mask";
import { percent } from "@/lib/numbers";
import { FieldNote, NumberField } from "@/ui/NumberField";
import { RoundedPixelField } from "@/ui/PixelField";
import { Segmented } from "@/ui/Segmented";

import { sideLimits, type Field } from "./settings";
import type { Painting, Source } from "./source";
import { changeTask, inWords, ownRedraw, resultSize, type TaskForm } from "./tasks";
import { SmallModelNote } from "./Refinements";
import { UpscalerPicker } from "./UpscalerPicker";

interface Props {
  picture: Source;
  job: TaskForm;
  model: ModelOut | undefined;
  mask: Painting | null;
  onPaint: () => void;
  errors: Partial<Record<Field, string>>;
}

/** What the chosen task needs to know, the most important first and the rest folded. */
export function TaskOptions(props: Props) {
  const { t } = useTranslation();
  const { job } = props;
  const Part = { change: Change, inpaint: Inpaint, outpaint: Outpaint, upscale: Upscale, animate: Animate }[job.task];
  return (
    <>
      <Typography variant="body2" sx={{ color: "text.secondary", mt: -1 }}>{t(`task.hints.${job.task}`)}</Typography>
      <Part {...props} />
    </>
  );
}

function Change({ job }: Props) {
  return (
    <>
      <Strength value={job.strength} onChange={(strength) => changeTask({ strength })} />
      <Fit job={job} />
    </>
  );
}

function Inpaint({ job, mask, onPaint, errors }: Props) {
  const { t, i18n } = useTranslation();
  const share = mask ? covered(mask.mask) : 0;
  const fill = useId();
  return (
    <>
      <Box>
        <Box sx={{ display: "flex", alignItems: "center", gap: 3 }}>
          <Button variant={share > 0 ? "outlined" : "contained"} color={share > 0 ? "inherit" : "primary"} startIcon={<Brush size={16} />} onClick={onPaint}>{share > 0 ? t("mask.edit") : t("mask.begin")}</Button>
          {share > 0 && <Typography variant="body2" sx={{ color: "text.faint" }}>{t("mask.covered", { share: percent(share, i18n.language) })}</Typography>}
        </Box>
        <FieldNote error={errors.mask} />
      </Box>
      <Strength value={job.repaint} onChange={(repaint) => changeTask({ repaint })} />
      <More>
        <NumberField label={t("mask.blur")} value={job.blur} min={0} max={64} step={1} hint={t("mask.blurHint")} onChange={(blur) => changeTask({ blur })} />
        <Box>
          <FormControlLabel control={<Switch size="small" checked={job.onlyMasked} onChange={(_, onlyMasked) => changeTask({ onlyMasked })} />} label={t("mask.onlyMasked")} slotProps={{ typography: { sx: { fontSize: 13 } } }} sx={{ gap: 2, ml: -1 }} />
          <FieldNote hint={t("mask.onlyMaskedHint")} />
        </Box>
        {job.onlyMasked && <NumberField label={t("mask.padding")} value={job.padding} min={0} max={256} step={4} hint={t("mask.paddingHint")} onChange={(padding) => changeTask({ padding })} />}
        <Box>
          <Typography id={fill} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t("mask.under")}</Typography>
          <Select size="small" fullWidth value={job.fill} labelId={fill} onChange={(event) => changeTask({ fill: event.target.value as TaskForm["fill"] })}>
            {(["original", "blur", "noise", "nothing"] as const).map((each) => <MenuItem key={each} value={each}>{t(`mask.fills.${each}`)}</MenuItem>)}
          </Select>
        </Box>
      </More>
    </>
  );
}

const PRESETS: [Preset, typeof Expand][] = [["wider", MoveHorizontal], ["taller", MoveVertical], ["around", Expand]];

function Outpaint({ picture, job, model, errors }: Props) {
  const { t } = useTranslation();
  const limits = sideLimits(model);
  const presets = PRESETS.map(([which, Icon]) => ({ which, Icon, growth: preset(which, picture, limits) }));
  const room = presets.some(({ growth }) => grows(growth));
  return (
    <>
      <Box sx={{ display: { xs: "grid", sm: "flex" }, gridTemplateColumns: "1fr 1fr", flexWrap: "wrap", gap: 2 }}>
        {presets.map(({ which, Icon, growth }) => <Button key={which} size="small" variant="outlined" color="inherit" disabled={!grows(growth)} startIcon={<Icon size={15} />} onClick={() => changeTask({ growth })}>{t(`task.presets.${which}`)}</Button>)}
        {grows(job.growth) && <Button size="small" color="inherit" onClick={() => changeTask({ growth: NO_GROWTH })}>{t("task.presets.none")}</Button>}
      </Box>
      <Box>
        <Box role="group" aria-label={t("task.edges")} sx={{ display: "grid", gap: 2, gridTemplateColumns: "repeat(auto-fit, minmax(112px, 1fr))" }}>
          {EDGES.map((edge) => <RoundedPixelField key={edge} label={t(`task.sides.${edge}`)} name={t(`task.edge.${edge}`)} value={job.growth[edge]} onChange={(pixels) => changeTask({ growth: moveEdge(job.growth, edge, pixels, picture, limits) })} />)}
        </Box>
        <FieldNote error={room ? errors.left : undefined} hint={room ? undefined : t("task.noRoom", { max: limits.max_side })} />
      </Box>
      {grows(job.growth) && <Comes job={job} picture={picture} model={model} />}
      <More>
        <NumberField label={t("task.feather")} value={job.feather} min={0} max={128} step={4} hint={t("task.featherHint")} onChange={(feather) => changeTask({ feather })} />
      </More>
    </>
  );
}

function Upscale({ picture, job, model, errors }: Props) {
  const { t } = useTranslation();
  return (
    <>
      <Segmented label={t("task.scale")} value={job.scale} options={[1.5, 2, 4].map((value) => ({ value, label: `× ${value}` }))} onChange={(scale) => changeTask({ scale })} />
      <FieldNote error={errors.scale} />
      <Comes job={job} picture={picture} model={model} />
      <UpscalerPicker plain={["lanczos"]} value={job.upscaler} error={errors.upscaler} onChange={(upscaler) => changeTask({ upscaler })} />
      <Strength value={job.redraw ?? ownRedraw(model)} label={t("task.redraw")} zero={t("task.redrawNone")} onChange={(redraw) => changeTask({ redraw })} />
      {(job.redraw ?? ownRedraw(model)) > 0 && <SmallModelNote model={model} />}
    </>
  );
}

function Animate({ job, model }: Props) {
  const { t, i18n } = useTranslation();
  const frames = job.frames ?? model?.defaults?.frames ?? 14;
  return (
    <>
      <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "1fr 1fr" } }}>
        <NumberField label={t("task.frames")} value={frames} min={2} max={64} step={1} hint={t("task.framesHint", { seconds: new Intl.NumberFormat(i18n.language, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(frames / job.fps) })} onChange={(value) => changeTask({ frames: value })} />
        <NumberField label={t("task.fps")} value={job.fps} min={1} max={60} sliderMax={30} step={1} onChange={(fps) => changeTask({ fps })} />
        <NumberField label={t("task.motion")} value={job.motion} min={1} max={255} step={1} hint={t("task.motionHint")} onChange={(motion) => changeTask({ motion })} />
        <NumberField label={t("task.noise")} value={job.noise} min={0} max={1} sliderMax={0.5} step={0.01} hint={t("task.noiseHint")} onChange={(noise) => changeTask({ noise })} />
      </Box>
    </>
  );
}

/** How large the result is. */
function Comes({ job, picture, model }: Pick<Props, "job" | "picture" | "model">) {
  const { t } = useTranslation();
  const size = resultSize(job, picture, model);
  return size && <Typography variant="body2" sx={{ color: "text.faint", mt: -2 }}>{t("task.comes", { size: `${size.width} × ${size.height}` })}</Typography>;
}

/** How much may change, as a number for the hand and a word for the head. */
function Strength({ value, label, zero, onChange }: { value: number; label?: string; zero?: string; onChange: (value: number) => void }) {
  const { t, i18n } = useTranslation();
  const name = label ?? t("task.strength");
  const word = value === 0 && zero ? zero : t(`task.strengthWords.${inWords(value)}`);
  return (
    <Box>
      <Box sx={{ display: "flex", alignItems: "baseline", gap: 3 }}>
        <Typography variant="overline" component="span" sx={{ color: "text.secondary" }}>{name}</Typography>
        <Typography component="span" sx={{ ml: "auto", fontSize: 13, fontWeight: 550 }}>{word}</Typography>
        <Typography variant="mono" sx={{ color: "text.faint", minWidth: 36, textAlign: "right" }}>{percent(value, i18n.language)}</Typography>
      </Box>
      <Slider size="small" aria-label={name} value={value} min={0} max={1} step={0.05} getAriaValueText={() => word} onChange={(_, next) => onChange(next as number)} />
    </Box>
  );
}

function Fit({ job }: { job: TaskForm }) {
  const { t } = useTranslation();
  return (
    <More>
      <Box>
        <Typography variant="overline" component="p" sx={{ color: "text.secondary", mb: 1 }}>{t("task.fit")}</Typography>
        <Segmented<TaskForm["fit"]> label={t("task.fit")} value={job.fit} options={(["crop", "pad", "stretch"] as const).map((value) => ({ value, label: t(`task.fits.${value}`) }))} onChange={(fit) => changeTask({ fit })} />
        <FieldNote hint={t("task.fitHint")} />
      </Box>
    </More>
  );
}

function More({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <Box>
      <Button size="small" color="inherit" aria-expanded={open} onClick={() => setOpen(!open)} endIcon={<Box component={ChevronDown} size={15} aria-hidden sx={{ rotate: open ? "180deg" : 0, transition: "rotate 140ms ease-out" }} />} sx={{ ml: -2 }}>{t("task.more")}</Button>
      <Collapse in={open} unmountOnExit>
        <Box sx={{ display: "grid", gap: 4, pt: 2, gridTemplateColumns: "minmax(0, 1fr)" }}>{children}</Box>
      </Collapse>
    </Box>
  );
}
