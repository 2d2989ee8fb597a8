import { useQueryClient } from "@tanstack/react-query";
import { use, useCallback } from "react";

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
