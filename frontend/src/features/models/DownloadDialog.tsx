import { Alert, Box, Button, Link, Skeleton, Typography } from "@mui/material";
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { ArrowDownToLine, CircleAlert, ExternalLink, Lock, TriangleAlert, type LucideIcon } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { jobChanged } from "@/api/cache";
import { asProblem } from "@/api/errors";
import type { HubPlanOut } from "@/api/types";
import { keys } from "@/api/keys";
import * as api from "@/api/generated/sdk.gen";
import { queries } from "@/api/queries";
import { useSaid } from "@/i18n/said";
import { familyName, parameters } from "@/lib/models";
import { bytes, gib } from "@/lib/numbers";
import { ErrorNote } from "@/ui/ErrorNote";
import { Facts } from "@/ui/Section";
import { TextLink } from "@/ui/links";

import { Field } from "@/ui/Field";
import { Frame } from "@/ui/Frame";
import { useHubPage } from "./actions";
import { FileChoice } from "./FileChoice";
import { TooLarge } from "./ModelCard";
import { PlanFiles, Room } from "./PlanFiles";
import { TokenForm } from "./TokenDialog";

const route = getRouteApi("/models");
const NEEDS_TOKEN = new Set(["gated_repository", "token_needed", "wrong_token"]);

/** Everything about a download before its first byte. */
export function DownloadDialog({ repo, wanted }: { repo: string; wanted: string | undefined }) {
  const { t, i18n } = useTranslation();
  const page = useHubPage();
  const go = route.useNavigate();
  const open = useNavigate();
  const client = useQueryClient();
  const [file, setFile] = useState("");
  // While another file is being planned, the last plan stays, so that the choice does not jump away.
  const plan = useQuery({ ...queries.hubPlan(repo, file), placeholderData: keepPreviousData });
  const close = () => void go({ search: (old) => ({ ...old, get: undefined, as: undefined }), resetScroll: false });
  const [name, setName] = useState("");
  const start = useMutation({
    mutationFn: () => api.downloadModel({ body: { repo, file, revision: plan.data?.commit, key: wanted, name: name.trim() || undefined } }),
    onSuccess: ({ job, key }) => {
      jobChanged(client, job);
      void client.invalidateQueries({ queryKey: keys.allModels });
      void open({ to: "/models/$key", params: { key } });
    },
  });
  const problem = plan.isError ? asProblem(plan.error) : null;
  const failed = start.isError ? asProblem(start.error) : null;
  const why = plan.data ? hindrance(plan.data, t) : null;
  const isStale = plan.isPlaceholderData;
  return (
    <Frame
      title={t("models.plan.title", { name: repo.slice(repo.indexOf("/") + 1) })} width="md" onClose={close}
      note={<Link href={page(repo)} target="_blank" rel="noopener" color="inherit" sx={{ display: "inline-flex", alignItems: "center", gap: 1 }}>{repo} <ExternalLink size={12} aria-hidden /></Link>}
      actions={
        <>
          {why && <Typography variant="body2" role="status" sx={{ mr: "auto", color: "text.secondary", flex: { xs: "1 1 100%", sm: "1 1 200px" } }}>{why}</Typography>}
          <Button color="inherit" onClick={close}>{t("common.cancel")}</Button>
          <Button variant="contained" startIcon={<ArrowDownToLine size={16} />} disabled={!plan.data || isStale || !!why || start.isPending} onClick={() => start.mutate()}>{plan.data && !why ? t("models.plan.start", { size: bytes(plan.data.fetch_bytes, i18n.language) }) : t("models.steps.download")}</Button>
        </>
      }
    >
      <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)", minHeight: { sm: 360 }, alignContent: "start" }}>
        {plan.isPending && <Box aria-busy sx={{ display: "grid", gap: 4 }}><Typography variant="body2" sx={{ color: "text.secondary" }}>{t("models.plan.asking")}</Typography><Skeleton variant="rectangular" height={72} /><Skeleton variant="rectangular" height={120} /><Skeleton variant="rectangular" height={120} /></Box>}
        {problem && <ErrorNote title={t("models.plan.failed")} error={problem} details={problem.details} onRetry={() => void plan.refetch()} retrying={plan.isFetching} />}
        {problem && NEEDS_TOKEN.has(problem.code) && <Note Icon={Lock} title={t("models.plan.tokenTitle")}><Terms repo={repo} url={null} /><TokenForm /></Note>}
        {failed && <ErrorNote title={t("models.plan.notStarted")} error={failed} details={failed.details} />}
        {plan.data && plan.data.choices.length > 0 && <FileChoice choices={plan.data.choices} file={file} onPick={setFile} />}
        {plan.data && (file || plan.data.choices.length === 0) && <Plan plan={plan.data} name={name} onName={setName} />}
      </Box>
    </Frame>
  );
}

