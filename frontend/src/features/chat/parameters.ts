/** The parameters that the drawer shows, with what the server takes. */
import type { ChatParameters } from "@/api/types";

type Name = Exclude<keyof ChatParameters, "stop" | "json_answer" | "drop_oldest" | "tools">;
export interface NumberParameter { name: Name; min: number; max: number; whole?: boolean }

export const FIRST: NumberParameter[] = [
  { name: "temperature", min: 0, max: 2 },
  { name: "max_tokens", min: 1, max: 1_000_000, whole: true },
];
export const MORE: NumberParameter[] = [
  { name: "top_p", min: 0.01, max: 1 },
  { name: "top_k", min: 0, max: 1000, whole: true },
  { name: "min_p", min: 0, max: 1 },
  { name: "presence_penalty", min: -2, max: 2 },
  { name: "frequency_penalty", min: -2, max: 2 },
  { name: "repetition_penalty", min: 0.01, max: 2 },
  { name: "seed", min: 0, max: 2 ** 32 - 1, whole: true },
];

/** What was typed: null for nothing, NaN for what is no number in its bounds. */
export function numberOf(text: string, { min, max, whole }: NumberParameter): number | null {
  if (text.trim() === "") return null;
  const value = Number(text.trim().replace(",", "."));
  return value >= min && value <= max && (!whole || Number.isInteger(value)) ? value : Number.NaN;
}

/** Functions as OpenAI describes them; null where the text is no list of them. */
export function toolsOf(text: string): Record<string, unknown>[] | null {
  if (text.trim() === "") return [];
  try {
    const found = JSON.parse(text) as unknown;
    const list = Array.isArray(found) ? found : [found];
    return list.length <= 32 && list.every((one) => typeof (one as { function?: { name?: unknown } } | null)?.function?.name === "string") ? (list as Record<string, unknown>[]) : null;
  } catch {
    return null;
  }
}

/** One to a line; four at most. */
export const stopsOf = (text: string): string[] => text.split("\n").filter((line) => line !== "").slice(0, 4);

/** Without what says nothing. */
export const trimmed = (parameters: ChatParameters): ChatParameters => Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0))) as ChatParameters;
