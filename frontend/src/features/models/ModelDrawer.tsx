import { Box, Button, Divider, Drawer, IconButton, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { SlidersHorizontal, X } from "lucide-react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import { aboutModel, aboutOffer } from "@/i18n/said";
import { canDo, isAddition, nextStep, nextStepOfOffer } from "@/lib/models";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { InLine } from "@/ui/InLine";
import { ModelState } from "@/ui/ModelState";

import { useModelActions, useWho } from "./actions";
import { cardsOf, type Card } from "./cards";
import { Depends, DownloadPart, ModelFacts, RecipePart, WhyError, WorkerLog } from "./DrawerParts";
import { ask } from "./dialogs";
import { Estimate } from "./Estimate";
import { whyNot } from "./ModelCard";
import { ModelMenu } from "./ModelMenu";
import { Next } from "./Next";

const route = getRouteApi("/models/$key");

/** Everything about one model, at an address of its own. */
export function ModelDrawer() {
  const { t } = useTranslation();
  const { key } = route.useParams();
  const go = route.useNavigate();
  const models = useQuery(queries.models());
  const offers = useQuery(queries.catalogue());
  const close = () => void go({ to: "/models", search: (old) => old, resetScroll: false });
  const card = cardsOf(models.data ?? [], offers.data ?? []).find((each) => each.key === key);
  const problem = models.isError ? asProblem(models.error) : null;
  const pending = models.isPending || (!card && offers.isPending);
  return (
    <Drawer anchor="right" open onClose={close} slotProps={{ paper: { "aria-label": t("models.drawer"), role: "dialog", sx: { width: { xs: 1, sm: 520 }, maxWidth: 1, borderLeft: { sm: 1 }, borderColor: { sm: "divider" } } } }}>
      <Box sx={{ display: "flex", alignItems: "center", px: 6, height: 56, borderBottom: 1, borderColor: "divider", flexShrink: 0 }}>
        <Typography variant="h3" component="h2" sx={{ flex: 1 }}>{t("models.drawer")}</Typography>
        <IconButton aria-label={t("common.close")} onClick={close} edge="end"><X size={19} /></IconButton>
      </Box>
      <Box sx={{ overflow: "auto", p: 6 }}>
        {card && <Details card={card} />}
        {pending && !problem && <Skeleton variant="rectangular" height={320} aria-busy />}
        {!card && !pending && !problem && <EmptyState title={t("models.missingTitle")} text={t("models.missingText")} />}
        {!card && problem && <ErrorNote title={t("models.failed")} error={problem} details={problem.details} onRetry={() => void models.refetch()} />}
      </Box>
    </Drawer>
  );
}

function Details({ card }: { card: Card }) {
  const { t } = useTranslation();
  const who = useWho();
  const acts = useModelActions();
  const { model, offer, look } = card;
  const text = model ? aboutModel(model, offer) : offer && aboutOffer(offer);
  const step = model ? nextStep(model, who) : offer ? nextStepOfOffer(offer, who) : "open";
  return (
    <Box sx={{ display: "grid", gap: 6, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Box>
        <Typography variant="h2" component="p">{card.name}</Typography>
        <Box sx={{ mt: 2, display: "flex", gap: 3, alignItems: "center", flexWrap: "wrap" }}><ModelState look={look} /><Typography variant="mono" sx={{ color: "text.faint" }}>{card.key}</Typography></Box>
        {text && <Typography sx={{ mt: 3, color: "text.secondary" }}>{text}</Typography>}
        {!who.admin && <Typography variant="body2" sx={{ mt: 3, color: "text.faint" }}>{t("models.adminOnly")}</Typography>}
      </Box>
      {model?.parts && !model.parts.lender && look === "idle" && <Typography variant="body2" role="status">{whyNot(model, t)}</Typography>}
      {model?.download && (look === "downloading" || look === "paused") && <DownloadPart download={model.download} name={card.name} />}
      {look === "waiting" && model?.waiting && <InLine wait={model.waiting} />}
      {model && (look === "error" || look === "missing") && <WhyError model={model} onAgain={who.admin && step !== "open" ? () => acts.take(step, model) : undefined} />}
      <Box sx={{ display: "flex", gap: 2, flexWrap: "wrap", alignItems: "center", "&:empty": { display: "none" } }}>
        {model && step !== "open" && look !== "error" && <Next step={step} name={card.name} busy={acts.busy} onTake={(chosen) => acts.take(chosen, model)} />}
        {offer && step !== "open" && <Next step={step} name={card.name} busy={acts.busy} onTake={(chosen) => acts.takeOffer(chosen, offer)} />}
        {model && canDo(model, who).options && <Button size="small" variant="outlined" color="inherit" startIcon={<SlidersHorizontal size={15} />} onClick={() => ask("load", card.key)}>{t("models.menu.loadWith")}</Button>}
        <Box sx={{ ml: "auto" }}><ModelMenu card={card} who={who} inDrawer /></Box>
      </Box>
      {(offer?.engine || offer?.task === "chat" || model?.download || model?.state_said?.code === "memory.never_fits") && !(model && isAddition(model)) && <Estimate question={{ model: card.key }} />}
      <Divider />
      <ModelFacts card={card} />
      {model && <RecipePart model={model} />}
      {model && (model.worker_id || model.log_tail.length > 0) && <WorkerLog model={model} />}
      {model?.removable && <Depends modelKey={model.key} />}
    </Box>
  );
}
