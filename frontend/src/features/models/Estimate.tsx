import { Box, Button, Skeleton, Typography } from "@mui/material";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, Clock, LogOut, Moon, Unplug, Wand2 } from "lucide-react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import type { PlanIn, PlanOut, RemedyOut } from "@/api/types";
import { queries } from "@/api/queries";
import { useSaid } from "@/i18n/said";
import { briefly, gib } from "@/lib/numbers";
import { ErrorNote } from "@/ui/ErrorNote";

import { useDebounced } from "./HubSearch";

const LOOKS = { now: [CircleCheck, "success.main"], after: [LogOut, "warning.main"], wait: [Clock, "warning.main"], never: [CircleX, "error.main"] } as const;

type OnRemedy = ((change: RemedyOut["change"]) => void) | undefined;

/** What the planner says while the form is filled in. Asks a little after the last change; keeps the last answer meanwhile. Without `onRemedy` what would help is only told. */
export function Estimate({ question, onRemedy }: { question: PlanIn; onRemedy?: OnRemedy }) {
  const { t } = useTranslation();
  const text = useDebounced(JSON.stringify(question), 250);
  const body = useMemo(() => JSON.parse(text) as PlanIn, [text]);
  const plan = useQuery({ ...queries.plan(body), placeholderData: keepPreviousData });
  const problem = plan.isError ? asProblem(plan.error) : null;
  if (problem?.status === 409 && !onRemedy) return null; // nothing here runs it: whoever looks is told that elsewhere
  return (
    <Box aria-live="polite" aria-busy={plan.isPending} sx={{ bgcolor: "background.sunken", borderRadius: "10px", p: 4, minHeight: onRemedy ? 300 : 180, flex: 1, opacity: plan.isPlaceholderData ? 0.65 : 1, transition: "opacity 120ms ease-out" }}>
      <Typography variant="overline" component="h3" sx={{ color: "text.secondary", m: 0 }}>{t("models.estimate.title")}</Typography>
      {plan.isPending && <Box sx={{ display: "grid", gap: 3, mt: 2 }}><Skeleton variant="rectangular" width={150} height={32} sx={bright} /><Skeleton variant="rectangular" height={14} sx={bright} /><Skeleton variant="rectangular" height={22} width="70%" sx={bright} /></Box>}
      {problem && <Box sx={{ mt: 2 }}><ErrorNote title={t("models.estimate.failed")} error={problem} details={problem.details} onRetry={() => void plan.refetch()} /></Box>}
      {plan.data && !problem && <Answer plan={plan.data} onRemedy={onRemedy} />}
    </Box>
  );
}

const bright = { bgcolor: "background.paper" } as const;

function Answer({ plan, onRemedy }: { plan: PlanOut; onRemedy: OnRemedy }) {
  const { t, i18n } = useTranslation();
  const said = useSaid();
  const lang = i18n.language;
  const [Icon, colour] = LOOKS[plan.fit];
  const place = plan.devices.join(", ");
  const seconds = plan.seconds ?? plan.load_seconds;
  return (
    <Box sx={{ display: "grid", gap: 3, mt: 1 }}>
      <Box sx={{ display: "flex", alignItems: "baseline", gap: 3, flexWrap: "wrap" }}>
        <Typography sx={{ fontSize: 28, fontWeight: 650, letterSpacing: "-0.02em", lineHeight: 1.2 }}>{gib(plan.bytes.expected, lang)}</Typography>
        <Typography variant="body2" sx={{ color: "text.faint" }}>{t("models.estimate.band", { low: gib(plan.bytes.low, lang), high: gib(plan.bytes.high, lang) })}</Typography>
      </Box>
      <Band plan={plan} />
      <Box sx={{ display: "flex", gap: 2, color: colour, fontWeight: 600 }}><Box sx={{ pt: "2px" }}><Icon size={16} aria-hidden /></Box><span>{t(`models.estimate.verdicts.${plan.fit}`, { place })}</span></Box>
      {plan.told_by !== "files" && <Typography variant="body2" sx={{ color: "text.faint" }}>{t(`models.estimate.told.${plan.told_by}`)}</Typography>}
      {seconds && <Typography variant="body2" sx={{ color: "text.secondary", display: "flex", gap: 2, alignItems: "center" }}><Clock size={14} aria-hidden />{t("models.estimate.seconds", { time: briefly(seconds.expected, lang), low: briefly(seconds.low, lang), high: briefly(seconds.high, lang) })}</Typography>}
      {plan.makes_room.length > 0 && (
        <Box>
          <Typography variant="overline" component="h4" sx={{ color: "text.secondary", m: 0 }}>{t(plan.fit === "wait" ? "models.estimate.holds" : "models.estimate.leaves")}</Typography>
          {plan.makes_room.map((each) => (
            <Box key={each.worker_id} sx={{ display: "flex", gap: 2, mt: 1, fontSize: 13 }}>
              <Box sx={{ color: "text.faint", pt: "2px" }}>{each.deed === "park" ? <Moon size={14} aria-hidden /> : each.deed === "wait" ? <Clock size={14} aria-hidden /> : <LogOut size={14} aria-hidden />}</Box>
              <span><b>{each.model}</b> · {t(`models.estimate.how.${each.deed}`, { size: gib(each.frees_bytes, lang) })}{each.reason && <Box component="span" sx={{ color: "text.faint" }}> · {said({ message: each.reason, said: each.said }).text}</Box>}</span>
            </Box>
          ))}
        </Box>
      )}
      {!!plan.left_out?.length && (
        <Box sx={{ display: "flex", gap: 2, color: "text.secondary", fontSize: 13 }}><Box sx={{ color: "text.faint", pt: "2px" }}><Unplug size={14} aria-hidden /></Box><span>{plan.left_out.map((one) => said(one).text).join(" ")}</span></Box>
      )}
      {plan.remedies.length > 0 && (onRemedy || plan.fit !== "now") && (
        <Box>
          <Typography variant="overline" component="h4" sx={{ color: "text.secondary", m: 0, mb: 1 }}>{t(plan.fit === "now" ? "models.estimate.smaller" : "models.estimate.remedies")}</Typography>
          <Box sx={{ display: "grid", gap: 1 }}>
            {plan.remedies.slice(0, 5).map((remedy) => <Remedy key={remedy.id + remedy.message} remedy={remedy} fits={plan.fit === "now"} before={plan.bytes.expected} onTake={onRemedy && (() => onRemedy(remedy.change))} />)}
          </Box>
        </Box>
      )}
    </Box>
  );
}

