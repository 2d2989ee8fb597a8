import { Box, ButtonBase, IconButton, Tooltip, Typography, useColorScheme } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { Check, Languages, Lock, LockOpen, Monitor, Moon, Search, Sun } from "lucide-react";
import { useTranslation } from "react-i18next";

import { locked } from "@/api/client";
import { lock } from "@/api/generated/sdk.gen";
import { connection } from "@/api/live";
import { queries } from "@/api/queries";
import { languages, setLanguage, type Language } from "@/i18n";
import { COARSE, isMac } from "@/lib/browser";
import { hasEnded } from "@/lib/jobs";
import { gib } from "@/lib/numbers";
import { useSignal } from "@/lib/signal";
import { toast } from "@/lib/toast";
import { TRACK } from "@/ui/Bar";
import { PickMenu } from "@/ui/PickMenu";
import { visuallyHidden } from "@/ui/StatusMark";
import { BoxLink, IconButtonLink } from "@/ui/links";

import { Mark } from "./Rail";
import { rail } from "./theme";
import { useReconnect } from "./useReconnect";

export function TopBar({ onPalette }: { onPalette: () => void }) {
  const { t } = useTranslation();
  return (
    <Box
      component="header"
      sx={{ position: "sticky", top: 0, zIndex: 1090, height: rail.top, display: "flex", alignItems: "center", gap: { xs: 1, sm: 2 }, px: { xs: 3, md: 6, lg: 8 }, borderBottom: 1, borderColor: "divider", backdropFilter: "blur(10px)", bgcolor: "color-mix(in srgb, var(--a-palette-background-default) 86%, transparent)" }}
    >
      <Box sx={{ display: { xs: "flex", md: "none" }, mr: 1 }}><Mark /></Box>
      <ButtonBase
        onClick={onPalette}
        aria-keyshortcuts="Control+K Meta+K"
        sx={{ display: "flex", gap: 2, alignItems: "center", height: 36, width: { xs: 36, sm: 260 }, px: { xs: 0, sm: 3 }, justifyContent: { xs: "center", sm: "flex-start" }, borderRadius: "8px", border: { sm: 1 }, borderColor: { sm: "divider" }, bgcolor: { sm: "background.paper" }, color: "text.faint", fontSize: 13, fontFamily: "inherit", "&:hover": { color: "text.secondary" } }}
      >
        <Search size={16} aria-hidden />
        <Box component="span" sx={{ "@media (max-width: 599.9px)": visuallyHidden }}>{t("shell.palette")}</Box>
        <Typography component="kbd" aria-hidden variant="mono" sx={{ ml: "auto", display: { xs: "none", sm: "inline" }, [`@media ${COARSE}`]: { display: "none" }, fontSize: 11 }}>{isMac ? "⌘K" : "Ctrl K"}</Typography>
      </ButtonBase>
      <Box sx={{ flex: 1 }} />
      <ConnectionState />
      <WorkRing />
      <MemoryBars />
      <LanguageMenu />
      <ThemeMenu />
      <Padlock />
    </Box>
  );
}

