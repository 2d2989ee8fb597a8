import { Box, OutlinedInput, Typography } from "@mui/material";
import { useId, type ReactNode } from "react";

import { FieldNote } from "@/ui/NumberField";

interface Props { label: string; value: string; onChange: (value: string) => void; error?: string; hint?: string; placeholder?: string; type?: "text" | "password"; mono?: boolean; rows?: number; autoFocus?: boolean; end?: ReactNode }

/** A field for text with its name above, and what is wrong or what to know below. */
export function Field({ label, value, onChange, error, hint, placeholder, type = "text", mono, rows, autoFocus, end }: Props) {
  const id = useId();
  return (
    <Box sx={{ minWidth: 0 }}>
      <Typography component="label" htmlFor={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{label}</Typography>
      <OutlinedInput
        id={id} fullWidth size="small" type={type} value={value} error={!!error} placeholder={placeholder} autoFocus={autoFocus} multiline={!!rows} minRows={rows} endAdornment={end}
        onChange={(event) => onChange(event.target.value)}
        inputProps={{ "aria-invalid": !!error, "aria-describedby": `${id}-note`, autoComplete: "off", spellCheck: !mono && type === "text" }}
        sx={mono ? { "& input, & textarea": { fontFamily: '"JetBrains Mono Variable", monospace', fontSize: 13 } } : undefined}
      />
      <FieldNote id={`${id}-note`} error={error} hint={hint} />
    </Box>
  );
}
