import { Button, Tooltip } from "@mui/material";
import { ArrowDownToLine, Brush, KeyRound, PanelRight, Pause, Play, Power, RotateCcw, Square, Zap } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { Step } from "@/lib/models";

const LOOKS = {
  use: [Brush, "contained"], load: [Zap, "contained"], download: [ArrowDownToLine, "contained"], resume: [Play, "contained"], token: [KeyRound, "contained"], loadAgain: [RotateCcw, "contained"], downloadAgain: [RotateCcw, "contained"],
  unload: [Power, "outlined"], stop: [Square, "outlined"], pause: [Pause, "outlined"], open: [PanelRight, "outlined"],
} as const;

/** The one button that is always the right next step. */
export function Next({ step, name, busy, quiet, tabIndex, onTake }: { step: Step; name: string; busy: boolean; quiet?: boolean; tabIndex?: number; onTake: (step: Step) => void }) {
  const { t } = useTranslation();
  const [Icon, variant] = LOOKS[step];
  const shown = quiet && variant === "contained" ? "outlined" : variant;
  return (
    <Tooltip title={t(`models.stepHints.${step}`)}>
      <Button size="small" variant={shown} color={shown === "contained" ? "primary" : "inherit"} disabled={busy} tabIndex={tabIndex} aria-label={t("models.stepOf", { step: t(`models.steps.${step}`), name })} onClick={() => onTake(step)} startIcon={<Icon size={15} aria-hidden />} data-step={step}>
        {t(`models.steps.${step}`)}
      </Button>
    </Tooltip>
  );
}
