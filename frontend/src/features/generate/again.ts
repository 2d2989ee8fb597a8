/** The form as it was for a picture that is there: its words and numbers, and the picture that it came from. */
import { getImage, getImageSettings, getInput } from "@/api/generated/sdk.gen";
import type { ImageOut } from "@/api/types";
import { NO_GROWTH, type Growth } from "@/lib/frame";

import { TASK_OF } from "./asked";
import { change, reuse as asDrawn } from "./settings";
import { clearSource, takeImage, takeInput, takeMask } from "./source";
import { changeTask, freshTask, type TaskForm } from "./tasks";
import { wordsOf } from "./told";

/** What a recipe says about the picture that it began from: as it was asked for. */
interface Began extends Partial<Growth> {
  task?: string;
  image?: string;
  mask?: string;
  invert_mask?: boolean;
  strength?: number;
  fit?: TaskForm["fit"];
  mask_blur?: number;
  only_masked?: boolean;
  padding?: number;
  fill?: TaskForm["fill"];
  feather?: number;
  scale?: number;
  upscaler?: string;
  frames?: number;
  fps?: number;
  motion?: number;
  noise?: number;
}

export async function again(image: ImageOut): Promise<void> {
  const began = image.recipe as Began;
  const task = TASK_OF[began.task ?? ""];
  if (!began.image || !task) {
    clearSource();
    return await reuse(image);
  }
  if (began.image.startsWith("img_")) takeImage(await getImage({ path: { image_id: began.image } }));
  else takeInput(await getInput({ path: { input_id: began.image } }));
  if (task === "animate") {
    // The form's own words and numbers are those of pictures: they stay.
    change({ seed: image.seed, keepSeed: true });
    return changeTask({ task, ...settingsOf(task, began), videoModel: image.model, videoSteps: image.steps, videoGuidance: image.guidance_scale, videoFormat: image.format === "webp" ? "webp" : "mp4" });
  }
  await reuse(image);
  if (task === "outpaint" || task === "upscale") change({ width: null, height: null });
  changeTask({ task, ...settingsOf(task, began) });
  if (task === "inpaint" && began.mask) await takeMask(began.mask, began.invert_mask);
}

function settingsOf(task: TaskForm["task"], { strength, fit, mask_blur: blur, only_masked: onlyMasked, padding, fill, feather, scale, upscaler, frames, fps, motion, noise, ...edges }: Began): Partial<TaskForm> {
  const { left, right, top, bottom } = { ...NO_GROWTH, ...edges };
  const told: Partial<TaskForm> = {
    change: { strength, fit }, inpaint: { repaint: strength, fit, blur, onlyMasked, padding, fill }, outpaint: { growth: { left, right, top, bottom }, feather }, upscale: { redraw: strength, scale, upscaler: upscaler ?? freshTask.upscaler }, animate: { frames, fps, motion, noise },
  }[task];
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
}

/** With the words as they were typed, where the picture does not hold them: the server knows whether they still come to it. */
async function reuse(image: ImageOut): Promise<void> {
  asDrawn(image);
  if (!image.recipe.asked) return;
  const found = await getImageSettings({ path: { image_id: image.id } }).catch(() => null);
  if (found?.source) change(wordsOf(found));
}

/** As `again`, so that the next ones are nearly it. */
export async function vary(image: ImageOut): Promise<void> {
  await again(image);
  change({ variation: 0.15, subseed: null, outputs: 4 });
}
