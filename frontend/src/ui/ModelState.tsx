import { ArrowDownToLine, CircleCheck, CircleDashed, CirclePause, CirclePlus, CircleX, Clock, FileX2, LoaderCircle, Moon } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { Look } from "@/lib/models";

import { Mark } from "./Mark";

const LOOKS = {
  ready: [CircleCheck, "success.main"],
  loading: [LoaderCircle, "primary.main"],
  waiting: [Clock, "warning.main"],
  parked: [Moon, "info.main"],
  downloading: [ArrowDownToLine, "primary.main"],
  paused: [CirclePause, "warning.main"],
  error: [CircleX, "error.main"],
  missing: [FileX2, "error.main"],
  idle: [CircleDashed, "text.secondary"],
  offered: [CirclePlus, "text.faint"],
} as const;

/** How a model stands. */
export function ModelState({ look }: { look: Look }) {
  const { t } = useTranslation();
  const [Icon, colour] = LOOKS[look];
  return <Mark Icon={Icon} colour={colour} turns={look === "loading"} look={look}>{t(`models.looks.${look}`)}</Mark>;
}
