import { Box, Typography } from "@mui/material";
import type { ReactNode } from "react";

/** A titled part of a page. */
export function Section({ title, text, aside, children }: { title: string; text?: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <Box component="section" sx={{ mt: 8 }}>
      <Box sx={{ display: "flex", alignItems: "baseline", gap: 4, mb: 3 }}>
        <Typography variant="h3" component="h2">{title}</Typography>
        {text && <Typography variant="body2" sx={{ color: "text.faint", display: { xs: "none", sm: "block" } }}>{text}</Typography>}
        <Box sx={{ ml: "auto" }}>{aside}</Box>
      </Box>
      {children}
    </Box>
  );
}

export const card = { border: 1, borderColor: "divider", borderRadius: "10px", bgcolor: "background.paper" } as const;

/** The top of a page: its name, what is in it, and what can be done. */
export function PageHead({ title, note, children }: { title: string; note?: ReactNode; children?: ReactNode }) {
  return (
    <Box sx={{ display: "flex", flexWrap: "wrap", alignItems: "center", gap: 3, rowGap: 2, minHeight: 40 }}>
      <Typography variant="h2" component="h1" sx={{ lineHeight: "36px" }}>{title}</Typography>
      {note && <Typography variant="body2" sx={{ color: "text.faint" }}>{note}</Typography>}
      <Box sx={{ ml: "auto", minWidth: 0, display: "flex", flexWrap: "wrap", gap: 2, alignItems: "center", "& > *": { minWidth: 0 } }}>{children}</Box>
    </Box>
  );
}

/** Pairs of name and value, as in a recipe. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <Box component="dl" sx={{ m: 0, display: "grid", gridTemplateColumns: "minmax(84px, auto) 1fr", columnGap: 4, rowGap: 2, fontSize: 13, alignItems: "center" }}>
      {facts.map(([name, value]) => (
        <Box key={name} sx={{ display: "contents" }}>
          <Box component="dt" sx={{ color: "text.faint" }}>{name}</Box>
          <Box component="dd" sx={{ m: 0, minWidth: 0, overflowWrap: "anywhere" }}>{value}</Box>
        </Box>
      ))}
    </Box>
  );
}
