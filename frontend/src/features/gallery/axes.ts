/** What a grid can vary, and values as people write them. */
export const FIELDS = ["steps", "guidance_scale", "seed", "scheduler", "model", "prompt_sr", "width", "height"] as const;
export type AxisField = (typeof FIELDS)[number];
export const MOST_CELLS = 64;

const NUMBERS = new Set<string>(["steps", "guidance_scale", "seed", "width", "height"]);

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
