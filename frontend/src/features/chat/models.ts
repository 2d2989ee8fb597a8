/** Which models answer, and which of them see pictures. */
import type { ModelOut } from "@/api/types";
import { isAddition } from "@/lib/models";

export const answers = (model: ModelOut) => model.task === "chat" && (!isAddition(model) || !!model.answers_with);
export const usable = (model: ModelOut) => answers(model) && model.runnable && model.available && !model.download;

/** A LoRA that is loaded with a model answers as that one does, by its own name; it is where its model is. */
export function answering(models: readonly ModelOut[]): ModelOut[] {
  return models.map((model) => {
    const base = model.answers_with && models.find((one) => one.key === model.answers_with);
    if (!base) return model;
    const { chat, sees, runnable, state, state_reason, state_said, worker_id } = base;
    return { ...model, chat, sees, runnable, state, state_reason, state_said, worker_id, available: model.available && base.available, download: model.download ?? base.download };
  });
}

/** The one that was chosen, or the one that is loaded, or the first. A LoRA only when it was chosen. */
export function choose(models: readonly ModelOut[], wanted: string | null | undefined): ModelOut | undefined {
  const ours = models.filter((model) => usable(model) && !isAddition(model));
  return models.find((model) => answers(model) && (model.key === wanted || model.repo === wanted)) ?? ours.find((model) => model.state === "ready") ?? ours[0];
}
