/** The form as it was for a picture that is there: its words and numbers, and the picture that it came from. */
import { getImage, getInput } from "@/api/generated/sdk.gen";
import type { ImageOut } from "@/api/types";
import { NO_GROWTH, type Growth } from "@/lib/frame";

import { TASK_OF } from "./asked";
import { change, reuse } from "./settings";
import { clearSource, takeImage, takeInput } from "./source";
import { changeTask, type TaskForm } from "./tasks";

/** What a recipe says about the picture that it began from: as it was asked for. A mask is painted anew. */
interface Began extends Partial<Growth> {
  task?: string;
  image?: string;
  strength?: number;
  fit?: TaskForm["fit"];
  mask_blur?: number;
  only_masked?: boolean;
  padding?: number;
  fill?: TaskForm["fill"];
  feather?: number;
  scale?: number;
}

export async function again(image: ImageOut): Promise<void> {
  const began = image.recipe as Began;
  const task = TASK_OF[began.task ?? ""];
  if (!began.image || !task || task === "animate") {
    clearSource();
    return reuse(image);
  }
  if (began.image.startsWith("img_")) takeImage(await getImage({ path: { image_id: began.image } }));
  else takeInput(await getInput({ path: { input_id: began.image } }));
  reuse(image);
  if (task === "outpaint" || task === "upscale") change({ width: null, height: null });
  changeTask({ task, ...settingsOf(task, began) });
}

function settingsOf(task: TaskForm["task"], { strength, fit, mask_blur: blur, only_masked: onlyMasked, padding, fill, feather, scale, ...edges }: Began): Partial<TaskForm> {
  const { left, right, top, bottom } = { ...NO_GROWTH, ...edges };
  const told: Partial<TaskForm> = {
    change: { strength, fit }, inpaint: { repaint: strength, fit, blur, onlyMasked, padding, fill }, outpaint: { growth: { left, right, top, bottom }, feather }, upscale: { redraw: strength, scale }, animate: {},
  }[task];
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
}

/** As `again`, so that the next ones are nearly it. */
export async function vary(image: ImageOut): Promise<void> {
  await again(image);
  change({ variation: 0.15, subseed: null, outputs: 4 });
}
