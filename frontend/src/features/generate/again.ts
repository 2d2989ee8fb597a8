/** The form as it was for a picture that is there: its words and numbers, and the picture that it came from. */
import { getImage, getInput } from "@/api/generated/sdk.gen";
import type { ImageOut } from "@/api/types";

import { change, reuse } from "./settings";
import { clearSource, takeImage, takeInput } from "./source";
import { changeTask, type TaskForm } from "./tasks";

interface Began { start?: { key: string; strength: number; fit: TaskForm["fit"] }; inpaint?: { blur: number; fill: TaskForm["fill"]; only_masked: boolean; padding: number } }

export async function again(image: ImageOut): Promise<void> {
  const { start, inpaint } = image.recipe as Began;
  if (!start) {
    clearSource();
    return reuse(image);
  }
  if (start.key.startsWith("img_")) takeImage(await getImage({ path: { image_id: start.key } }));
  else takeInput(await getInput({ path: { input_id: start.key } }));
  reuse(image);
  if (inpaint) changeTask({ task: "inpaint", repaint: start.strength, fit: start.fit, blur: inpaint.blur, fill: inpaint.fill, onlyMasked: inpaint.only_masked, padding: inpaint.padding });
  else changeTask({ task: "change", strength: start.strength, fit: start.fit });
}

/** As `again`, so that the next ones are nearly it. */
export async function vary(image: ImageOut): Promise<void> {
  await again(image);
  change({ variation: 0.15, subseed: null, outputs: 4 });
}
