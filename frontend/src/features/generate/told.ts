/** What a dropped file says about how it was made, and the form that makes it again. */
import { readSettings } from "@/api/generated/sdk.gen";
import type { SamplerSettingsIn, SettingsOut } from "@/api/types";
import { Signal } from "@/lib/signal";

import { lorasOf } from "./loras";
import { change, fresh, hiresOf, nearestScale, samplingOf, type HiresSaid, type Settings } from "./settings";

export const told = new Signal<SettingsOut | null>(null);

let latest = 0;

/** Asks the server what the file says. What is wrong with a file, its upload tells. */
export async function readBack(file: File): Promise<void> {
  const mine = forget();
  const found = await readSettings({ body: { file } }).catch(() => null);
  if (mine === latest && found?.source) told.set(found);
}

export function forget(): number {
  told.set(null);
  return ++latest;
}

interface Said { prompt?: string; styles?: string[]; typed_prompt?: string; negative_prompt?: string; model?: string; steps?: number; guidance_scale?: number; width?: number; height?: number; seed?: number; scheduler?: string; subseed?: number; subseed_strength?: number; hires?: { scale: number } & HiresSaid; clip_skip?: number; sampler_settings?: SamplerSettingsIn; quality?: number }

/** The words, and what is added to them by name. */
export function wordsOf({ settings }: Pick<SettingsOut, "settings">): Partial<Settings> {
  const { prompt, negative_prompt: negative, styles = [], typed_prompt: from } = settings as Said;
  const words = { prompt, negative, styles, translated: from && prompt ? { from, to: prompt.trim() } : null, loras: lorasOf(settings) };
  return Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined));
}

/** What the form holds then; what the file does not say stays as it is. */
export function formOf(found: Pick<SettingsOut, "settings">): Partial<Settings> {
  const { settings } = found;
  const said = settings as Said;
  const form: Partial<Settings> = {
    ...wordsOf(found), model: said.model, width: said.width, height: said.height, steps: said.steps, guidance: said.guidance_scale, scheduler: said.scheduler,
    ...(said.seed === undefined ? {} : { seed: said.seed, keepSeed: true }),
    variation: said.subseed_strength ?? 0, subseed: said.subseed ?? null,
    hires: !!said.hires, ...(said.hires ? { ...hiresOf(said.hires, said.steps), hiresScale: nearestScale(said.hires.scale) } : {}),
    clipSkip: said.clip_skip ?? 0, sampling: samplingOf(said.sampler_settings), quality: said.quality ?? fresh.quality,
  };
  return Object.fromEntries(Object.entries(form).filter(([, value]) => value !== undefined));
}

export const take = (found: SettingsOut) => change(formOf(found));
