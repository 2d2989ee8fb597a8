/** The long-lived objects of the page. */
import { QueryClient } from "@tanstack/react-query";
import { createContext } from "react";

import { ApiProblem } from "@/api/errors";
import type { Live } from "@/api/live";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A refusal stays a refusal; only what may pass by itself is tried again.
      retry: (count, error) => count < 3 && !(error instanceof ApiProblem && error.status >= 400 && error.status < 500),
      retryDelay: (count) => Math.min(8000, 500 * 2 ** count),
      refetchOnWindowFocus: false,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

export const LiveContext = createContext<Live | null>(null);
