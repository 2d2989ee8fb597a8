/** Words in a conversation: where they stand, in the order in which one reads. Pure. */
import type { MessageOut } from "@/api/types";

import type { Turn } from "./tree";

/** The `nth` place in a message at which the words stand, and the turn that the message is in. */
export interface Place { turn: number; message: string; nth: number }

/** Whatever their case, and however many spaces or line ends are between them. Null for nothing. */
export function patternOf(words: string): RegExp | null {
  const parts = words.trim().split(/\s+/u).filter(Boolean);
  return parts.length ? new RegExp(parts.map((part) => part.replace(/[$()*+.?[\\\]^{|}]/gu, "\\$&")).join("\\s+"), "giu") : null;
}

const FENCE = /^\s*(```|~~~)/u;

/** About what Markdown looks like once it is set: without its marks, code as it is. What is set decides where the words are shown. */
export function plainOf(text: string): string {
  let code = false;
  return text
    .split("\n")
    .map((line) => {
      if (FENCE.test(line)) {
        code = !code;
        return "";
      }
      if (code) return line;
      return line
        .replace(/^\s*(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s+)?|\d+[.)]\s+)/u, "")
        .replace(/!?\[([^\]]*)\]\([^)\s]*\)/gu, "$1")
        .replace(/(\*\*|__|~~|`)/gu, "")
        .replace(/(?<![\p{L}\p{N}*_])[*_](?=\S)|(?<=\S)[*_](?![\p{L}\p{N}*_])/gu, "")
        .replace(/\s*\|\s*/gu, "\n");
    })
    .join("\n");
}

type Shown = Pick<MessageOut, "id" | "role" | "content">;

/** What is read in each turn: left before right, what was said to both once. */
export const readingOf = (turns: readonly Turn<Shown>[]) =>
  turns.map((turn) => ("both" in turn ? [turn.both[0]] : [turn.left, turn.right]).filter((one) => one !== null).map(({ id, role, content }) => ({ id, text: role === "assistant" ? plainOf(content) : content })));

export function placesOf(reading: ReturnType<typeof readingOf>, words: string): Place[] {
  const pattern = patternOf(words);
  if (!pattern) return [];
  return reading.flatMap((messages, turn) => messages.flatMap(({ id, text }) => [...text.matchAll(pattern)].map((_, nth) => ({ turn, message: id, nth }))));
}
