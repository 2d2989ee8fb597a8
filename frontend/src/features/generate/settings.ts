/** What the form holds. `null` means "the model's own", so that a change of model brings its defaults along. */
import type { HiresIn, ImageOut, ModelOut, SamplerSettingsIn, TextToImageIn } from "@/api/types";
import { randomSeed, store, stored } from "@/lib/browser";
import { Signal } from "@/lib/signal";
import { snap, type Size } from "@/lib/sizes";

import { lorasFor, lorasOf, type LoraChoice } from "./loras";

export type FileFormat = "png" | "webp" | "jpeg";

/** What enlarges without a model, or the key of a model. */
export type Upscaler = NonNullable<HiresIn["upscaler"]>;
export type Sampling = Partial<Record<keyof SamplerSettingsIn, number>>;

export interface Settings {
  prompt: string;
  negative: string;
  /** The prompt is a translation of what was typed, as long as nobody changes it. */
  translated: { from: string; to: string } | null;
  model: string | null;
  outputs: number;
  width: number | null;
  height: number | null;
  steps: number | null;
  guidance: number | null;
  seed: number | null;
  /** Locked: every request uses `seed`. Otherwise the server picks one. */
  keepSeed: boolean;
  scheduler: string | null;
  /** Names of styles, added to the prompt in this order. */
  styles: string[];
  format: FileFormat;
  loras: LoraChoice[];
  /** How far each picture is moved towards that of another seed: 0 not at all. */
  variation: number;
  /** That other seed; null is a new one each time. */
  subseed: number | null;
  /** A second pass over the enlarged picture. */
  hires: boolean;
  hiresScale: number;
  hiresStrength: number;
  /** Null: as many as the first pass. */
  hiresSteps: number | null;
  /** Null: the first pass's. */
  hiresScheduler: string | null;
  hiresUpscaler: Upscaler;
  /** How many of CLIP's last layers are left out. */
  clipSkip: number;
  /** What is told to the scheduler's steps; what is not named is the scheduler's own. */
  sampling: Sampling;
  /** Of WebP and JPEG, 1 to 100. */
  quality: number;
}

export const fresh: Settings = {
  prompt: "", negative: "", translated: null, model: null, outputs: 1, width: null, height: null, steps: null, guidance: null, seed: null, keepSeed: false, scheduler: null, styles: [], format: "png", loras: [], variation: 0, subseed: null, hires: false, hiresScale: 2, hiresStrength: 0.5, hiresSteps: null, hiresScheduler: null, hiresUpscaler: "lanczos", clipSkip: 0, sampling: {}, quality: 95,
};

/** Lives outside the page, so that leaving it or reloading loses nothing. */
export const settings = new Signal<Settings>(mended({ ...fresh, ...stored<Partial<Settings>>("generate", {}) }));
settings.subscribe(() => store("generate", settings.get()));

/** JSON keeps no NaN: a seed that was no number when the page was left is none now, and nothing is locked to it. */
function mended(form: Settings): Settings {
  return { ...form, keepSeed: form.keepSeed && form.seed !== null, variation: form.variation ?? 0 };
}

export const change = (patch: Partial<Settings> | ((now: Settings) => Partial<Settings>)) => settings.set((now) => ({ ...now, ...(typeof patch === "function" ? patch(now) : patch) }));

export function chooseModel(model: string): void {
  change({ model, width: null, height: null, steps: null, guidance: null, hiresScheduler: null, clipSkip: 0 });
  chooseScheduler(null);
}

/** What the steps are told belongs to the scheduler that takes it. */
export function chooseScheduler(scheduler: string | null): void {
  change({ scheduler, sampling: {} });
}

export function resetToModel(): void {
  settings.set((now) => ({ ...fresh, styles: now.styles, prompt: now.prompt, negative: now.negative, translated: now.translated, model: now.model }));
}

/** What a recipe says of variations and of a second pass; nothing of them where it says nothing. */
interface Refined { grid?: unknown; subseed?: number; subseed_strength?: number; width?: number; height?: number; hires?: ({ width: number } & HiresSaid) | null; clip_skip?: number; sampler_settings?: SamplerSettingsIn | null; quality?: number }

/** A second pass, as recipes and dropped files tell of it. */
export interface HiresSaid { steps?: number | null; strength?: number; scheduler?: string | null; upscaler?: Upscaler }

