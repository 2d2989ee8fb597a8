import { useQueryClient } from "@tanstack/react-query";

import { useComplain } from "@/api/actions";
import type { ConversationDetailOut } from "@/api/types";
import { useSignal } from "@/lib/signal";

import { setup } from "./drafts";
import { changeLater } from "./settling";
import type { Shown } from "./SettingsDrawer";

/** The settings of a conversation and of the one beside it, or of the next. */
export function useSettings(conversation: ConversationDetailOut | null, beside: ConversationDetailOut | null): { shown: Shown; set: (change: Partial<Shown>) => void } {
  const client = useQueryClient();
  const complain = useComplain();
  const fresh = useSignal(setup);
  const { model, system_prompt, parameters } = conversation ?? fresh;
  const set = (change: Partial<Shown>) => {
    if (!conversation) return setup.set((now) => ({ ...now, ...change }));
    changeLater(client, conversation.id, change, complain);
    // Its model is its own.
    const shared = Object.fromEntries(Object.entries(change).filter(([name]) => name !== "model"));
    if (beside && Object.keys(shared).length) changeLater(client, beside.id, shared, complain);
  };
  return { shown: { model, system_prompt, parameters }, set };
}
