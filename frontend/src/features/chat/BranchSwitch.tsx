import { Box, IconButton } from "@mui/material";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { MessageOut } from "@/api/types";

/** ‹ 2/3 ›: to what was said or answered instead. */
export function BranchSwitch({ message, siblings, onBranch, disabled }: { message: MessageOut; siblings: readonly MessageOut[]; onBranch: (id: string) => void; disabled: boolean }) {
  const { t } = useTranslation();
  const at = siblings.findIndex((one) => one.id === message.id);
  if (siblings.length < 2 || at < 0) return null;
  const [before, after] = [siblings[at - 1], siblings[at + 1]];
  return (
    <Box role="group" aria-label={t("chat.branches")} sx={{ display: "inline-flex", alignItems: "center", color: "text.faint", fontSize: 12, fontVariantNumeric: "tabular-nums" }}>
      <IconButton size="small" aria-label={t("chat.branchBefore")} disabled={!before || disabled} onClick={() => before && onBranch(before.id)} sx={{ color: "text.faint" }}><ChevronLeft size={15} /></IconButton>
      {at + 1}/{siblings.length}
      <IconButton size="small" aria-label={t("chat.branchAfter")} disabled={!after || disabled} onClick={() => after && onBranch(after.id)} sx={{ color: "text.faint" }}><ChevronRight size={15} /></IconButton>
    </Box>
  );
}
