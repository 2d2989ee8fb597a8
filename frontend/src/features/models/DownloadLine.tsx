import { Box, Typography } from "@mui/material";
import { useTranslation } from "react-i18next";

import type { DownloadOut } from "@/api/types";
import { bytes, duration, percent } from "@/lib/numbers";
import { Bar } from "@/ui/Bar";

/** How far a download is: a bar, bytes, speed, time left. */
export function DownloadLine({ download, name }: { download: DownloadOut; name: string }) {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const { done_bytes: done, total_bytes: total, bytes_per_second: speed, seconds_left: left, state } = download;
  const fraction = total > 0 ? Math.min(1, done / total) : null;
  const checking = total > 0 && done >= total;
  const words = state !== "downloading"
    ? [t(`models.download.states.${state}`)]
    : checking
      ? [t("models.download.checking")]
      : speed
        ? [t("models.download.speed", { speed: bytes(speed, lang) }), left !== null && left !== undefined && t("progress.eta", { time: duration(left) })]
        : [t("models.download.starting")];
  return (
    <Box sx={{ display: "grid", gap: 2, minWidth: 0 }}>
      <Bar value={fraction} label={t("models.download.of", { name })} tone={state !== "downloading" ? "text.faint" : "primary.main"} />
      <Box sx={{ display: "flex", justifyContent: "space-between", gap: 3, fontSize: 13, color: "text.secondary", minWidth: 0 }}>
        <Box component="span" sx={{ minWidth: 0 }}>{[total > 0 && t("models.download.bytes", { done: bytes(done, lang), total: bytes(total, lang) }), ...words].filter(Boolean).join(" · ")}</Box>
        {fraction !== null && <Typography variant="mono" sx={{ fontSize: 13, flexShrink: 0 }}>{percent(fraction, lang)}</Typography>}
      </Box>
    </Box>
  );
}
