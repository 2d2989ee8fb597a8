/** What a grid can vary, and values as people write them. */
import type { AxisIn } from "@/api/types";

export const FIELDS = ["steps", "guidance_scale", "seed", "scheduler", "model", "lora_weight", "prompt_sr", "width", "height", "strength"] as const;
export type AxisField = (typeof FIELDS)[number];
export const MOST_CELLS = 64;

const NUMBERS = new Set<string>(["steps", "guidance_scale", "seed", "width", "height", "lora_weight", "strength"]);

/** One side of a grid as the form holds it: values are typed, or chosen from a list where there is one. */
export interface Axis { field: AxisField | ""; text: string; picked: string[]; /** Whose weight is varied. */ lora: string | null }

export const isPicked = (field: Axis["field"]) => field === "scheduler" || field === "model";
export const valuesIn = (axis: Axis) => (isPicked(axis.field) ? axis.picked : valuesOf(axis.field, axis.text));

/** What the request says of it; null for a side that is not used. */
export function axisIn(axis: Axis): AxisIn | null {
  if (axis.field === "") return null;
  return { field: axis.field, values: valuesIn(axis), ...(axis.field === "lora_weight" ? { lora: axis.lora } : {}) };
}

/** One side of a grid as it was asked for, to be changed. */
export function axisOf({ field, values, lora = null }: AxisIn): Axis | null {
  const known = FIELDS.find((each) => each === field);
  if (!known) return null;
  const words = values.map(String);
  return { field: known, text: isPicked(known) ? "" : words.join(", "), picked: isPicked(known) ? words : [], lora };
}

/** Values with commas between; of whole numbers also `10-40:10` (from, to, step). What is no number stays as it is written, for the server to refuse by name. */
export function valuesOf(field: AxisField | "", text: string): (number | string)[] {
  const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
  if (!NUMBERS.has(field)) return parts;
  return parts.flatMap((part) => {
    const [, from, to, by = "1"] = /^(\d+)-(\d+)(?::(\d+))?$/.exec(part) ?? [];
    if (from === undefined || to === undefined || Number(by) === 0) return [Number.isNaN(Number(part)) ? part : Number(part)];
    const count = Math.floor((Number(to) - Number(from)) / Number(by)) + 1;
    return Array.from({ length: Math.max(0, Math.min(count, MOST_CELLS + 1)) }, (_, index) => Number(from) + index * Number(by));
  });
}