/** What to change, what it would take then, and whether that is enough. `fits`: it does already. `before`: what it takes without; where that was measured, and the change was not, the change may seem to take more. */
function Remedy({ remedy, fits, before, onTake }: { remedy: RemedyOut; fits: boolean; before: number; onTake: (() => void) | undefined }) {
  const { t, i18n } = useTranslation();
  const said = useSaid();
  const steps = (remedy.steps?.length ? remedy.steps : [remedy]).map((step) => said(step).text.replace(/\.$/, ""));
  const words = (
    <>
      <Box component="span" sx={{ flex: 1, minWidth: 0 }}>
        {steps.map((step, index) => <Box key={step} component="span" sx={{ display: "block" }}>{index > 0 && <Box component="span" sx={{ color: "text.faint" }}>+ </Box>}{step}</Box>)}
        {!fits && <Box component="span" sx={{ display: "flex", alignItems: "center", gap: 1, fontSize: 12, fontWeight: 450, color: remedy.enough ? "success.main" : "text.faint" }}>{remedy.enough && <CircleCheck size={12} aria-hidden />}{t(`models.estimate.then.${remedy.enough ? remedy.fit : "never"}`)}</Box>}
      </Box>
      {remedy.bytes.expected < before && <Typography variant="mono" sx={{ color: "text.secondary", ml: 3, whiteSpace: "nowrap" }}>→ {gib(remedy.bytes.expected, i18n.language)}</Typography>}
    </>
  );
  if (!onTake) return <Box sx={{ display: "flex", alignItems: "center", fontSize: 13, lineHeight: 1.35, py: 1 }}>{words}</Box>;
  return <Button size="small" variant="outlined" color="inherit" startIcon={<Wand2 size={14} />} onClick={onTake} sx={{ justifyContent: "flex-start", whiteSpace: "normal", textAlign: "left", py: "6px", lineHeight: 1.35 }}>{words}</Button>;
}

/** The band of the estimate as a bar: sure up to its lower end, likely up to the expected, possible up to the upper. */
function Band({ plan: { bytes: { low, expected, high } } }: { plan: PlanOut }) {
  const share = (value: number) => `${(value / Math.max(1, high)) * 100}%`;
  const tone = "var(--a-palette-primary-main)";
  return (
    <Box aria-hidden sx={{ position: "relative", height: 8, borderRadius: "4px", overflow: "hidden", bgcolor: "background.paper" }}>
      <Box sx={{ position: "absolute", inset: 0, bgcolor: `color-mix(in srgb, ${tone} 26%, transparent)` }} />
      <Box sx={{ position: "absolute", inset: "0 auto 0 0", bgcolor: `color-mix(in srgb, ${tone} 52%, transparent)` }} style={{ width: share(expected) }} />
      <Box sx={{ position: "absolute", inset: "0 auto 0 0", bgcolor: tone }} style={{ width: share(low) }} />
    </Box>
  );
}
