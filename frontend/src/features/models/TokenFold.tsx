import { Box, ButtonBase, Collapse } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { ChevronDown, KeyRound } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";

import { TokenForm } from "./TokenDialog";

/** The token, folded under one line that says whether there is one. */
export function TokenFold() {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const token = useQuery(queries.hubToken());
  const says = token.data?.is_set ? (token.data.name ? t("models.token.setFor", { name: token.data.name }) : t("models.token.set")) : t("models.token.none");
  return (
    <Box sx={{ borderTop: 1, borderColor: "divider", flexShrink: 0 }}>
      <ButtonBase aria-expanded={open} onClick={() => setOpen(!open)} sx={{ width: 1, minHeight: 44, gap: 2, justifyContent: "flex-start", fontFamily: "inherit", fontSize: 13, color: "text.secondary", textAlign: "left" }}>
        <KeyRound size={15} aria-hidden />
        <Box component="span" sx={{ flex: 1 }}>{says}</Box>
        <Box component={ChevronDown} size={16} aria-hidden sx={{ rotate: open ? "180deg" : 0, transition: "rotate 140ms ease-out" }} />
      </ButtonBase>
      <Collapse in={open} unmountOnExit><Box sx={{ pb: 3, pt: 1 }}><TokenForm onStored={() => setOpen(false)} /></Box></Collapse>
    </Box>
  );
}
