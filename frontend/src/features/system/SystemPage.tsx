import { Box, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { SystemOut } from "@/api/types";
import { lookOf } from "@/lib/models";
import { gib } from "@/lib/numbers";
import { Ago } from "@/ui/Ago";
import { ErrorNote } from "@/ui/ErrorNote";
import { InLine } from "@/ui/InLine";
import { TextLink } from "@/ui/links";
import { ModelState } from "@/ui/ModelState";
import { card, Facts, PageHead, Section } from "@/ui/Section";

import { Charts } from "./Charts";
import { ChatUsage } from "./ChatUsage";
import { Dependencies } from "./Dependencies";
import { DeviceShelf } from "./DeviceShelf";
import { Endpoints } from "./Endpoints";
import { EnvironmentCard } from "./EnvironmentCard";
import { WorkerRow } from "./WorkerRow";

export function SystemPage() {
  const { t } = useTranslation();
  const system = useQuery(queries.system());
  const problem = system.isError ? asProblem(system.error) : null;
  const data = system.data;
  return (
    <Box sx={{ maxWidth: 1280 }}>
      <PageHead title={t("system.title")} note={data && `Atelier ${data.version}`} />
      {problem && !data && <Box sx={{ mt: 4 }}><ErrorNote title={t("system.failed")} error={problem} details={problem.details} onRetry={() => void system.refetch()} /></Box>}
      {system.isPending && <Box aria-busy sx={{ display: "grid", gap: 4, mt: 6 }}><Skeleton variant="rectangular" height={156} /><Skeleton variant="rectangular" height={216} /><Skeleton variant="rectangular" height={110} /></Box>}
      {data && <Parts data={data} />}
    </Box>
  );
}

/** Loads that wait in line: for how long, and for whose memory. */
function WaitingLoads() {
  const models = useQuery(queries.models());
  const waiting = (models.data ?? []).filter((model) => lookOf(model) === "waiting");
  waiting.sort((a, b) => (a.waiting?.position ?? 0) - (b.waiting?.position ?? 0));
  return waiting.map((model) => (
    <Box key={model.key} data-waits={model.key} sx={{ px: 4, py: 3, borderTop: 1, borderColor: "divider", display: "grid", gap: 2 }}>
      <Box sx={{ display: "flex", gap: 3, alignItems: "center", flexWrap: "wrap" }}><TextLink to="/models/$key" params={{ key: model.key }}>{model.key}</TextLink><ModelState look="waiting" /></Box>
      {model.waiting && <InLine wait={model.waiting} />}
    </Box>
  ));
}

function Parts({ data }: { data: SystemOut }) {
  const { t, i18n } = useTranslation();
  return (
    <>
      <Section title={t("system.devices")}>
        <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: "minmax(0, 1fr)" }}>
          {data.devices.map((device) => <DeviceShelf key={`${device.kind}${device.index}`} device={device} workers={data.workers} numbered={data.devices.filter((one) => one.kind === "cuda").length > 1} />)}
        </Box>
      </Section>
      <Charts system={data} />
      <Section title={t("system.workers")}>
        <Box sx={{ ...card, overflow: "hidden" }}>
          {data.workers.length === 0 && <Typography variant="body2" sx={{ p: 4, color: "text.secondary" }}>{t("system.noWorkers")}</Typography>}
          {data.workers.map((worker) => <WorkerRow key={worker.id} worker={worker} />)}
          <WaitingLoads />
        </Box>
      </Section>
      <ChatUsage />
      <Section title={t("system.environments")} text={t("system.environmentsText")}>
        <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "repeat(auto-fill, minmax(420px, 1fr))" } }}>
          {data.environments.map((environment) => <EnvironmentCard key={environment.name} environment={environment} />)}
        </Box>
      </Section>
      <Dependencies />
      <Endpoints />
      <Section title={t("system.server")}>
        <Box sx={{ ...card, p: 4 }}>
          <Facts facts={[[t("system.version"), data.version], [t("system.since"), <Ago key="since" time={data.started_at} />], [t("system.disk"), gib(data.data_dir_free_bytes, i18n.language)]]} />
        </Box>
      </Section>
    </>
  );
}
