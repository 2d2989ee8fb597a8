/** LoRAs in the form: which fit a model, and what a request says of them. Pure. */
import type { ModelOut } from "@/api/types";
import { isAddition } from "@/lib/models";

/** `family` is that of the models it fits, kept so that a change of model does not lose it; "" when nobody said. */
export interface LoraChoice { key: string; weight: number; family: string }

/** The API's limit, and what the slider offers of it. */
export const LORA_WEIGHT = { max: 4, slider: 2 };

export function fittingLoras(models: ModelOut[], model: ModelOut): ModelOut[] {
  return models.filter((each) => each.type === "lora" && each.family === model.family && each.available && !each.download);
}

export const fits = (choice: LoraChoice, model: ModelOut | undefined) => choice.family === "" || choice.family === model?.family;

export function lorasFor(choices: LoraChoice[], model: ModelOut | undefined): { model: string; weight: number }[] {
  return choices.filter((choice) => fits(choice, model) && Number.isFinite(choice.weight)).map(({ key, weight }) => ({ model: key, weight }));
}

/** The prompt with a word at its end, unless it holds it already. */
export function withWord(prompt: string, word: string): string {
  if (prompt.toLowerCase().includes(word.toLowerCase())) return prompt;
  const said = prompt.trimEnd();
  return said === "" ? word : `${said.replace(/,$/, "")}, ${word}`;
}

/** The model to draw with: the one that the LoRA was made with, else the chosen one where it fits, else one that is in memory. What ships is of a size of its own, and comes last. */
export function baseFor(lora: ModelOut, models: ModelOut[], chosen: string | null): ModelOut | undefined {
  const fitting = models.filter((each) => each.task === "image" && each.runnable && !isAddition(each) && each.family === lora.family && each.available && !each.download);
  const theirs = fitting.filter((each) => each.source !== "embedded");
  const own = lora.base && fitting.find((each) => each.key === lora.base || each.repo === lora.base);
  return own || theirs.find((each) => each.key === chosen) || theirs.find((each) => each.state === "ready") || theirs[0] || fitting[0];
}

/** What a picture's recipe, or a request, says of its LoRAs. */
export function lorasOf(recipe: Record<string, unknown>): LoraChoice[] {
  const listed = Array.isArray(recipe.loras) ? (recipe.loras as { model?: unknown; weight?: unknown }[]) : [];
  return listed.flatMap(({ model, weight }) => (typeof model === "string" ? [{ key: model, weight: typeof weight === "number" ? weight : 1, family: "" }] : []));
}
