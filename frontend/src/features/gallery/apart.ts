import type { ImageOut } from "@/api/types";

import { taskOf } from "./facts";

export interface Difference { name: string; one: string; other: string; same: boolean }

const FIRST = ["task", "model", "prompt", "negative_prompt", "seed", "steps", "guidance_scale", "sampler", "scheduler", "schedule_type", "size", "loras", "strength"];
/** Said by others already, or different for every picture without meaning anything. */
const LEFT_OUT = new Set(["width", "height", "format", "model_key", "num_outputs", "start", "inpaint", "image_size", "asked"]);

/** Pixels added there; none is no row. */
const EDGES = new Set(["left", "right", "top", "bottom"]);

/** Two recipes side by side: what people look at first, then the rest by name. */
export function differences(one: ImageOut, other: ImageOut): Difference[] {
  const [a, b] = [recipeOf(one), recipeOf(other)];
  const names = [...new Set([...FIRST, ...[...Object.keys(a), ...Object.keys(b)].sort()])];
  return names.flatMap((name) => {
    const [x, y] = EDGES.has(name) ? [said(a[name] || null), said(b[name] || null)] : [said(a[name]), said(b[name])];
    return LEFT_OUT.has(name) || (x === "" && y === "") ? [] : [{ name, one: x, other: y, same: x === y }];
  });
}

function recipeOf(image: ImageOut): Record<string, unknown> {
  const { model, prompt, negative_prompt, seed, steps, guidance_scale, scheduler } = image;
  return { ...image.recipe, task: taskOf(image), model, prompt, negative_prompt, seed, steps, guidance_scale, scheduler, size: `${image.width} × ${image.height}` };
}

function said(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map((each) => (isLora(each) ? `${each.key ?? each.model} ${each.weight ?? 1}` : said(each))).join(", ");
  return typeof value === "object" ? Object.entries(value).map(([name, each]) => `${name} ${said(each)}`.trimEnd()).join(", ") : String(value);
}

const isLora = (value: unknown): value is { key?: string; model?: string; weight?: number } => typeof value === "object" && value !== null && ("key" in value || "model" in value);

export interface Word { text: string; own: boolean }

/** The words of two texts; `own` are those that the other has not at that place. */
export function wordsApart(one: string, other: string): [Word[], Word[]] {
  const [a, b] = [one.split(/(\s+)/), other.split(/(\s+)/)];
  if (a.length * b.length > 250_000) return [[{ text: one, own: one !== other }], [{ text: other, own: one !== other }]];
  // The longest row of words that both have, from the end.
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) (common[i] as Uint16Array)[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const [left, right]: [Word[], Word[]] = [[], []];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      left.push({ text: a[i++] ?? "", own: false });
      right.push({ text: b[j++] ?? "", own: false });
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) left.push({ text: a[i++] ?? "", own: true });
    else right.push({ text: b[j++] ?? "", own: true });
  }
  return [left, right];
}
