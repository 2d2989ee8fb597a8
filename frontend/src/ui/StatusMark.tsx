import { Box } from "@mui/material";
import { Ban, CircleCheck, CircleDashed, CircleX, LoaderCircle } from "lucide-react";
import { useTranslation } from "react-i18next";

import { Mark } from "./Mark";

export type Status = "queued" | "running" | "completed" | "failed" | "cancelled" | "cancelling";

const LOOKS = {
  queued: [CircleDashed, "text.secondary"],
  running: [LoaderCircle, "primary.main"],
  completed: [CircleCheck, "success.main"],
  failed: [CircleX, "error.main"],
  cancelled: [Ban, "text.faint"],
  cancelling: [LoaderCircle, "text.secondary"],
} as const;

/** How a job stands. */
export function StatusMark({ status, hideWord }: { status: Status; hideWord?: boolean }) {
  const { t } = useTranslation();
  const [Icon, colour] = LOOKS[status];
  const word = t(`status.${status}`);
  return (
    <Mark Icon={Icon} colour={colour} turns={status === "running" || status === "cancelling"}>
      {hideWord ? <Box component="span" sx={visuallyHidden}>{word}</Box> : word}
    </Mark>
  );
}

export const visuallyHidden = { position: "absolute", width: "1px", height: "1px", overflow: "hidden", clipPath: "inset(50%)", whiteSpace: "nowrap" } as const;
