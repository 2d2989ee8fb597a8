/** Every colour, size and radius of Atelier. Components use these names and nothing else. */
import { alpha, createTheme, type Theme } from "@mui/material/styles";
import type {} from "@mui/material/themeCssVarsAugmentation";

type Series = Record<"a" | "b" | "c" | "d" | "e" | "f", string>;

declare module "@mui/material/styles" {
  interface Palette { series: Series }
  interface PaletteOptions { series?: Series }
  interface TypeBackground { sunken: string; raised: string }
  interface TypeText { faint: string }
  interface TypographyVariants { mono: React.CSSProperties }
  interface TypographyVariantsOptions { mono?: React.CSSProperties }
}
declare module "@mui/material/Typography" {
  interface TypographyPropsVariantOverrides { mono: true }
}

export const palettes = {
  light: {
    primary: { main: "#cb3319", dark: "#ad2a14", light: "#e0563d", contrastText: "#ffffff" },
    background: { default: "#f6f7f9", paper: "#ffffff", sunken: "#eceff3", raised: "#ffffff" },
    text: { primary: "#10151d", secondary: "#465162", faint: "#5f6b7c", disabled: "#98a2b1" },
    divider: "rgba(16, 26, 42, 0.11)",
    success: { main: "#15734a", contrastText: "#ffffff" },
    warning: { main: "#8f5a00", contrastText: "#ffffff" },
    error: { main: "#b3173c", contrastText: "#ffffff" },
    info: { main: "#2858b8", contrastText: "#ffffff" },
    series: { a: "#cb3319", b: "#2858b8", c: "#15734a", d: "#7d4fc0", e: "#8f5a00", f: "#0b7285" },
  },
  dark: {
    primary: { main: "#ff7557", dark: "#f15a39", light: "#ff937b", contrastText: "#1c0a05" },
    background: { default: "#0d1015", paper: "#141921", sunken: "#0a0d11", raised: "#1b212b" },
    text: { primary: "#e7ebf1", secondary: "#a9b3c1", faint: "#8b97a7", disabled: "#596474" },
    divider: "rgba(214, 226, 245, 0.10)",
    success: { main: "#4cc38a", contrastText: "#04140c" },
    warning: { main: "#e5a63b", contrastText: "#171003" },
    error: { main: "#ff6b86", contrastText: "#1c0409" },
    info: { main: "#7ba7ff", contrastText: "#040d1f" },
    series: { a: "#ff7557", b: "#7ba7ff", c: "#4cc38a", d: "#b898f5", e: "#e5a63b", f: "#4cc3d9" },
  },
} as const;

export const radius = { card: 10, control: 8, chip: 6 };
export const rail = { wide: 208, narrow: 76, bottom: 60, top: 56 };
export const MONO = '"JetBrains Mono Variable", ui-monospace, monospace';
const SANS = '"Inter Variable", system-ui, sans-serif';

/** A finger is wider than a pointer. */
const FINGER = "@media (pointer: coarse)";

/** What lies above the page for a moment: menus, lists, small dialogs. */
const floating = (t: Theme) => ({ borderRadius: radius.card, border: `1px solid ${t.vars.palette.divider}`, boxShadow: "0 12px 32px -10px rgb(8 12 20 / 0.28)", backgroundColor: t.vars.palette.background.raised });

