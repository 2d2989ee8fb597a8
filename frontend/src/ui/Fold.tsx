import { Box, ButtonBase, Collapse } from "@mui/material";
import { ChevronDown } from "lucide-react";
import { useState, type ReactNode } from "react";

/** Whether a fold is open. `wrong` is 0 while nothing in it is; with every other number it opens, so that what is wrong can be seen. */
export function useFold(wrong = 0): [boolean, (open: boolean) => void] {
  const [fold, setFold] = useState({ open: false, wrong: 0 });
  if (fold.wrong !== wrong) setFold({ open: fold.open || wrong > 0, wrong });
  return [fold.open, (open) => setFold({ open, wrong })];
}

/** The seldom-used part of a panel, across its whole width; `note` says how it stands while it is closed. */
export function Fold({ title, note, wrong, children }: { title: string; note?: string | null; wrong?: number; children: ReactNode }) {
  const [open, setOpen] = useFold(wrong);
  return (
    <Box sx={{ borderTop: 1, borderColor: "divider", mx: -4, px: 4, mb: -2, "& + &": { mt: -2 } }}>
      <ButtonBase aria-expanded={open} onClick={() => setOpen(!open)} sx={{ width: 1, minHeight: 44, gap: 2, justifyContent: "flex-start", fontFamily: "inherit", fontSize: 13, fontWeight: 550, color: "text.secondary" }}>
        {title}
        <Box component="span" sx={{ ml: "auto", fontWeight: 450, color: "text.faint" }}>{!open && note}</Box>
        <Box component={ChevronDown} size={16} aria-hidden sx={{ rotate: open ? "180deg" : 0, transition: "rotate 140ms ease-out" }} />
      </ButtonBase>
      <Collapse in={open} unmountOnExit>
        <Box sx={{ display: "grid", gap: 4, pb: 3, gridTemplateColumns: "minmax(0, 1fr)" }}>{children}</Box>
      </Collapse>
    </Box>
  );
}
