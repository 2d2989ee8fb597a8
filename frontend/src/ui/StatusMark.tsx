import { Box } from "@mui/material";
import { Ban, CircleCheck, CircleDashed, CircleX, LoaderCircle } from "lucide-react";
import { useTranslation } from "react-i18next";

export type Status = "queued" | "running" | "completed" | "failed" | "cancelled" | "cancelling";

const LOOKS = {
  queued: [CircleDashed, "text.secondary"],
  running: [LoaderCircle, "primary.main"],
  completed: [CircleCheck, "success.main"],
  failed: [CircleX, "error.main"],
  cancelled: [Ban, "text.faint"],
  cancelling: [LoaderCircle, "text.secondary"],
} as const;

/** A state as shape, colour and word; never colour alone. */
export function StatusMark({ status, hideWord }: { status: Status; hideWord?: boolean }) {
  const { t } = useTranslation();
  const [Icon, colour] = LOOKS[status];
  const turns = status === "running" || status === "cancelling";
  return (
    <Box component="span" sx={{ display: "inline-flex", alignItems: "center", gap: "6px", color: colour, fontSize: 13, fontWeight: 550, whiteSpace: "nowrap", "& svg": turns ? { animation: "turn 1.4s linear infinite" } : {}, "@keyframes turn": { to: { rotate: "360deg" } } }}>
      <Icon size={15} aria-hidden />
      {hideWord ? <Box component="span" sx={visuallyHidden}>{t(`status.${status}`)}</Box> : t(`status.${status}`)}
    </Box>
  );
}

export const visuallyHidden = { position: "absolute", width: "1px", height: "1px", overflow: "hidden", clipPath: "inset(50%)", whiteSpace: "nowrap" } as const;
