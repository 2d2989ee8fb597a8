import { Box } from "@mui/material";
import { ArrowDownToLine, CircleCheck, CircleDashed, CirclePause, CirclePlus, CircleX, FileX2, LoaderCircle, Moon } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { Look } from "@/lib/models";

const LOOKS = {
  ready: [CircleCheck, "success.main"],
  loading: [LoaderCircle, "primary.main"],
  parked: [Moon, "info.main"],
  downloading: [ArrowDownToLine, "primary.main"],
  paused: [CirclePause, "warning.main"],
  error: [CircleX, "error.main"],
  missing: [FileX2, "error.main"],
  idle: [CircleDashed, "text.secondary"],
  offered: [CirclePlus, "text.faint"],
} as const;

/** How a model stands, as shape, colour and word; never colour alone. */
export function ModelState({ look }: { look: Look }) {
  const { t } = useTranslation();
  const [Icon, colour] = LOOKS[look];
  return (
    <Box component="span" data-look={look} sx={{ display: "inline-flex", alignItems: "center", gap: "6px", color: colour, fontSize: 13, fontWeight: 550, whiteSpace: "nowrap", "& svg": look === "loading" ? { animation: "turn 1.4s linear infinite" } : {}, "@keyframes turn": { to: { rotate: "360deg" } } }}>
      <Icon size={15} aria-hidden />
      {t(`models.looks.${look}`)}
    </Box>
  );
}