/** Why it cannot start, in words for beside the button. */
function hindrance(plan: HubPlanOut, t: ReturnType<typeof useTranslation>["t"]): string | null {
  if (plan.key) return t("models.plan.haveAlready");
  if (!plan.can_access) return t("models.plan.noAccess");
  if (!plan.fits) return t("models.plan.noRoom");
  if (plan.files.length === 0 && plan.choices.length > 0) return t("models.plan.chooseFile");
  if (plan.files.length === 0) return t("models.plan.noFiles");
  return null;
}

function Plan({ plan, name, onName }: { plan: HubPlanOut; name: string; onName: (name: string) => void }) {
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const said = useSaid();
  const system = useQuery(queries.system());
  const memory = plan.bytes_needed;
  const largest = Math.max(0, ...(system.data?.devices ?? []).map((device) => device.budget_bytes));
  const tooLarge = !!memory && largest > 0 && memory > largest;
  const facts: [string, ReactNode][] = [
    [t("models.facts.task"), plan.task ? t(`models.tasks.${plan.task}`) : t("models.hub.unknownTask")],
    ...(plan.family ? [[t("models.facts.family"), familyName(plan.family)] as [string, ReactNode]] : []),
    [t("models.facts.license"), plan.license || t("models.plan.noLicense")],
    ...(memory ? [[t("models.memory"), <>{gib(memory, lang)}{tooLarge && <TooLarge helped={plan.helped} before=" · " />}</>] as [string, ReactNode]] : []),
    ...(plan.parameters ? [[t("models.parameters"), parameters(plan.parameters, lang)] as [string, ReactNode]] : []),
    [t("models.facts.commit"), <Typography key="c" variant="mono">{plan.commit.slice(0, 12)}</Typography>],
  ];
  return (
    <>
      {plan.key && <Alert severity="info" variant="outlined">{t("models.plan.haveAlready")} <TextLink to="/models/$key" params={{ key: plan.key }}>{plan.key}</TextLink></Alert>}
      {plan.gated && !plan.can_access && <Note Icon={Lock} title={t("models.plan.gatedTitle")}><Terms repo={plan.repo} url={plan.page_url} /><TokenForm /></Note>}
      {plan.warnings.filter(({ said: about }) => about?.code !== "hub.accept_terms").map((warning) => <Note key={warning.message} Icon={TriangleAlert}>{said(warning).text}</Note>)}
      <Room plan={plan} />
      <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: { xs: "minmax(0,1fr)", sm: "minmax(0, 1fr) minmax(0, 1fr)" }, alignItems: "start" }}>
        <Facts facts={facts} />
        <Field label={t("models.plan.name")} value={name} onChange={onName} placeholder={plan.name} hint={t("models.plan.nameHint")} />
      </Box>
      <PlanFiles plan={plan} />
    </>
  );
}

function Terms({ repo, url }: { repo: string; url: string | null }) {
  const { t } = useTranslation();
  const page = useHubPage();
  return (
    <Box component="ol" sx={{ m: 0, mb: 4, pl: 5, display: "grid", gap: 1, fontSize: 13, color: "text.secondary" }}>
      <li><Link href={url ?? page(repo)} target="_blank" rel="noopener">{t("models.plan.accept")}</Link></li>
      <li>{t("models.plan.thenToken")}</li>
    </Box>
  );
}

/** A remark before the start: a sign, what it is about, what to do. */
export function Note({ Icon = CircleAlert, title, children }: { Icon?: LucideIcon; title?: string; children: ReactNode }) {
  return (
    <Box sx={{ display: "flex", gap: 3, p: 4, borderRadius: "10px", border: 1, borderColor: "color-mix(in srgb, var(--a-palette-warning-main) 34%, transparent)", bgcolor: "color-mix(in srgb, var(--a-palette-warning-main) 5%, var(--a-palette-background-paper))", fontSize: 13 }}>
      <Box sx={{ color: "warning.main", pt: "1px" }}><Icon size={17} aria-hidden /></Box>
      <Box sx={{ flex: 1, minWidth: 0 }}>{title && <Typography variant="h4" component="p" sx={{ mb: 2 }}>{title}</Typography>}{children}</Box>
    </Box>
  );
}
