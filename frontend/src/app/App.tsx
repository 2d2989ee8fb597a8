import { CacheProvider } from "@emotion/react";
import { CssBaseline, ThemeProvider } from "@mui/material";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { Live } from "@/api/live";

import { queryClient, LiveContext } from "./services";
import { loadPages, makeRouter } from "./routes";
import { styleCache } from "./styles";
import { theme } from "./theme";

const cache = styleCache();

export function App() {
  const [router] = useState(makeRouter);
  const [live] = useState(() => new Live(queryClient));
  useEffect(() => {
    live.start();
    return () => live.stop();
  }, [live]);
  useEffect(() => {
    const timer = setTimeout(() => void loadPages(), 1500);
    return () => clearTimeout(timer);
  }, []);
  return (
    <CacheProvider value={cache}>
      <ThemeProvider theme={theme} defaultMode="system" modeStorageKey="atelier.scheme" disableTransitionOnChange noSsr>
        <CssBaseline />
        <QueryClientProvider client={queryClient}>
          <LiveContext value={live}>
            <RouterProvider router={router} />
          </LiveContext>
        </QueryClientProvider>
      </ThemeProvider>
    </CacheProvider>
  );
}
