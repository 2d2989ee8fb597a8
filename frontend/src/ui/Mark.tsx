import { Box } from "@mui/material";
import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

interface Props {
  Icon: LucideIcon;
  colour: string;
  /** Something is going on. */
  turns: boolean;
  look?: string;
  children: ReactNode;
}

/** A state as shape, colour and word; never colour alone. */
export function Mark({ Icon, colour, turns, look, children }: Props) {
  return (
    <Box component="span" data-look={look} sx={{ display: "inline-flex", alignItems: "center", gap: "6px", color: colour, fontSize: 13, fontWeight: 550, whiteSpace: "nowrap", "& svg": turns ? { animation: "turn 1.4s linear infinite" } : {}, "@keyframes turn": { to: { rotate: "360deg" } } }}>
      <Icon size={15} aria-hidden />
      {children}
    </Box>
  );
}
