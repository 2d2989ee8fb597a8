/** What can be done with a picture, what that needs besides the form, and the request it comes to. */
import type { ImageToImageIn, ImageToVideoIn, InpaintIn, ModelOut, OutpaintIn, TextToImageIn, UpscaleIn } from "@/api/types";
import { store, stored } from "@/lib/browser";
import { grown, grows, NO_GROWTH, type Growth } from "@/lib/frame";
import { Signal } from "@/lib/signal";
import { fitted, type Size } from "@/lib/sizes";

import { check, checkMethod, sideLimits, toRequest, type Complaints, type Settings, type Upscaler } from "./settings";
import type { Source } from "./source";

export const TASKS = ["change", "inpaint", "outpaint", "upscale", "animate"] as const;
export type Task = (typeof TASKS)[number];

export interface TaskForm {
  task: Task;
  /** Change: how much of the picture may change, and how it comes to the result's size. */
  strength: number;
  fit: NonNullable<ImageToImageIn["fit"]>;
  /** Inpaint. */
  repaint: number;
  blur: number;
  onlyMasked: boolean;
  padding: number;
  fill: NonNullable<InpaintIn["fill"]>;
  /** Outpaint. */
  growth: Growth;
  feather: number;
  /** Upscale. */
  scale: number;
  /** Null: as suits the model. */
  redraw: number | null;
  upscaler: Upscaler;
  /** Animate; null is the model's own. */
  videoModel: string | null;
  frames: number | null;
  videoSteps: number | null;
  videoGuidance: number | null;
  fps: number;
  motion: number;
  noise: number;
  videoFormat: "mp4" | "webp";
}

export const freshTask: TaskForm = {
  task: "change", strength: 0.6, fit: "crop", repaint: 0.85, blur: 4, onlyMasked: false, padding: 32, fill: "original", growth: NO_GROWTH, feather: 16, scale: 2, redraw: null, upscaler: "lanczos",
  videoModel: null, frames: null, videoSteps: null, videoGuidance: null, fps: 7, motion: 127, noise: 0.02, videoFormat: "mp4",
};

export const taskForm = new Signal<TaskForm>({ ...freshTask, ...stored<Partial<TaskForm>>("generate.task", {}) });
taskForm.subscribe(() => store("generate.task", taskForm.get()));
export const changeTask = (patch: Partial<TaskForm>) => taskForm.set((now) => ({ ...now, ...patch }));

/** What makes videos of this machine's models, and what makes pictures. */
export const makes = (what: "image" | "video") => (model: ModelOut) => model.task === what && model.runnable && model.type !== "lora" && !model.download;

/** The result's size where the form names none: the picture's own shape. */
export function ownSize(task: Task, picture: Source | null, model: ModelOut | undefined): Size | null {
  if (!picture || task === "animate") return null;
  return fitted(picture, { width: model?.defaults?.width ?? 256, height: model?.defaults?.height ?? 256 }, sideLimits(model));
}

/** Outpaint and upscale: what comes out follows from the picture, up to the next size that the model can make. */
export function resultSize(form: TaskForm, picture: Size, model: ModelOut | undefined): Size | null {
  const { multiple, min_side: least } = sideLimits(model);
  const each = (work: (side: number) => number, { width, height }: Size) => ({ width: work(width), height: work(height) });
  if (form.task === "outpaint") return each((side) => Math.max(least, Math.ceil(side / multiple) * multiple), grown(picture, form.growth));
  if (form.task === "upscale") return each((side) => Math.max(1, Math.round((side * form.scale) / multiple)) * multiple, picture);
  return null;
}

/** How much of an enlarged picture is drawn anew where nobody says: as the model says; nothing by one of small pictures. */
export const ownRedraw = (model: ModelOut | undefined): number => model?.redraw_strength ?? 0.3;

/** Of any result, whatever its model may do. */
const MOST_SIDE = 4096;