/** `first`: the first pass's steps. As many of them again are none of its own. */
export const hiresOf = ({ steps, strength, scheduler, upscaler }: HiresSaid, first: number | undefined) => ({ hiresSteps: steps && steps !== first ? steps : null, hiresStrength: strength ?? fresh.hiresStrength, hiresScheduler: scheduler ?? null, hiresUpscaler: upscaler ?? fresh.hiresUpscaler });

export const samplingOf = (said: SamplerSettingsIn | null | undefined): Sampling => Object.fromEntries(Object.entries(said ?? {}).filter(([, value]) => typeof value === "number"));

/** Takes over what made `image`, its seed locked. */
export function reuse(image: ImageOut): void {
  const { subseed = null, subseed_strength: variation = 0, hires, grid, clip_skip: clipSkip = 0, sampler_settings: sampling, quality = fresh.quality, width = image.width, height = image.height } = image.recipe as Refined;
  // With a second pass, and as a grid's sheet, the file is larger than what was asked for.
  const first = hires || grid ? { width, height } : { width: image.width, height: image.height };
  change({
    // As it was drawn: styles stand in the words.
    prompt: image.prompt, negative: image.negative_prompt, styles: [], translated: null, model: image.model, ...first,
    variation, subseed, hires: !!hires, ...(hires ? { ...hiresOf(hires, image.steps), hiresScale: nearestScale(hires.width / width) } : {}),
    clipSkip, sampling: samplingOf(sampling), quality,
    steps: image.steps, guidance: image.guidance_scale, seed: image.seed, keepSeed: true, scheduler: image.scheduler, format: image.format === "mp4" ? "png" : image.format,
    loras: lorasOf(image.recipe),
  });
}

/** The scales that there are to choose from. */
export const HIRES_SCALES = [1.5, 2, 3, 4];
export const nearestScale = (scale: number) => HIRES_SCALES.reduce((best, each) => (Math.abs(each - scale) < Math.abs(best - scale) ? each : best));

/** What was typed as a seed: null when nothing was, NaN when it is none. Digits may stand in groups. */
export function seedOf(text: string): number | null {
  const digits = text.replace(/[\s_]/g, "");
  if (digits === "") return null;
  return /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
}

export function rollSeed(): void {
  change({ seed: randomSeed(), keepSeed: true });
}

/** The form with the model's defaults filled in, or the size of the picture that is worked from: what is shown and what is checked. */
export function effective(form: Settings, model: ModelOut | undefined, own: Size | null = null) {
  return {
    width: form.width ?? own?.width ?? model?.defaults?.width ?? 256,
    height: form.height ?? own?.height ?? model?.defaults?.height ?? 256,
    steps: form.steps ?? model?.defaults?.steps ?? 20,
    guidance: form.guidance ?? model?.defaults?.guidance_scale ?? 5,
  };
}

export function toRequest(form: Settings, model: ModelOut | undefined, own: Size | null = null): TextToImageIn {
  const { width, height, steps, guidance } = effective(form, model, own);
  const loras = lorasFor(form.loras, model);
  return {
    prompt: form.prompt.trim(),
    ...(form.negative.trim() ? { negative_prompt: form.negative.trim() } : {}),
    ...(form.translated?.to === form.prompt.trim() ? { typed_prompt: form.translated.from } : {}),
    ...(model ? { model: model.key } : form.model ? { model: form.model } : {}),
    num_outputs: form.outputs,
    steps,
    guidance_scale: guidance,
    width,
    height,
    seed: form.keepSeed ? form.seed : null,
    ...(form.scheduler ? { scheduler: form.scheduler } : {}),
    ...(form.styles.length > 0 ? { styles: form.styles } : {}),
    ...(form.variation > 0 ? { subseed_strength: form.variation, ...(form.subseed === null ? {} : { subseed: form.subseed }) } : {}),
    ...(form.hires ? { hires: { scale: form.hiresScale, strength: form.hiresStrength, ...(form.hiresSteps === null ? {} : { steps: form.hiresSteps }), ...(form.hiresScheduler ? { scheduler: form.hiresScheduler } : {}), ...(form.hiresUpscaler === fresh.hiresUpscaler ? {} : { upscaler: form.hiresUpscaler }) } } : {}),
    ...(form.clipSkip > 0 ? { clip_skip: form.clipSkip } : {}),
    ...(Object.keys(form.sampling).length > 0 ? { sampler_settings: form.sampling } : {}),
    ...(loras.length > 0 ? { loras } : {}),
    format: form.format,
    ...(form.format === "png" ? {} : { quality: form.quality }),
  };
}

