/** Which models answer in a chat, LoRAs among them. Pure. */
import { isAddition, type Standing } from "./models";

interface Answering extends Standing { key: string; answers_with?: string | null; chat?: unknown; sees?: unknown; state_reason?: unknown; state_said?: unknown; worker_id?: unknown }

export const answers = (model: Standing & { answers_with?: string | null }) => model.task === "chat" && (!isAddition(model) || !!model.answers_with);
export const usable = (model: Standing & { answers_with?: string | null }) => answers(model) && model.runnable && model.available && !model.download;

/** A LoRA that is loaded with a model answers as that one does, by its own name; it is where its model is. */
export function answering<M extends Answering>(models: readonly M[]): M[] {
  return models.map((model) => {
    const base = model.answers_with && models.find((one) => one.key === model.answers_with);
    if (!base) return model;
    const { chat, sees, runnable, state, state_reason, state_said, worker_id } = base;
    return { ...model, chat, sees, runnable, state, state_reason, state_said, worker_id, available: model.available && base.available, download: model.download ?? base.download };
  });
}
