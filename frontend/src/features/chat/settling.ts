/** Changes that are typed: shown at once, told to the server once somebody pauses, or before something is sent. */
import type { QueryClient } from "@tanstack/react-query";

import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import type { ConversationDetailOut } from "@/api/types";

import type { Change } from "./actions";

const PAUSE_MS = 600;

interface Waiting { timer: ReturnType<typeof setTimeout>; change: Change; client: QueryClient; failed: (error: unknown) => void }

const waiting = new Map<string, Waiting>();

export function changeLater(client: QueryClient, id: string, change: Change, failed: (error: unknown) => void): void {
  client.setQueryData<ConversationDetailOut>(keys.chat(id), (known) => known && ({ ...known, ...change } as ConversationDetailOut));
  const before = waiting.get(id);
  if (before) clearTimeout(before.timer);
  waiting.set(id, { client, failed, change: { ...before?.change, ...change }, timer: setTimeout(() => void settle(id), PAUSE_MS) });
}

/** Tells the server what still waits. */
export async function settle(id: string): Promise<void> {
  const one = waiting.get(id);
  if (!one) return;
  clearTimeout(one.timer);
  waiting.delete(id);
  await api.changeConversation({ path: { conversation_id: id }, body: one.change }).catch((error: unknown) => {
    void one.client.invalidateQueries({ queryKey: keys.chat(id) });
    one.failed(error);
  });
}
