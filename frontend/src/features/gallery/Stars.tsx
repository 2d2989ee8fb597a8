import { Box } from "@mui/material";
import { Star } from "lucide-react";
import { useTranslation } from "react-i18next";

const ALL = [1, 2, 3, 4, 5];

/** So many stars, to look at. */
export function Stars({ value, size = 13 }: { value: number; size?: number }) {
  return (
    <Box component="span" aria-hidden sx={{ display: "inline-flex", verticalAlign: "-2px", gap: "1px" }}>
      {ALL.map((each) => <Star key={each} size={size} fill={each <= value ? "currentColor" : "none"} strokeWidth={1.6} opacity={each <= value ? 1 : 0.45} />)}
    </Box>
  );
}

/** Stars to choose: a radio group for the keyboard and for screen readers; the chosen one once more takes it back. */
export function Rate({ value, onChange, size = 19 }: { value: number; onChange: (value: number) => void; size?: number }) {
  const { t } = useTranslation();
  return (
    <Box
      role="slider" tabIndex={0} aria-label={t("gallery.rating")} aria-valuemin={0} aria-valuemax={5} aria-valuenow={value} aria-valuetext={value ? t("gallery.starsExactly", { count: value }) : t("gallery.unrated")}
      onKeyDown={(event) => {
        const next = { ArrowRight: value + 1, ArrowUp: value + 1, ArrowLeft: value - 1, ArrowDown: value - 1, Home: 0, End: 5 }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        onChange(Math.min(5, Math.max(0, next)));
      }}
      sx={{ display: "inline-flex", borderRadius: "6px", color: value ? "warning.main" : "text.faint", "&:focus-visible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: 2 } }}
    >
      {ALL.map((each) => (
        <Box key={each} component="span" title={t("gallery.starsExactly", { count: each })} onClick={() => onChange(each === value ? 0 : each)} sx={{ cursor: "pointer", p: "3px", display: "grid", "&:hover": { color: "warning.main" } }}>
          <Star size={size} fill={each <= value ? "currentColor" : "none"} strokeWidth={1.6} aria-hidden />
        </Box>
      ))}
    </Box>
  );
}
