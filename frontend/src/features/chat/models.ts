/** Which model answers unasked. */
import type { ModelOut } from "@/api/types";
import { answers, usable } from "@/lib/answering";
import { isAddition } from "@/lib/models";

/** The one that was chosen, or the one that is loaded, or the first. A LoRA only when it was chosen. */
export function choose(models: readonly ModelOut[], wanted: string | null | undefined): ModelOut | undefined {
  const ours = models.filter((model) => usable(model) && !isAddition(model));
  return models.find((model) => answers(model) && (model.key === wanted || model.repo === wanted)) ?? ours.find((model) => model.state === "ready") ?? ours[0];
}