/** One request, and where it goes. */
export type Wanted =
  | { path: "text-to-image"; body: TextToImageIn }
  | { path: "image-to-image"; body: ImageToImageIn }
  | { path: "inpaint"; body: InpaintIn }
  | { path: "outpaint"; body: OutpaintIn }
  | { path: "upscale"; body: UpscaleIn }
  | { path: "image-to-video"; body: ImageToVideoIn };

/** `image` and `mask` are what the server calls them. */
export function toWanted(form: Settings, model: ModelOut | undefined, job: TaskForm, picture: Source | null, image: string, mask: string): Wanted {
  if (!picture) return { path: "text-to-image", body: toRequest(form, model) };
  const body = toRequest({ ...form, hires: form.hires && job.task === "change" }, model, ownSize(job.task, picture, model));
  // Where the size follows from the picture, none is asked for.
  const sizeless = { ...body };
  delete sizeless.width;
  delete sizeless.height;
  switch (job.task) {
    case "change":
      return { path: "image-to-image", body: { ...body, image, strength: job.strength, fit: job.fit } };
    case "inpaint":
      return { path: "inpaint", body: { ...body, image, mask, strength: job.repaint, fit: job.fit, mask_blur: job.blur, only_masked: job.onlyMasked, ...(job.onlyMasked ? { padding: job.padding } : {}), fill: job.fill } };
    case "outpaint":
      return { path: "outpaint", body: { ...sizeless, image, ...job.growth, feather: job.feather } };
    case "upscale":
      return { path: "upscale", body: { ...sizeless, image, scale: job.scale, ...(job.redraw === null ? {} : { strength: job.redraw }), ...(job.upscaler === freshTask.upscaler ? {} : { upscaler: job.upscaler }) } };
    case "animate":
      return { path: "image-to-video", body: toVideo(form, model, job, image) };
  }
}

function toVideo(form: Settings, model: ModelOut | undefined, job: TaskForm, image: string): ImageToVideoIn {
  return {
    image, model: model?.key ?? job.videoModel ?? "", num_outputs: form.outputs, ...(job.frames ? { frames: job.frames } : {}), fps: job.fps, motion: job.motion, noise: job.noise,
    ...(job.videoSteps === null ? {} : { steps: job.videoSteps }), ...(job.videoGuidance === null ? {} : { guidance_scale: job.videoGuidance }),
    seed: form.keepSeed ? form.seed : null, format: job.videoFormat,
  };
}

/** Every field that the server would refuse, and what is still missing. */
export function checkAll(form: Settings, model: ModelOut | undefined, job: TaskForm, picture: Source | null, maskIsEmpty: boolean): Complaints {
  if (!picture) return check(form, model);
  const complaints = check(form, model, ownSize(job.task, picture, model));
  const said = form.prompt.trim() !== "";
  if (job.task === "animate") return { ...(complaints.seed ? { seed: complaints.seed } : {}), ...checkMethod(job.videoSteps ?? 1, job.videoGuidance ?? 0) };
  if (job.task === "upscale" && !said) delete complaints.prompt;
  const size = resultSize(job, picture, model);
  if (job.task === "upscale" && size && Math.max(size.width, size.height) > MOST_SIDE) complaints.scale = { key: "validation.sizeOver", ...size, max: MOST_SIDE };
  if (size) {
    delete complaints.width;
    delete complaints.height;
  }
  if (job.task === "inpaint" && maskIsEmpty) complaints.mask = { key: "validation.maskEmpty" };
  if (job.task === "outpaint" && size) {
    const { max_side: max } = sideLimits(model);
    if (!grows(job.growth)) complaints.left = { key: "validation.noGrowth" };
    else if (Math.max(size.width, size.height) > max) complaints.left = { key: "validation.sizeOver", width: size.width, height: size.height, max };
  }
  return complaints;
}

/** Which of five words says how much: 0 hardly, 4 nearly all. */
export const inWords = (strength: number): 0 | 1 | 2 | 3 | 4 => (strength < 0.25 ? 0 : strength < 0.45 ? 1 : strength < 0.65 ? 2 : strength < 0.85 ? 3 : 4);
