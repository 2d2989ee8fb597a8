import { Box, Skeleton, Tooltip, Typography } from "@mui/material";
import { AudioLines, Image, MessageSquareText, Pin, Shapes, UsersRound, Video, type LucideIcon } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { DeviceOut, ModelOut } from "@/api/types";
import { aboutModel, aboutOffer, useSaid } from "@/i18n/said";
import { familyName, isAddition, nextStep, nextStepOfOffer, parameters, typeName, type Task, type Who } from "@/lib/models";
import { bytes, gib } from "@/lib/numbers";
import { usePlaceWords } from "@/ui/InLine";
import { BoxLink } from "@/ui/links";
import { ModelState } from "@/ui/ModelState";
import { card as frame } from "@/ui/Section";

import { useModelActions } from "./actions";
import type { Card } from "./cards";
import { DownloadLine } from "./DownloadLine";
import { ModelMenu } from "./ModelMenu";
import { Next } from "./Next";

export const TASK_ICONS: Record<Task, LucideIcon> = { image: Image, video: Video, chat: MessageSquareText, transcribe: AudioLines, diarize: UsersRound, embed: Shapes };
export const CARD_HEIGHT = 244;

interface Props { card: Card; who: Who; device: DeviceOut | undefined; reachable: boolean; onFocus: () => void }

/** A model as a card: what it is, how it stands, what it takes, and the next step. All of it opens the details. */
export function ModelCard({ card, who, device, reachable, onFocus }: Props) {
  const { t } = useTranslation();
  const acts = useModelActions();
  const { model, offer } = card;
  const Icon = TASK_ICONS[card.task];
  const tab = reachable ? 0 : -1;
  const needed = model?.bytes_needed ?? offer?.bytes_needed ?? 0;
  const tooLarge = !!device && device.budget_bytes > 0 && needed > device.budget_bytes;
  const helped = (model ?? offer)?.helped;
  return (
    <Box component="li" data-model={card.key} sx={{ ...frame, position: "relative", display: "flex", flexDirection: "column", minHeight: CARD_HEIGHT, minWidth: 0, p: 4, transition: "border-color 120ms ease-out", "&:hover": { borderColor: "text.disabled" }, ...(offer && { borderStyle: "dashed", borderColor: "color-mix(in srgb, var(--a-palette-text-primary) 22%, transparent)", bgcolor: "transparent" }) }}>
      <Box sx={{ display: "flex", gap: 3, alignItems: "flex-start" }}>
        <Box sx={{ width: 36, height: 36, flexShrink: 0, borderRadius: "8px", display: "grid", placeItems: "center", bgcolor: "background.sunken", color: card.look === "ready" ? "success.main" : "text.secondary" }}><Icon size={18} strokeWidth={1.8} aria-hidden /></Box>
        <Box sx={{ flex: 1, minWidth: 0 }}>
          <Box sx={{ display: "flex", alignItems: "center", gap: 2, minWidth: 0 }}>
          <BoxLink to="/models/$key" params={{ key: card.key }} search={(old: object) => old} resetScroll={false} data-card tabIndex={tab} onFocus={onFocus} sx={opening}>{card.name}</BoxLink>
            {model?.pinned && <Tooltip title={t("models.pinned")}><Box component="span" sx={{ position: "relative", ml: "auto", color: "text.faint", display: "inline-flex" }}><Pin size={14} role="img" aria-label={t("models.pinned")} fill="currentColor" /></Box></Tooltip>}
          </Box>
          <Box sx={{ display: "flex", alignItems: "center", gap: 3, color: "text.faint", minWidth: 0 }}>
            <ModelState look={card.look} />
            <Typography variant="mono" noWrap sx={{ minWidth: 0, ml: "auto" }}>{card.key}</Typography>
          </Box>
        </Box>
      </Box>
      <Box sx={{ minHeight: 42, mt: 3, display: "grid", alignContent: "start" }}><Story card={card} /></Box>
      <Figures card={card} device={device} />
      <Typography variant="caption" noWrap sx={{ color: "text.faint", mt: 2 }}>
        {tooLarge && <TooLarge helped={helped} after=" · " />}
        {aside(card, t)}
      </Typography>
      <Box sx={{ position: "relative", display: "flex", alignItems: "center", gap: 1, mt: "auto", pt: 3, pointerEvents: "none", "& > *": { pointerEvents: "auto" } }}>
        {model && <Next step={nextStep(model, who)} name={card.name} busy={acts.busy} tabIndex={tab} onTake={(step) => acts.take(step, model)} />}
        {offer && <Next step={nextStepOfOffer(offer, who)} name={card.name} busy={acts.busy} quiet tabIndex={tab} onTake={(step) => acts.takeOffer(step, offer)} />}
        <Box sx={{ ml: "auto", mr: -2 }}><ModelMenu card={card} who={who} tabIndex={tab} /></Box>
      </Box>
    </Box>
  );
}

/** What is said of a model that fits no device as it is loaded usually. `helped`: with other load options it does. */
export function TooLarge({ helped, before = "", after = "" }: { helped: boolean | undefined; before?: string; after?: string }) {
  const { t } = useTranslation();
  return <Box component="span" sx={{ color: helped ? "warning.main" : "error.main", fontWeight: 600 }}>{before}{t(helped ? "models.tooLargeAsItIs" : "models.tooLarge")}{after}</Box>;
}

const opening = {
  display: "block", color: "text.primary", textDecoration: "none", fontWeight: 600, fontSize: 15, lineHeight: 1.35, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", "&::after": { content: '""', position: "absolute", inset: 0, borderRadius: "10px" },
  "&:focus-visible": { outline: "none" }, "&:focus-visible::after": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: "1px" },
} as const;

