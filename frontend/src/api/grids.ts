/** The grid that somebody is about to ask for: the dialog stands in front of every page, whichever asks. */
import { Signal } from "@/lib/signal";

import type { ImageOut, TextToImageIn } from "./types";

/** The request that is varied; null while no grid is thought of. */
export const plannedGrid = new Signal<TextToImageIn | null>(null);

interface Made { width?: number; height?: number; clip_skip?: number; loras?: { model?: string; weight?: number }[]; hires?: { width: number; strength: number } | null }

/** The request that makes this picture again. With a second pass, the file is larger than what was asked for. */
export function requestOf(image: ImageOut): TextToImageIn {
  const { prompt, negative_prompt, model, steps, guidance_scale, seed, scheduler } = image;
  const { width = image.width, height = image.height, clip_skip, loras = [], hires } = image.recipe as Made;
  const added = loras.flatMap((one) => (one.model ? [{ model: one.model, weight: one.weight ?? 1 }] : []));
  return {
    prompt, negative_prompt, model, steps, guidance_scale, seed, scheduler, ...(hires ? { width, height, hires: { scale: hires.width / width, strength: hires.strength } } : { width: image.width, height: image.height }),
    ...(clip_skip ? { clip_skip } : {}), ...(added.length > 0 ? { loras: added } : {}),
  };
}
