/** The form as it was for a picture that is there, or for a job: its words and numbers, and the picture that it came from. */
import { getImage, getImageSettings, getInput } from "@/api/generated/sdk.gen";
import type { ImageOut, JobOut } from "@/api/types";
import { NO_GROWTH, type Growth } from "@/lib/frame";

import { TASK_OF } from "./asked";
import { change, fresh, reuse as asDrawn, settings, type FileFormat } from "./settings";
import { clearSource, takeImage, takeInput, takeMask } from "./source";
import { changeTask, freshTask, type TaskForm } from "./tasks";
import { formOf, wordsOf } from "./told";

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

/** What is put back into the form, and how. */
interface Before {
  began: Began;
  /** Its words and numbers, of pictures. */
  words: (mine: number) => void | Promise<void>;
  seed: number | null;
  video: Partial<TaskForm>;
  /** Of what it does not say. */
  otherwise?: Partial<TaskForm>;
}

/** Throws when the picture that it came from is gone; its words and numbers are there all the same. */
export function again(image: ImageOut): Promise<void> {
  const { model, steps, guidance_scale: guidance, format, seed } = image;
  return restore({ began: image.recipe as Began, words: (mine) => reuse(image, mine), seed, video: { videoModel: model, videoSteps: steps, videoGuidance: guidance, videoFormat: format === "webp" ? "webp" : "mp4" } });
}

/** As it was asked for, a seed only where one was named: of a job that made nothing, or that is to be made differently. Throws as `again` does. */
export function againFrom(job: Pick<JobOut, "request">): Promise<void> {
  const { resolved, ...request } = job.request as Request & { resolved?: Request };
  const { model = resolved?.model ?? null, seed = null, num_outputs: outputs = 1, format = "png", steps = null, guidance_scale: guidance = null } = request;
  const words = () => {
    change({ ...fresh, ...formOf({ settings: { ...request, model } }), outputs, seed, keepSeed: seed !== null, format: format === "mp4" ? fresh.format : format });
  };
  return restore({ began: { ...request, task: resolved?.task }, words, seed, otherwise: freshTask, video: { videoModel: model, videoSteps: steps, videoGuidance: guidance, videoFormat: format === "webp" ? "webp" : "mp4" } });
}

interface Request extends Began { model?: string; seed?: number | null; num_outputs?: number; format?: FileFormat | "mp4"; steps?: number | null; guidance_scale?: number | null }

async function restore({ began, words, seed, video, otherwise }: Before): Promise<void> {
  const mine = ++latest;
  const task = TASK_OF[began.task ?? ""];
  if (!began.image || !task) {
    clearSource();
    return await words(mine);
  }
  const take = await sourceOf(began.image).catch(async (error: unknown) => {
    if (mine === latest && task !== "animate") {
      clearSource();
      await words(mine);
    }
    throw error;
  });
  if (mine !== latest) return; // another picture was chosen meanwhile
  take();
  if (task === "animate") {
    // The form's own words and numbers are those of pictures: they stay.
    change({ seed, keepSeed: seed !== null });
    return changeTask({ ...otherwise, task, ...settingsOf(task, began), ...video });
  }
  await words(mine);
  if (mine !== latest) return;
  if (task === "outpaint" || task === "upscale") change({ width: null, height: null });
  changeTask({ ...otherwise, task, ...settingsOf(task, began) });
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