/** How much is under way, and how far on average; opens Jobs. */
function WorkRing() {
  const { t } = useTranslation();
  const { data = [] } = useQuery(queries.recentJobs());
  const active = data.filter((job) => !hasEnded(job));
  const share = active.length ? active.reduce((sum, job) => sum + job.progress, 0) / active.length : 0;
  const label = active.length ? t("shell.running", { count: active.length }) : t("shell.idle");
  return (
    <Tooltip title={label}>
      <IconButtonLink to="/jobs" aria-label={label} sx={{ position: "relative", width: 36, height: 36 }}>
        <svg width="24" height="24" viewBox="0 0 24 24" aria-hidden>
          <circle cx="12" cy="12" r="10" fill="none" stroke="currentColor" opacity=".28" strokeWidth="2" />
          {active.length === 0 && <path d="m8.2 12.2 2.6 2.6 5-5.4" fill="none" stroke="currentColor" opacity=".6" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" />}
          {active.length > 0 && (
            <circle cx="12" cy="12" r="10" fill="none" stroke="var(--a-palette-primary-main)" strokeWidth="2.4" strokeLinecap="round" pathLength="1" strokeDasharray={`${Math.max(0.04, share)} 1`} transform="rotate(-90 12 12)" />
          )}
        </svg>
        {active.length > 0 && <Box component="span" aria-hidden sx={{ position: "absolute", inset: 0, display: "grid", placeItems: "center", fontSize: active.length > 99 ? 9 : 11, fontWeight: 650, color: "text.primary" }}>{Math.min(active.length, 999)}</Box>}
      </IconButtonLink>
    </Tooltip>
  );
}

function MemoryBars() {
  const { t, i18n } = useTranslation();
  const { data } = useQuery(queries.system());
  // Its room is there before its figures are.
  if (!data?.devices.length) return <Box sx={{ display: { xs: "none", sm: "block" }, width: 56, mx: 2 }} />;
  return (
    <BoxLink to="/system" sx={{ display: { xs: "none", sm: "grid" }, gap: "3px", p: 2, borderRadius: "8px", color: "inherit", "&:hover": { bgcolor: "action.hover" } }}>
      {data.devices.slice(0, 4).map((device) => {
        const share = device.total_bytes ? device.used_bytes / device.total_bytes : 0;
        const label = t("shell.memory", { name: device.name, used: gib(device.used_bytes, i18n.language), total: gib(device.total_bytes, i18n.language) });
        return (
          <Tooltip key={device.index} title={label}>
            <Box role="img" aria-label={label} sx={{ width: 56, height: data.devices.length > 2 ? 4 : 6, borderRadius: "3px", bgcolor: TRACK, overflow: "hidden" }}>
              <Box sx={{ height: 1, bgcolor: share > 0.92 ? "error.main" : "text.faint", transition: "width 180ms ease-out" }} style={{ width: `${share * 100}%` }} />
            </Box>
          </Tooltip>
        );
      })}
    </BoxLink>
  );
}

/** The word stands before the disc and grows to the left, where there is room: nothing beside it moves when it changes. */
function ConnectionState() {
  const { t } = useTranslation();
  const state = useSignal(connection);
  const colour = state === "live" ? "success.main" : state === "offline" ? "error.main" : state === "locked" ? "text.faint" : "warning.main";
  return (
    <Tooltip title={t(`shell.connectionHint.${state}`)}>
      <Box role="status" aria-label={t(`shell.connection.${state}`)} data-connection={state} sx={{ display: "flex", flexDirection: "row-reverse", alignItems: "center", gap: "7px", px: { xs: 1, sm: 2 }, fontSize: 13, color: "text.secondary", fontWeight: 520 }}>
        {/* A disc, a ring or a square: told apart without colour. */}
        <Box sx={{ width: 8, height: 8, borderRadius: state === "offline" ? "1px" : "50%", ...(state === "live" || state === "offline" ? { bgcolor: colour } : { border: 2, borderColor: colour }) }} />
        <Box component="span" sx={{ display: { xs: "none", lg: "inline" } }}>{t(`shell.connection.${state}`)}</Box>
      </Box>
    </Tooltip>
  );
}

function LanguageMenu() {
  const { t, i18n } = useTranslation();
  return (
    <PickMenu
      label={t("shell.language")}
      icon={<Languages size={18} />}
      options={(Object.keys(languages) as Language[]).map((code) => ({ key: code, text: languages[code], icon: i18n.language === code ? <Check size={15} /> : <Box sx={{ width: 15 }} />, chosen: i18n.language === code, lang: code }))}
      onPick={(code) => void setLanguage(code as Language)}
    />
  );
}

function ThemeMenu() {
  const { t } = useTranslation();
  const { mode, systemMode, setMode } = useColorScheme();
  const dark = mode === "dark" || (mode === "system" && systemMode === "dark");
  const options = [
    { key: "light", text: t("shell.themeLight"), icon: <Sun size={16} /> },
    { key: "dark", text: t("shell.themeDark"), icon: <Moon size={16} /> },
    { key: "system", text: t("shell.themeSystem"), icon: <Monitor size={16} /> },
  ] as const;
  return (
    <PickMenu
      label={t("shell.theme")}
      icon={dark ? <Moon size={18} /> : <Sun size={18} />}
      options={options.map((option) => ({ ...option, chosen: option.key === mode }))}
      onPick={(key) => setMode(key as "light" | "dark" | "system")}
    />
  );
}

function Padlock() {
  const { t } = useTranslation();
  const { data: me } = useQuery(queries.me());
  const reconnect = useReconnect();
  const isLocked = useSignal(locked) || me?.id === null;
  const label = me?.open ? t("shell.openAccess") : isLocked ? t("shell.unlock") : t("shell.lock");
  const press = async () => {
    if (isLocked) return locked.set(true);
    await lock();
    toast(t("access.locked"));
    reconnect();
  };
  return (
    <Tooltip title={label}>
      <span>
        <IconButton size="small" aria-label={label} disabled={me?.open ?? true} onClick={() => void press()} sx={{ width: 36, height: 36 }}>
          {isLocked ? <Lock size={18} /> : <LockOpen size={18} />}
        </IconButton>
      </span>
    </Tooltip>
  );
}