export const theme = createTheme({
  cssVariables: { colorSchemeSelector: '[data-scheme="%s"]', cssVarPrefix: "a" },
  colorSchemes: { light: { palette: palettes.light }, dark: { palette: palettes.dark } },
  spacing: 4, // use 1, 2, 3, 4, 6, 8, 12: 4 to 48 pixels
  shape: { borderRadius: radius.control },
  breakpoints: { values: { xs: 0, sm: 600, md: 820, lg: 1200, xl: 1560 } },
  transitions: { duration: { shortest: 120, shorter: 140, short: 160, standard: 180, complex: 200, enteringScreen: 180, leavingScreen: 140 } },
  typography: {
    fontFamily: SANS,
    fontSize: 14,
    h1: { fontSize: 28, lineHeight: 1.2, fontWeight: 650, letterSpacing: "-0.022em" },
    h2: { fontSize: 20, lineHeight: 1.3, fontWeight: 620, letterSpacing: "-0.014em" },
    h3: { fontSize: 16, lineHeight: 1.4, fontWeight: 600, letterSpacing: "-0.008em" },
    h4: { fontSize: 14, lineHeight: 1.4, fontWeight: 600 },
    body1: { fontSize: 14, lineHeight: 1.55 },
    body2: { fontSize: 13, lineHeight: 1.5 },
    caption: { fontSize: 12, lineHeight: 1.45 },
    overline: { fontSize: 12, lineHeight: 1.4, fontWeight: 550, textTransform: "none", letterSpacing: 0 },
    button: { fontSize: 14, fontWeight: 550, textTransform: "none", letterSpacing: "-0.003em" },
    mono: { fontFamily: MONO, fontSize: 12, lineHeight: 1.55 },
  },
  components: {
    MuiCssBaseline: {
      styleOverrides: (t) => ({
        html: { scrollbarGutter: "stable", fontVariantNumeric: "tabular-nums", fontFeatureSettings: '"cv11", "ss03"', WebkitFontSmoothing: "antialiased" },
        // Figures as wide as each other keep counters still; in sentences they would tear hyphens and dates apart.
        "p, textarea, [data-note]": { fontVariantNumeric: "normal" },
        // The scrollbar's room is always there: nothing moves sideways when a page grows longer than the window, nor when
        // a dialog stops the page from scrolling (MUI would make the same room once more, as padding).
        body: { overflowWrap: "anywhere", overflowX: "clip", paddingRight: "0 !important" },
        // Under a dialog that room is as dim as the page; a dialog that fills the window dims nothing.
        "html:has(.MuiBackdrop-root:not(.MuiBackdrop-invisible)):not(:has(.MuiDialog-paperFullScreen))": { backgroundColor: `color-mix(in srgb, rgb(8 11 16) 50%, ${t.vars.palette.background.default}) !important` },
        "::selection": { background: alpha(palettes.light.primary.light, 0.3) },
        ":focus-visible": { outline: `2px solid ${t.vars.palette.primary.main}`, outlineOffset: 2 },
        "*": { scrollbarWidth: "thin", scrollbarColor: `${t.vars.palette.divider} transparent` },
        "@media (prefers-reduced-motion: reduce)": {
          "*, *::before, *::after": { animationDuration: "1ms !important", animationIterationCount: "1 !important", transitionDuration: "1ms !important", scrollBehavior: "auto !important" },
        },
        // Where the system chooses the colours, backgrounds are gone: what is chosen gets its colour for that, bars keep theirs.
        "@media (forced-colors: active)": {
          "[aria-checked=true], [aria-pressed=true], [aria-selected=true], [aria-current=page]": { forcedColorAdjust: "none", backgroundColor: "Highlight !important", color: "HighlightText !important", "& svg": { color: "inherit !important" } },
          ".MuiButton-contained": { border: "1px solid ButtonText !important" },
          "[role=progressbar], [role=progressbar] *, [role=img], [role=img] *": { forcedColorAdjust: "none" },
        },
      }),
    },
    MuiButtonBase: { defaultProps: { disableRipple: true }, styleOverrides: { root: ({ theme: t }) => ({ fontFamily: "inherit", "&.Mui-focusVisible": { outline: `2px solid ${t.vars.palette.primary.main}`, outlineOffset: -2 } }) } },
    MuiButton: {
      defaultProps: { disableElevation: true },
      styleOverrides: {
        root: ({ theme: t }) => ({
          borderRadius: radius.control, minHeight: 36, padding: "6px 14px", whiteSpace: "nowrap",
          "&.Mui-focusVisible": { outline: `2px solid ${t.vars.palette.primary.main}`, outlineOffset: 2 },
        }),
        sizeSmall: { minHeight: 30, padding: "3px 10px", fontSize: 13 },
        startIcon: { marginRight: 7, marginLeft: -2 },
      },
      variants: [
        {
          props: { variant: "outlined", color: "inherit" },
          style: ({ theme: t }) => ({
            borderColor: t.vars.palette.divider, background: t.vars.palette.background.raised,
            "&:hover": { background: t.vars.palette.action.hover, borderColor: t.vars.palette.text.disabled },
          }),
        },
        { props: { variant: "text", color: "inherit" }, style: ({ theme: t }) => ({ color: t.vars.palette.text.secondary, "&:hover": { color: t.vars.palette.text.primary } }) },
      ],
    },
    MuiIconButton: {
      styleOverrides: {
        root: ({ theme: t }) => ({
          borderRadius: radius.control, color: t.vars.palette.text.secondary, padding: 8,
          "&:hover": { color: t.vars.palette.text.primary },
          "&.Mui-focusVisible": { outline: `2px solid ${t.vars.palette.primary.main}`, outlineOffset: 1 },
        }),
        sizeSmall: { padding: 6 },
      },
    },
    MuiPaper: { defaultProps: { elevation: 0 }, styleOverrides: { root: { backgroundImage: "none" } } },
    MuiDialog: { styleOverrides: { paper: ({ theme: t }) => ({ borderRadius: radius.card + 2, border: `1px solid ${t.vars.palette.divider}`, boxShadow: "0 24px 64px -16px rgb(8 12 20 / 0.38)" }) } },
    MuiBackdrop: { styleOverrides: { root: { "&:not(.MuiBackdrop-invisible)": { backgroundColor: "rgb(8 11 16 / 0.5)" } } } },
    MuiPopover: { styleOverrides: { paper: ({ theme: t }) => floating(t) } },
    MuiMenu: { styleOverrides: { paper: { minWidth: 180 }, list: { padding: 4 } } },
    MuiAutocomplete: {
      styleOverrides: {
        paper: ({ theme: t }) => ({ ...floating(t), margin: "4px 0" }),
        listbox: { padding: 4, maxHeight: 340, "& .MuiAutocomplete-option": { borderRadius: radius.chip, minHeight: 34, fontSize: 14, padding: "5px 10px", [FINGER]: { minHeight: 44 } } },
      },
    },
    MuiMenuItem: { styleOverrides: { root: { borderRadius: radius.chip, minHeight: 34, fontSize: 14, padding: "5px 10px", gap: 10, [FINGER]: { minHeight: 44 } } } },
    MuiTooltip: {
      defaultProps: { enterDelay: 400, enterNextDelay: 200 },
      styleOverrides: { tooltip: { fontSize: 12, fontWeight: 450, borderRadius: radius.chip, padding: "5px 9px", border: "1px solid rgb(214 226 245 / 0.14)", backgroundColor: "#1d242f", color: "#eef2f7", maxWidth: 320 } },
    },
    MuiInputBase: { styleOverrides: { input: ({ theme: t }) => ({ "&::placeholder": { color: t.vars.palette.text.faint, opacity: 1 } }) } },
    MuiOutlinedInput: {
      styleOverrides: {
        root: ({ theme: t }) => ({
          borderRadius: radius.control, backgroundColor: t.vars.palette.background.raised, fontSize: 14,
          "&.MuiInputBase-multiline": { padding: 0 }, // as far from the frame as a line of one field is
          "& .MuiOutlinedInput-notchedOutline": { borderColor: t.vars.palette.divider },
          "&:hover:not(.Mui-disabled, .Mui-error) .MuiOutlinedInput-notchedOutline": { borderColor: t.vars.palette.text.disabled },
          // In the accent, a field that is written in would look like one that is wrong.
          "&.Mui-focused:not(.Mui-error) .MuiOutlinedInput-notchedOutline": { borderColor: t.vars.palette.text.secondary },
          "&.Mui-focused .MuiOutlinedInput-notchedOutline": { borderWidth: 1.5 },
        }),
        input: { padding: "8px 12px", "&.MuiInputBase-inputSizeSmall": { padding: "6px 10px" } },
      },
    },
    MuiSelect: { styleOverrides: { select: { minHeight: "0 !important" } } },
    MuiFormHelperText: { styleOverrides: { root: { marginLeft: 0, marginTop: 4, fontSize: 12 } } },
    MuiSlider: {
      styleOverrides: {
        root: { padding: "10px 0", height: 3 },
        rail: ({ theme: t }) => ({ backgroundColor: t.vars.palette.text.disabled, opacity: 0.45 }),
        thumb: ({ theme: t }) => ({ width: 14, height: 14, backgroundColor: t.vars.palette.background.raised, border: `2px solid ${t.vars.palette.primary.main}`, "&::before": { display: "none" }, "&:hover, &.Mui-focusVisible": { boxShadow: `0 0 0 5px color-mix(in srgb, ${t.vars.palette.primary.main} 18%, transparent)` } }),
        track: { border: 0 },
      },
    },
    MuiChip: { styleOverrides: { root: { borderRadius: radius.chip, height: 28, fontSize: 13 } } },
    MuiDrawer: { styleOverrides: { paper: ({ theme: t }) => ({ backgroundColor: t.vars.palette.background.paper, borderColor: t.vars.palette.divider }) } },
    MuiSkeleton: { defaultProps: { animation: "wave" }, styleOverrides: { root: ({ theme: t }) => ({ backgroundColor: t.vars.palette.background.sunken, transform: "none", borderRadius: radius.control }) } },
    MuiLink: { defaultProps: { underline: "hover" } },
    MuiTypography: { defaultProps: { variantMapping: { mono: "span" } } },
  },
});
