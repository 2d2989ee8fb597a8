/** The grid that somebody is about to ask for: the dialog stands in front of every page, whichever asks. */
import { Signal } from "@/lib/signal";

import type { AxisIn, GridIn, HiresIn, ImageOut, SamplerSettingsIn, StartIn, TextToImageIn } from "./types";

/** A picture that every cell may start from, and where to look at it. */
export interface GridStart extends Required<StartIn> { url: string }

export interface PlannedGrid {
  /** What is varied. */
  request: TextToImageIn;
  start: GridStart | null;
  /** Whether the cells start from it unless somebody says otherwise. */
  starts: boolean;
  /** Of a grid that was asked for: what was varied. */
  x?: AxisIn;
  y?: AxisIn | null;
}

/** Null while no grid is thought of. */
export const plannedGrid = new Signal<PlannedGrid | null>(null);

interface Made { grid?: unknown; task?: string; image?: string; strength?: number; fit?: GridStart["fit"]; width?: number; height?: number; clip_skip?: number; loras?: { model?: string; weight?: number }[]; hires?: ({ width: number } & Again) | null; sampler_settings?: SamplerSettingsIn }
type Again = Pick<HiresIn, "steps" | "strength" | "upscaler" | "scheduler">;

const lookAt = (id: string) => (id.startsWith("img_") ? `/api/gallery/${id}/thumbnail` : `/api/inputs/${id}/file`);

/** The grid that a job made, to be asked for differently. */
export function gridAgain({ request, start, x, y }: GridIn): PlannedGrid {
  return { request, start: start ? { strength: 0.6, fit: "crop", ...start, url: lookAt(start.image) } : null, starts: !!start, x, y: y ?? null };
}

/** A grid of this picture: made as it was, from the picture that it was made from; else it may be what others start from. */
export function gridOf(image: ImageOut): PlannedGrid {
  const { grid, task, image: from, strength = 0.6, fit = "crop" } = image.recipe as Made;
  const request = requestOf(image);
  if (task === "image_to_image" && from) return { request, start: { image: from, strength, fit, url: lookAt(from) }, starts: true };
  if (grid) return { request, start: null, starts: false }; // a sheet is nothing to start from
  return { request, start: { image: image.id, strength: 0.6, fit: "crop", url: image.thumbnail_url }, starts: false };
}

/** The second pass as it was, as far as the recipe tells. */
function againOf({ width, ...how }: { width: number } & Again, first: number): HiresIn {
  const told = (["steps", "strength", "upscaler", "scheduler"] as const).flatMap((name) => (how[name] ? [[name, how[name]]] : []));
  return { scale: width / first, ...Object.fromEntries(told) };
}

/** The request that makes this picture again. With a second pass, the file is larger than what was asked for. */
export function requestOf(image: ImageOut): TextToImageIn {
  const { prompt, negative_prompt, model, steps, guidance_scale, seed, scheduler } = image;
  const { width = image.width, height = image.height, clip_skip, loras = [], hires, grid, sampler_settings } = image.recipe as Made;
  const added = loras.flatMap((one) => (one.model ? [{ model: one.model, weight: one.weight ?? 1 }] : []));
  return {
    prompt, negative_prompt, model, steps, guidance_scale, seed, scheduler, ...(hires ? { width, height, hires: againOf(hires, width) } : grid ? { width, height } : { width: image.width, height: image.height }),
    ...(clip_skip ? { clip_skip } : {}), ...(sampler_settings ? { sampler_settings } : {}), ...(added.length > 0 ? { loras: added } : {}),
  };
}