// The API's own limits; a model may be narrower for its sides.
export const LIMITS = { prompt: 2000, steps: 200, guidance: 30, seed: 2 ** 32 - 1, minSide: 64, maxSide: 2048, multiple: 8 };

export function sideLimits(model: ModelOut | undefined) {
  return {
    min_side: Math.max(LIMITS.minSide, model?.limits?.min_side ?? 0),
    max_side: Math.min(LIMITS.maxSide, model?.limits?.max_side ?? LIMITS.maxSide),
    multiple: Math.max(LIMITS.multiple, model?.limits?.multiple ?? 0),
  };
}

export type Field = "prompt" | "negative_prompt" | "model" | "num_outputs" | "steps" | "guidance_scale" | "width" | "height" | "seed" | "scheduler" | "format" | "image" | "mask" | "left" | "scale" | "subseed" | "subseed_strength" | "hires" | "hires_steps" | "hires_scheduler" | "hires_upscaler" | "upscaler" | "loras" | "clip_skip" | "sampler_settings" | "quality";
type Complaint =
  | { key: "validation.maskEmpty" | "validation.noGrowth" }
  | { key: "validation.sizeOver"; width: number; height: number; max: number }
  | { key: "validation.promptEmpty" }
  | { key: "validation.tooLong"; max: number; count: number }
  | { key: "validation.range" | "validation.integer" | "validation.seed"; min: number; max: number }
  | { key: "validation.multiple"; multiple: number; min: number; max: number };
export type Complaints = Partial<Record<Field, Complaint>>;

/** How it is drawn: what pictures and videos have in common. */
export function checkMethod(steps: number, guidance: number): Complaints {
  const complaints: Complaints = {};
  if (!Number.isInteger(steps) || steps < 1 || steps > LIMITS.steps) complaints.steps = { key: "validation.integer", min: 1, max: LIMITS.steps };
  if (!(guidance >= 0 && guidance <= LIMITS.guidance)) complaints.guidance_scale = { key: "validation.range", min: 0, max: LIMITS.guidance };
  return complaints;
}

/** Every field that the server would refuse, with its limit. */
export function check(form: Settings, model: ModelOut | undefined, own: Size | null = null): Complaints {
  const complaints: Complaints = {};
  const { width, height, steps, guidance } = effective(form, model, own);
  const sides = sideLimits(model);
  // Characters as the server counts them: code points, not UTF-16 units.
  const length = [...form.prompt.trim()].length;
  if (length === 0) complaints.prompt = { key: "validation.promptEmpty" };
  if (length > LIMITS.prompt) complaints.prompt = { key: "validation.tooLong", max: LIMITS.prompt, count: length };
  const negative = [...form.negative.trim()].length;
  if (negative > LIMITS.prompt) complaints.negative_prompt = { key: "validation.tooLong", max: LIMITS.prompt, count: negative };
  Object.assign(complaints, checkMethod(steps, guidance));
  if (form.hires && form.hiresSteps !== null && checkMethod(form.hiresSteps, 0).steps) complaints.hires_steps = { key: "validation.integer", min: 1, max: LIMITS.steps };
  for (const [field, side] of [["width", width], ["height", height]] as const) {
    if (snap(side, sides) !== side) complaints[field] = { key: "validation.multiple", multiple: sides.multiple, min: sides.min_side, max: sides.max_side };
  }
  const noSeed = (seed: number) => !Number.isInteger(seed) || seed < 0 || seed > LIMITS.seed;
  if (form.keepSeed && (form.seed === null || noSeed(form.seed))) complaints.seed = { key: "validation.seed", min: 0, max: LIMITS.seed };
  if (!(form.variation >= 0 && form.variation <= 1)) complaints.subseed_strength = { key: "validation.range", min: 0, max: 1 };
  if (form.variation > 0 && form.subseed !== null && noSeed(form.subseed)) complaints.subseed = { key: "validation.seed", min: 0, max: LIMITS.seed };
  return complaints;
}
