/** Which models answer, and which of them see pictures. */
import type { ModelOut } from "@/api/types";
import { isAddition } from "@/lib/models";

export const answers = (model: ModelOut) => model.task === "chat" && !isAddition(model);
export const usable = (model: ModelOut) => answers(model) && model.runnable && model.available && !model.download;

/** The one that was chosen, or the one that is loaded, or the first. */
export function choose(models: readonly ModelOut[], wanted: string | null | undefined): ModelOut | undefined {
  const ours = models.filter(usable);
  return models.find((model) => answers(model) && (model.key === wanted || model.repo === wanted)) ?? ours.find((model) => model.state === "ready") ?? ours[0];
}
