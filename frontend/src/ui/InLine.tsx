import { Box, Typography } from "@mui/material";
import { Clock, LogOut, Moon, Pin } from "lucide-react";
import { useTranslation } from "react-i18next";

import { useSaid, type Sentence } from "@/i18n/said";
import { duration } from "@/lib/numbers";

interface Holder { model: string; bytes: number; doing: string; deed: "stop" | "park" | "yield" | "wait" }

/** A wait as the server tells of it. */
export interface Wait extends Sentence { position?: number | null; seconds?: number | null; holders?: readonly Holder[] }

const ICONS = { stop: LogOut, park: Moon, yield: Clock, wait: Clock, pinned: Pin } as const;

/** Its place in the line and the forecast: "Next in line · in about 40 s". */
export function usePlaceWords(): (wait: Wait) => string {
  const { t } = useTranslation();
  return ({ position, seconds }) => [
    (position ?? 1) <= 1 ? t("progress.next") : t("progress.position", { position }),
    typeof seconds === "number" ? t("models.line.begins", { time: duration(Math.max(1, seconds)) }) : t("models.line.unknown"),
  ].join(" · ");
}

/** A load that waits: its place, the forecast, who has the memory and what becomes of them. */
export function InLine({ wait }: { wait: Wait }) {
  const { t } = useTranslation();
  const said = useSaid();
  const place = usePlaceWords();
  const holders = wait.holders ?? [];
  return (
    <Box data-in-line role="status" sx={{ border: 1, borderColor: "divider", borderRadius: "10px", bgcolor: "background.raised", px: 4, py: 3, display: "grid", gap: 1, minWidth: 0 }}>
      <Typography sx={{ fontWeight: 600 }}>{place(wait)}</Typography>
      {holders.length === 0 && <Typography variant="body2" sx={{ color: "text.secondary" }}>{said(wait).text}</Typography>}
      {holders.map((holder, index) => {
        const deed = holder.doing === "pinned" && holder.deed === "wait" ? "pinned" : holder.deed;
        const Icon = ICONS[deed];
        return (
          <Box key={`${holder.model}${index}`} sx={{ display: "flex", gap: 2, fontSize: 13, color: "text.secondary", minWidth: 0 }}>
            <Box sx={{ color: "text.faint", pt: "2px" }}><Icon size={14} aria-hidden /></Box>
            <Box component="span" sx={{ minWidth: 0, overflowWrap: "anywhere" }}>{said({ code: "waiting.memory_held", message: holder.model, said: { code: "waiting.memory_held", params: { ...holder } } }).text} · {t(`models.line.deeds.${deed}`)}</Box>
          </Box>
        );
      })}
    </Box>
  );
}