/** What matters now: the download, what went wrong, or what it is for. */
function Story({ card: { model, offer, look, name } }: { card: Card }) {
  const { t } = useTranslation();
  const said = useSaid();
  const place = usePlaceWords();
  if (model?.download && (look === "downloading" || look === "paused")) return <DownloadLine download={model.download} name={name} />;
  if (look === "error" || look === "missing") return <Typography variant="body2" sx={{ color: "error.main", ...lines(3) }}>{(look === "error" && reasonOf(model, said)) || t(`models.why.${look}`)}</Typography>;
  if (look === "waiting" && model?.waiting) return <><Typography variant="body2" noWrap sx={{ fontWeight: 600 }}>{place(model.waiting)}</Typography><Typography variant="body2" noWrap sx={{ color: "text.secondary" }} title={reasonOf(model, said)}>{reasonOf(model, said)}</Typography></>;
  if (look === "loading" && model?.state_reason) return <Typography variant="body2" sx={{ color: "text.secondary", ...lines(2) }}>{reasonOf(model, said)}</Typography>;
  const text = (model ? aboutModel(model, offer) : offer && aboutOffer(offer)) || (model ? whyNot(model, t) : "");
  return <Typography variant="body2" sx={{ color: text ? "text.secondary" : "text.faint", ...lines(2) }}>{text || t("models.noDescription")}</Typography>;
}

/** Why no engine runs a model that is here; "" for one that some engine runs, and for what is added to another. */
export function whyNot(model: ModelOut, t: ReturnType<typeof useTranslation>["t"]): string {
  if (model.runnable || isAddition(model)) return "";
  return model.parts && !model.parts.lender ? t("models.why.parts", { family: familyName(model.family) }) : t("models.why.notRunnable");
}

/** Why it is as it is: the download's error, or what its last worker left behind. */
function reasonOf(model: ModelOut | null, said: ReturnType<typeof useSaid>): string {
  if (model?.download?.error) return said(model.download.error).text;
  return model ? said({ message: model.state_reason, said: model.state_said }).text : "";
}

const lines = (count: number) => ({ overflow: "hidden", display: "-webkit-box", WebkitLineClamp: count, WebkitBoxOrient: "vertical" }) as const;

function aside({ family, model, offer }: Card, t: ReturnType<typeof useTranslation>["t"]): string {
  const source = model ? t(`models.sources.${model.source}`) : offer?.gated ? t("models.gated") : t("models.sources.hub");
  return [familyName(family), model && isAddition(model) && t(`models.types.${model.type}`), model?.dtype && typeName(model.dtype), (model ?? offer)?.license, source].filter(Boolean).join(" · ");
}

/** On disk, in memory, parameters; and the memory as a part of the largest device. */
function Figures({ card: { model, offer, size }, device }: { card: Card; device: DeviceOut | undefined }) {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const loaded = model?.loaded_bytes || null;
  // Of files that are gone nobody can say what they would take.
  const memory = model && !model.available && !model.download ? 0 : (loaded ?? model?.bytes_needed ?? offer?.bytes_needed ?? 0);
  const cells: [string, string][] = [
    [t("models.disk"), size ? bytes(size, lang) : "–"],
    [loaded === null ? t("models.memory") : t("models.memoryNow"), memory ? gib(memory, lang) : "–"],
    [t("models.parameters"), model?.parameters ? parameters(model.parameters, lang) : "–"],
  ];
  const budget = device?.budget_bytes ?? 0;
  const over = budget > 0 && memory > budget;
  const tone = (model ?? offer)?.helped ? "warning.main" : "error.main";
  const says = budget > 0 && memory > 0 ? t(over ? "models.memoryOver" : "models.memoryOf", { size: gib(memory, lang), budget: gib(budget, lang), device: device?.name ?? "" }) : "";
  return (
    <Box sx={{ mt: 3 }}>
      <Box component="dl" sx={{ m: 0, display: "grid", gridTemplateColumns: "1fr 1fr 1fr", gap: 2 }}>
        {cells.map(([name, value]) => (
          <Box key={name} sx={{ minWidth: 0 }}>
            <Box component="dt" sx={{ fontSize: 12, color: "text.faint", whiteSpace: "nowrap", overflow: "hidden", textOverflow: "ellipsis" }}>{name}</Box>
            <Box component="dd" sx={{ m: 0, fontSize: 14, fontWeight: 550, whiteSpace: "nowrap" }}>{value}</Box>
          </Box>
        ))}
      </Box>
      <Tooltip title={says}>
        <Box role={says ? "img" : undefined} aria-label={says || undefined} sx={{ position: "relative", mt: 2, height: 4, borderRadius: "2px", bgcolor: "background.sunken", overflow: "hidden", boxShadow: (theme) => `inset 0 0 0 1px ${theme.vars.palette.divider}` }}>
          {says && <Box sx={{ position: "absolute", inset: "0 auto 0 0", borderRadius: "2px", bgcolor: over ? tone : loaded === null ? "text.disabled" : "success.main", backgroundImage: over ? "repeating-linear-gradient(135deg, transparent 0 3px, var(--a-palette-background-paper) 3px 5px)" : "none" }} style={{ width: `${Math.max(1.5, Math.min(100, (memory / budget) * 100))}%` }} />}
        </Box>
      </Tooltip>
    </Box>
  );
}

export function CardSkeleton() {
  return <Skeleton variant="rectangular" component="li" height={CARD_HEIGHT} sx={{ borderRadius: "10px" }} />;
}
