import { Box, Typography } from "@mui/material";
import type { ReactNode } from "react";

/** A field of a form under its name, with a remark below. */
export function Labelled({ label, id, hint, children }: { label: string; id?: string; hint?: string; children: ReactNode }) {
  return (
    <Box>
      <Typography id={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{label}</Typography>
      {children}
      {hint && <Typography variant="caption" sx={{ color: "text.faint", display: "block", mt: 1 }}>{hint}</Typography>}
    </Box>
  );
}
