/** The form as it was for a picture that is there: its words and numbers, and the picture that it came from. */
import { getImage, getImageSettings, getInput } from "@/api/generated/sdk.gen";
import type { ImageOut } from "@/api/types";
import { NO_GROWTH, type Growth } from "@/lib/frame";

import { TASK_OF } from "./asked";
import { change, reuse as asDrawn, settings } from "./settings";
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

let latest = 0;

/** Throws when the picture that it came from is gone; its words and numbers are there all the same. */
export async function again(image: ImageOut): Promise<void> {
  const mine = ++latest;
  const began = image.recipe as Began;
  const task = TASK_OF[began.task ?? ""];
  if (!began.image || !task) {
    clearSource();
    return await reuse(image, mine);
  }
  const take = await sourceOf(began.image).catch(async (error: unknown) => {
    if (mine === latest && task !== "animate") {
      clearSource();
      await reuse(image, mine);
    }
    throw error;
  });
  if (mine !== latest) return; // another picture was chosen meanwhile
  take();
  if (task === "animate") {
    // The form's own words and numbers are those of pictures: they stay.
    change({ seed: image.seed, keepSeed: true });
    return changeTask({ task, ...settingsOf(task, began), videoModel: image.model, videoSteps: image.steps, videoGuidance: image.guidance_scale, videoFormat: image.format === "webp" ? "webp" : "mp4" });
  }
  await reuse(image, mine);
  if (mine !== latest) return;
  if (task === "outpaint" || task === "upscale") change({ width: null, height: null });
  changeTask({ task, ...settingsOf(task, began) });
  if (task === "inpaint" && began.mask) await takeMask(began.mask, began.invert_mask);
}

async function sourceOf(id: string): Promise<() => void> {
  if (id.startsWith("img_")) {
    const image = await getImage({ path: { image_id: id } });
    return () => takeImage(image);
  }
  const input = await getInput({ path: { input_id: id } });
  return () => takeInput(input);
}

function settingsOf(task: TaskForm["task"], { strength, fit, mask_blur: blur, only_masked: onlyMasked, padding, fill, feather, scale, upscaler, frames, fps, motion, noise, ...edges }: Began): Partial<TaskForm> {
  const { left, right, top, bottom } = { ...NO_GROWTH, ...edges };
  const told: Partial<TaskForm> = {
    change: { strength, fit }, inpaint: { repaint: strength, fit, blur, onlyMasked, padding, fill }, outpaint: { growth: { left, right, top, bottom }, feather }, upscale: { redraw: strength, scale, upscaler: upscaler ?? freshTask.upscaler }, animate: { frames, fps, motion, noise },
  }[task];
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
}

/** With the words as they were typed, where the picture does not hold them: the server knows whether they still come to it. */
async function reuse(image: ImageOut, mine: number): Promise<void> {
  asDrawn(image);
  if (!image.recipe.asked) return;
  const { prompt, negative } = settings.get();
  const found = await getImageSettings({ path: { image_id: image.id } }).catch(() => null);
  const now = settings.get();
  // Whoever has written or chosen something else meanwhile keeps that.
  if (found?.source && mine === latest && now.prompt === prompt && now.negative === negative) change(wordsOf(found));
}

/** As `again`, so that the next ones are nearly it. */
export async function vary(image: ImageOut): Promise<void> {
  const filled = again(image);
  const mine = latest;
  await filled;
  if (mine === latest) change({ variation: 0.15, subseed: null, outputs: 4 });
}
