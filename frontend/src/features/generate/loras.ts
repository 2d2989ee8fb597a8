/** LoRAs in the form: which fit a model, and what a request says of them. Pure. */
import type { ModelOut } from "@/api/types";

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

/** What a picture's recipe says of its LoRAs. */
export function lorasOf(recipe: Record<string, unknown>): LoraChoice[] {
  const listed = Array.isArray(recipe.loras) ? (recipe.loras as { model?: unknown; weight?: unknown }[]) : [];
  return listed.flatMap(({ model, weight }) => (typeof model === "string" && typeof weight === "number" ? [{ key: model, weight, family: "" }] : []));
}
