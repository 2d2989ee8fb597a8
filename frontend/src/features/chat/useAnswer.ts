import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useSyncExternalStore } from "react";

import type { MessageOut } from "@/api/types";

import { follow, heardOf, type Growing } from "./growing";

/** The message as it stands, followed while it grows. */
export function useAnswer(conversation: string, message: MessageOut): Growing {
  const client = useQueryClient();
  const growing = message.state === "growing";
  const subscribe = useCallback(
    (changed: () => void) => {
      if (!growing) return () => undefined;
      const { signal, leave } = follow(client, conversation, message);
      const unheard = signal.subscribe(changed);
      return () => {
        unheard();
        leave();
      };
    },
    [client, conversation, message, growing],
  );
  const heard = useSyncExternalStore(subscribe, () => heardOf(message.id));
  // What the server keeps is the truth as soon as it has ended.
  return growing && heard ? heard : { message, waiting: null };
}
