import { Box, InputBase, Typography } from "@mui/material";
import { useId, useState, type KeyboardEvent } from "react";

import { useDraft } from "./NumberField";

interface Props {
  label: string;
  /** For screen readers, where the label alone says too little. */
  name?: string;
  value: number;
  error?: string;
  onChange: (value: number) => void;
}

const box = (error?: string) => ({ display: "flex", alignItems: "center", gap: 2, border: 1, borderColor: error ? "error.main" : "divider", borderRadius: "8px", bgcolor: "background.raised", pl: 3, height: 36, "&:focus-within": { borderColor: error ? "error.main" : "text.secondary" } });
const digits = { flex: 1, minWidth: 0, fontSize: 13, fontFamily: '"JetBrains Mono Variable", monospace', "& input": { textAlign: "right", pr: 3, "&:focus-visible": { outline: "none" } } };
const numberOf = (text: string) => (text.trim() === "" ? Number.NaN : Number(text));

/** A few pixels, typed; heard of while they are typed. */
export function PixelField({ label, name, value, error, onChange }: Props) {
  const id = useId();
  const draft = useDraft(value);
  return (
    <Box sx={box(error)}>
      <Typography component="label" htmlFor={id} variant="caption" sx={{ color: "text.faint" }}>{label}</Typography>
      <InputBase id={id} value={draft.text} onChange={(event) => onChange(draft.keep(event.target.value, numberOf(event.target.value)))} onBlur={draft.settle} inputProps={{ inputMode: "numeric", "aria-invalid": !!error, "aria-label": name }} sx={digits} />
    </Box>
  );
}

/** As `PixelField`, for numbers that are rounded to what can be: heard of when they are typed to the end. */
export function RoundedPixelField({ label, name, value, error, onChange }: Props) {
  const id = useId();
  const [text, setText] = useState<string | null>(null);
  const settle = () => {
    if (text !== null) onChange(numberOf(text) || 0);
    setText(null);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      settle();
    }
  };
  return (
    <Box sx={box(error)}>
      <Typography component="label" htmlFor={id} variant="caption" sx={{ color: "text.faint" }}>{label}</Typography>
      <InputBase id={id} value={text ?? String(value)} onChange={(event) => setText(event.target.value)} onBlur={settle} onKeyDown={onKey} inputProps={{ inputMode: "numeric", "aria-invalid": !!error, "aria-label": name }} sx={digits} />
    </Box>
  );
}
