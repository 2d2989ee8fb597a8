import { Tooltip } from "@mui/material";
import { useTranslation } from "react-i18next";

import { ago, exact } from "@/lib/numbers";

import { useNow } from "./useNow";

/** "2 minutes ago", exact on hover. */
export function Ago({ time }: { time: string }) {
  const { i18n } = useTranslation();
  const now = useNow(10_000);
  return (
    <Tooltip title={exact(time, i18n.language)}>
      <time dateTime={time}>{ago(time, now, i18n.language)}</time>
    </Tooltip>
  );
}
