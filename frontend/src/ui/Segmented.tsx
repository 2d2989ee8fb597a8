import { Box, ButtonBase } from "@mui/material";
import { useRef, type KeyboardEvent, type ReactNode } from "react";

interface Option<T> { value: T; label: ReactNode; name?: string }

/** One of a few, side by side; a radio group for the keyboard and for screen readers. */
export function Segmented<T extends string | number>({ label, value, options, onChange }: { label: string; value: T | null; options: Option<T>[]; onChange: (value: T) => void }) {
  const root = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = options.findIndex((option) => option.value === value);
    const next = options[(at + by + options.length) % options.length];
    if (!next) return;
    onChange(next.value);
    root.current?.querySelectorAll<HTMLElement>("[role=radio]")[options.indexOf(next)]?.focus();
  };
  return (
    <Box ref={root} role="radiogroup" aria-label={label} onKeyDown={move} sx={{ display: "flex", gap: "2px", p: "2px", bgcolor: "background.sunken", borderRadius: "8px", border: 1, borderColor: "divider" }}>
      {options.map((option, index) => {
        const on = option.value === value;
        const reachable = on || (index === 0 && !options.some((other) => other.value === value));
        return (
          <ButtonBase
            key={option.value}
            role="radio"
            aria-checked={on}
            aria-label={option.name}
            tabIndex={reachable ? 0 : -1}
            onClick={() => onChange(option.value)}
            sx={{
              flex: 1, minHeight: 32, px: 2, borderRadius: "6px", fontSize: 13, fontWeight: on ? 600 : 450, fontFamily: "inherit", color: on ? "text.primary" : "text.secondary",
              bgcolor: on ? "background.raised" : "transparent", boxShadow: on ? "0 1px 2px rgb(8 12 20 / 0.14)" : "none", transition: "background-color 120ms ease-out", "&:hover": { color: "text.primary" },
              "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" },
            }}
          >
            {option.label}
          </ButtonBase>
        );
      })}
    </Box>
  );
}
