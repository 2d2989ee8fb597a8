import { Box, InputBase, Slider, Typography } from "@mui/material";
import { useId, useState } from "react";

interface Props {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  /** Where the slider ends, when the field allows more than anyone usually wants. */
  sliderMax?: number;
  hint?: string;
  error?: string;
  onChange: (value: number) => void;
}

/** A number with a slider for the hand and a field for the exact. The field keeps what is typed, even while it is wrong. */
export function NumberField({ label, value, min, max, step, sliderMax = max, hint, error, onChange }: Props) {
  const id = useId();
  const draft = useDraft(value);
  return (
    <Box>
      <Box sx={{ display: "flex", alignItems: "center", justifyContent: "space-between" }}>
        <Typography component="label" htmlFor={id} variant="overline" sx={{ color: "text.secondary" }}>{label}</Typography>
        <InputBase
          id={id}
          value={draft.text}
          error={!!error}
          onChange={(event) => onChange(draft.keep(event.target.value, event.target.value.trim() === "" ? Number.NaN : Number(event.target.value.replace(",", "."))))}
          onBlur={draft.settle}
          inputProps={{ inputMode: "decimal", "aria-invalid": !!error, "aria-describedby": `${id}-note` }}
          sx={{ width: 68, mr: -2, fontSize: 13, fontFamily: '"JetBrains Mono Variable", monospace', borderRadius: "6px", border: 1, borderColor: error ? "error.main" : "transparent", "&:hover": { borderColor: error ? "error.main" : "divider" }, "&.Mui-focused": { borderColor: error ? "error.main" : "text.secondary" }, "& input": { textAlign: "right", px: 2, py: "3px", height: "auto" } }}
        />
      </Box>
      <Slider
        size="small"
        value={Number.isFinite(value) ? Math.min(sliderMax, Math.max(min, value)) : min}
        min={min}
        max={sliderMax}
        step={step}
        aria-label={label}
        onChange={(_, next) => onChange(next as number)}
      />
      <Box sx={{ mt: -2 }}><FieldNote id={`${id}-note`} error={error} hint={hint} /></Box>
    </Box>
  );
}

/**
 * What somebody has typed for a number, until the number changes from elsewhere (a slider, a die, another picture's
 * settings). Letters stay where they were typed, so that what is wrong can be seen and mended; what makes a number is
 * written out properly when the field is left.
 */
export function useDraft(value: number | null) {
  const [draft, setDraft] = useState<{ text: string; value: number | null } | null>(null);
  const ours = draft !== null && Object.is(draft.value, value);
  return {
    text: ours ? draft.text : value === null || Number.isNaN(value) ? "" : String(value),
    /** Shows `text` for as long as the value is `number`, which it hands back. */
    keep: <N extends number | null>(text: string, number: N): N => {
      setDraft({ text, value: number });
      return number;
    },
    settle: () => {
      if (ours && !Number.isNaN(draft.value)) setDraft(null);
    },
  };
}

export function FieldNote({ id, error, hint }: { id?: string; error?: string; hint?: string }) {
  return (
    <Typography id={id} variant="caption" data-note role={error ? "alert" : undefined} sx={{ mt: 1, display: error || hint ? "block" : "none", color: error ? "error.main" : "text.faint" }}>
      {error ?? hint}
    </Typography>
  );
}
