/** Answers that grow, as far as this browser has heard. Each is followed once, however many parts of the page show it. */
import type { QueryClient } from "@tanstack/react-query";

import { followAnswer } from "@/api/answers";
import { keys } from "@/api/keys";
import type { AnswerFrame, AnswerWaitOut, ConversationDetailOut, MessageOut } from "@/api/types";
import { Signal } from "@/lib/signal";

export interface Growing { message: MessageOut; waiting: AnswerWaitOut | null }

/** What one more frame makes of an answer. */
export function grown(now: Growing, frame: AnswerFrame): Growing {
  const { message } = now;
  switch (frame.type) {
    case "snapshot":
    case "done":
      return { message: frame.message ?? message, waiting: frame.waiting ?? null };
    case "waiting":
      return { message, waiting: frame.waiting ?? null };
    case "delta":
      return {
        waiting: null,
        message: { ...message, content: message.content + (frame.text ?? ""), reasoning: (message.reasoning ?? "") + (frame.reasoning ?? ""), tool_calls: frame.tool_calls ?? message.tool_calls },
      };
  }
}

interface Following { signal: Signal<Growing>; users: number; abort: AbortController }

const followed = new Map<string, Following>();

/** What has been heard of an answer that is followed. */
export const heardOf = (id: string): Growing | null => followed.get(id)?.signal.get() ?? null;

/** Puts a message where its conversation is kept. */
export function putMessage(client: QueryClient, conversation: string, message: MessageOut): void {
  client.setQueryData<ConversationDetailOut>(keys.chat(conversation), (known) => known && { ...known, messages: known.messages.some((one) => one.id === message.id) ? known.messages.map((one) => (one.id === message.id ? message : one)) : [...known.messages, message] });
}

/** Follows the answer until nobody looks any more or it is done. */
export function follow(client: QueryClient, conversation: string, message: MessageOut): { signal: Signal<Growing>; leave: () => void } {
  let ours = followed.get(message.id);
  if (!ours) {
    const signal = new Signal<Growing>({ message, waiting: null });
    const abort = new AbortController();
    ours = { signal, users: 0, abort };
    followed.set(message.id, ours);
    const heard = (frame: AnswerFrame) => {
      signal.set((now) => grown(now, frame));
      // It is told here until nobody asks any more: the cache's news reach the page a moment later.
      if (frame.type === "done" && frame.message) putMessage(client, conversation, frame.message);
    };
    followAnswer(conversation, message.id, heard, abort.signal).catch(() => void client.invalidateQueries({ queryKey: keys.chat(conversation) }));
  }
  const following = ours;
  following.users += 1;
  return {
    signal: following.signal,
    leave: () => {
      following.users -= 1;
      // Left for a moment only, when React draws again: ended once nobody came back.
      setTimeout(() => {
        if (following.users > 0) return;
        following.abort.abort();
        if (followed.get(message.id) === following) followed.delete(message.id);
      }, 200);
    },
  };
}
