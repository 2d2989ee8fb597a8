import { Box, Typography } from "@mui/material";
import { Activity, Boxes, Images, ListChecks, MessagesSquare, Sparkles } from "lucide-react";
import { useTranslation } from "react-i18next";
import { BoxLink } from "@/ui/links";

import { rail } from "./theme";

const PAGES = [
  { to: "/", name: "nav.generate", Icon: Sparkles },
  { to: "/gallery", name: "nav.gallery", Icon: Images },
  { to: "/chat", name: "nav.chat", Icon: MessagesSquare },
  { to: "/models", name: "nav.models", Icon: Boxes },
  { to: "/jobs", name: "nav.jobs", Icon: ListChecks },
  { to: "/system", name: "nav.system", Icon: Activity },
] as const;

export function Rail() {
  const { t } = useTranslation();
  return (
    <Box
      component="nav"
      aria-label={t("nav.main")}
      sx={{ display: { xs: "none", md: "flex" }, flexDirection: "column", position: "fixed", inset: "0 auto 0 0", zIndex: 1100, width: { md: rail.narrow, lg: rail.wide }, borderRight: 1, borderColor: "divider", bgcolor: "background.default", px: { md: "8px", lg: 3 }, py: 3 }}
    >
      <BoxLink to="/" sx={{ display: "flex", alignItems: "center", justifyContent: { md: "center", lg: "flex-start" }, gap: "10px", height: 36, px: { lg: 2 }, mb: 4, color: "text.primary", textDecoration: "none", borderRadius: "8px" }}>
        <Mark />
        <Typography variant="h3" component="span" sx={{ display: { md: "none", lg: "block" }, fontWeight: 680, letterSpacing: "-0.02em" }}>Atelier</Typography>
      </BoxLink>
      {PAGES.map((page) => (
        <RailLink key={page.to} to={page.to} name={t(page.name)} Icon={page.Icon} />
      ))}
    </Box>
  );
}

function RailLink({ to, name, Icon }: { to: (typeof PAGES)[number]["to"]; name: string; Icon: typeof Activity }) {
  return (
    <BoxLink
      to={to}
      activeOptions={{ exact: to === "/", includeSearch: false }}
      sx={{
        position: "relative", display: "flex", flexDirection: { md: "column", lg: "row" }, alignItems: "center", gap: { md: "3px", lg: "11px" }, minHeight: { md: 54, lg: 38 }, px: { md: 0, lg: 3 }, mb: "2px", justifyContent: { md: "center", lg: "flex-start" },
        borderRadius: "8px", color: "text.secondary", textDecoration: "none", fontSize: { md: 12, lg: 14 }, fontWeight: 520, transition: "background-color 120ms ease-out",
        "&:hover": { bgcolor: "action.hover", color: "text.primary" },
        "&.active": { color: "text.primary", bgcolor: "background.paper", boxShadow: (t) => `0 0 0 1px ${t.vars.palette.divider}` },
        "&.active svg": { color: "primary.main" },
      }}
    >
      <Icon size={18} strokeWidth={1.9} aria-hidden />
      {name}
    </BoxLink>
  );
}

export function BottomBar() {
  const { t } = useTranslation();
  return (
    <Box
      component="nav"
      aria-label={t("nav.main")}
      sx={{ display: { xs: "grid", md: "none" }, gridTemplateColumns: "repeat(6, 1fr)", position: "fixed", inset: "auto 0 0 0", zIndex: 1100, pb: "env(safe-area-inset-bottom)", bgcolor: "background.paper", borderTop: 1, borderColor: "divider" }}
    >
      {PAGES.map(({ to, name, Icon }) => (
        <BoxLink
          key={to}
          to={to}
          activeOptions={{ exact: to === "/", includeSearch: false }}
          sx={{ display: "grid", justifyItems: "center", alignContent: "center", gap: "3px", height: rail.bottom, color: "text.faint", textDecoration: "none", fontSize: "clamp(9.5px, 2.9vw, 12px)", whiteSpace: "nowrap", fontWeight: 520, "&.active": { color: "text.primary" }, "&.active svg": { color: "primary.main" } }}
        >
          <Icon size={20} strokeWidth={1.9} aria-hidden />
          {t(name)}
        </BoxLink>
      ))}
    </Box>
  );
}

export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden>
      <rect width="32" height="32" rx="9" fill="#d5371b" />
      <path d="M8.5 23 16 8l7.5 15" fill="none" stroke="#fff" strokeWidth="2.8" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="16" cy="19.6" r="2.4" fill="#fff" />
    </svg>
  );
}
