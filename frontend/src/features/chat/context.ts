/** How full a model's context is: counted by the engine as far as it was asked, estimated beyond. Pure. */
import type { ConversationDetailOut, MessageOut, ModelOut } from "@/api/types";

/** Of a conversation in which no answer has been counted yet. */
const TOKENS_PER_LETTER = 0.3;
const PICTURE_TOKENS = 1200;
const TURN_TOKENS = 8;
const ENOUGH_LETTERS = 200;
export const NEARLY = 0.85;

type Said = Pick<MessageOut, "role" | "content" | "reasoning" | "tool_calls" | "pictures" | "usage">;

export interface Room {
  /** Tokens of what was said so far, without the reasoning, which is not sent again. */
  used: number;
  /** With what is being written. */
  next: number;
  most: number | null;
  /** Whether the engine has counted any of it. */
  counted: boolean;
  /** What is being written does not fit, whatever is left out before it. */
  alone: boolean;
  drops: boolean;
}

const letters = ({ content, tool_calls }: Said) => content.length + (tool_calls ?? []).reduce((sum, call) => sum + call.name.length + call.arguments.length, 0);

/** Tokens per letter of the answers that an engine has counted. */
export function paceOf(branch: readonly Said[]): number {
  const answers = branch.filter((one) => one.role === "assistant" && one.usage);
  const all = answers.reduce((sum, one) => sum + letters(one) + (one.reasoning ?? "").length, 0);
  const tokens = answers.reduce((sum, one) => sum + (one.usage?.completion_tokens ?? 0), 0);
  return all >= ENOUGH_LETTERS && tokens > 0 ? tokens / all : TOKENS_PER_LETTER;
}

export interface Written { text: string; pictures: readonly unknown[] }

export function roomOf(branch: readonly Said[], written: Written, model: ModelOut | undefined, setup: Pick<ConversationDetailOut, "system_prompt" | "parameters">): Room {
  const pace = paceOf(branch);
  const most = model?.chat?.context ?? null;
  const weigh = (count: number, pictures: number) => count * pace + Math.min(pictures, model?.chat?.pictures || Infinity) * PICTURE_TOKENS + TURN_TOKENS;
  const last = branch.findLastIndex((one) => one.usage);
  const counted = branch[last];
  let used = setup.system_prompt.trim() ? weigh(setup.system_prompt.length, 0) : 0;
  if (counted?.usage) {
    const shown = letters(counted);
    const thought = (counted.reasoning ?? "").length;
    used = counted.usage.prompt_tokens + counted.usage.completion_tokens * (thought ? shown / (shown + thought) : 1);
  }
  for (const one of branch.slice(last + 1)) if (one.role !== "assistant" || letters(one) > 0) used += weigh(letters(one), one.pictures?.length ?? 0);
  const own = written.text.trim() || written.pictures.length ? weigh(written.text.trim().length, written.pictures.length) : 0;
  return { used: Math.round(used), next: Math.round(used + own), most, counted: counted !== undefined, alone: most !== null && own >= most, drops: setup.parameters.drop_oldest === true };
}

/** Pictures that go no more with what is being written: a model takes so many at once, the newest. */
export function picturesOver(branch: readonly Pick<Said, "pictures">[], written: Written, model: ModelOut | undefined): number {
  const most = model?.chat?.pictures ?? 0;
  const all = branch.reduce((sum, one) => sum + (one.pictures?.length ?? 0), written.pictures.length);
  return model?.sees && most > 0 ? Math.max(0, all - most) : 0;
}

/** What is asked would be longer than what the model takes, and nothing is left out. */
export const isFull = (room: Room) => room.most !== null && (room.alone || (room.next >= room.most && !room.drops));

/** Of two side by side, the one with less left. */
export const fuller = (one: Room, other: Room | null): Room => (other?.most && other.next / other.most > one.next / (one.most ?? Infinity) ? other : one);
