import { Box, Link as MuiLink } from "@mui/material";
import { Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { locked } from "@/api/client";
import { plannedGrid } from "@/api/grids";
import { connection } from "@/api/live";
import { useSignal } from "@/lib/signal";
import { Toasts } from "@/ui/Toasts";

import { BottomBar, Rail } from "./Rail";
import { rail } from "./theme";
import { TopBar } from "./TopBar";
import { useAskWhileNotLive, useReconnect } from "./useReconnect";

// Not part of the first load: few visits need them.
const loadPalette = () => import("./CommandPalette").then((module) => ({ default: module.CommandPalette }));
const CommandPalette = lazy(loadPalette);
const Shortcuts = lazy(() => import("./Shortcuts").then((module) => ({ default: module.Shortcuts })));
const GridDialog = lazy(() => import("@/features/grids/GridDialog").then((module) => ({ default: module.GridDialog })));
const UnlockDialog = lazy(() => import("@/features/access/UnlockDialog").then((module) => ({ default: module.UnlockDialog })));

export function Shell() {
  const { t } = useTranslation();
  const [open, setOpen] = useState<"palette" | "shortcuts" | null>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const reconnect = useReconnect();
  const isLocked = useSignal(locked);
  const grid = useSignal(plannedGrid);
  useTitle(path);
  useAskWhileNotLive();
  useEffect(() => {
    // Fetched while nothing else is to do, so that it is there before the first key after Ctrl K.
    const timer = setTimeout(() => void loadPalette().catch(() => undefined), 1000);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setOpen((shown) => (shown === "palette" ? null : "palette"));
      } else if (event.key === "?" && !typing) {
        setOpen("shortcuts");
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <Box sx={{ minHeight: "100dvh" }}>
      <MuiLink
        href="#content"
        sx={{ position: "fixed", zIndex: 2000, top: -60, left: 12, bgcolor: "background.paper", px: 4, py: 2, borderRadius: "8px", border: 1, borderColor: "divider", "&:focus": { top: 12 } }}
      >
        {t("common.skip")}
      </MuiLink>
      <Rail />
      <Box sx={{ ml: { xs: 0, md: `${rail.narrow}px`, lg: `${rail.wide}px` }, pb: { xs: `calc(${rail.bottom}px + env(safe-area-inset-bottom))`, md: 0 } }}>
        <TopBar onPalette={() => setOpen("palette")} />
        <OfflineBanner />
        <Box component="main" id="content" tabIndex={-1} sx={{ px: { xs: 4, md: 6, lg: 8 }, pt: { xs: 4, md: 6 }, pb: 12, outline: "none", maxWidth: 1760, mx: "auto" }}>
          <Outlet />
        </Box>
      </Box>
      <BottomBar />
      <Suspense>
        {open === "palette" && <CommandPalette onClose={() => setOpen(null)} onShortcuts={() => setOpen("shortcuts")} />}
        {open === "shortcuts" && <Shortcuts onClose={() => setOpen(null)} />}
        {grid && <GridDialog {...grid} />}
        {isLocked && <UnlockDialog onUnlocked={reconnect} />}
      </Suspense>
      <Toasts />
    </Box>
  );
}

function OfflineBanner() {
  const { t } = useTranslation();
  const state = useSignal(connection);
  return (
    <Box role="status">
      {state === "offline" && (
        <Box sx={{ px: { xs: 4, md: 6, lg: 8 }, py: 2, fontSize: 13, bgcolor: "background.sunken", borderBottom: 1, borderColor: "divider", color: "warning.main", fontWeight: 550 }}>{t("shell.offlineBanner")}</Box>
      )}
    </Box>
  );
}

function useTitle(path: string) {
  const { t } = useTranslation();
  useEffect(() => {
    const page = path.split("/")[1] ?? "";
    const names: Record<string, string> = { "": t("nav.generate"), gallery: t("nav.gallery"), chat: t("nav.chat"), models: t("nav.models"), jobs: t("nav.jobs"), system: t("nav.system"), creatures: t("creatures.title") };
    document.title = `${names[page] ?? t("shell.notFoundTitle")} · Atelier`;
  }, [path, t]);
}
