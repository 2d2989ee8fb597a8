import { useQueryClient } from "@tanstack/react-query";
import { use, useCallback, useEffect } from "react";

import { keys } from "@/api/keys";
import { connection } from "@/api/live";
import { useSignal } from "@/lib/signal";

import { LiveContext } from "./services";

/** After unlocking or locking: ask for everything again, as whoever we now are. */
export function useReconnect(): () => void {
  const live = use(LiveContext);
  const client = useQueryClient();
  return useCallback(() => {
    void client.invalidateQueries();
    live?.restart();
  }, [client, live]);
}

const ASK_EVERY = 4000;

/** Where no socket gets through (a proxy, a restart that takes long) the page asks instead of being told. */
export function useAskWhileNotLive(): void {
  const client = useQueryClient();
  const state = useSignal(connection);
  const asks = state === "reconnecting" || state === "offline";
  useEffect(() => {
    if (!asks) return;
    const timer = setInterval(() => {
      void client.invalidateQueries({ queryKey: keys.jobs });
      void client.invalidateQueries({ queryKey: keys.system });
      void client.invalidateQueries({ queryKey: keys.models });
      void client.invalidateQueries({ queryKey: keys.history });
    }, ASK_EVERY);
    return () => clearInterval(timer);
  }, [asks, client]);
}
