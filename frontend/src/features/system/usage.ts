/** What was asked of chat models, day by day. Pure. */
import type { UsedOnOut } from "@/api/types";
import { daysAgo } from "@/lib/days";

export interface Sum { requests: number; failed: number; prompt: number; completion: number }
export interface Day extends Sum { day: string }

type Counted = Pick<UsedOnOut, "requests" | "failed" | "prompt_tokens" | "completion_tokens">;

export function sumOf(rows: readonly Counted[]): Sum {
  const sum = { requests: 0, failed: 0, prompt: 0, completion: 0 };
  for (const row of rows) {
    sum.requests += row.requests;
    sum.failed += row.failed;
    sum.prompt += row.prompt_tokens;
    sum.completion += row.completion_tokens;
  }
  return sum;
}

/** The last `count` days, the quiet ones among them; today is the last. */
export const daysOf = (rows: readonly UsedOnOut[], count: number, now = new Date()): Day[] =>
  Array.from({ length: count }, (_, at) => {
    const day = daysAgo(count - 1 - at, now);
    return { day, ...sumOf(rows.filter((row) => row.day === day)) };
  });
