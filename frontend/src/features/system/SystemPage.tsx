import { Box, Link as MuiLink, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { ArrowUpRight } from "lucide-react";
import { useTranslation } from "react-i18next";

import { samples } from "@/api/cache";
import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { SystemOut } from "@/api/types";
import { gib, percent } from "@/lib/numbers";
import { useSignal } from "@/lib/signal";
import { Ago } from "@/ui/Ago";
import { CopyButton } from "@/ui/CopyButton";
import { ErrorNote } from "@/ui/ErrorNote";
import { card, Facts, PageHead, Section } from "@/ui/Section";
import { Sparkline } from "@/ui/Sparkline";

import { DeviceShelf } from "./DeviceShelf";
import { EnvironmentCard } from "./EnvironmentCard";
import { WorkerRow } from "./WorkerRow";

export function SystemPage() {
  const { t } = useTranslation();
  const system = useQuery(queries.system());
  const problem = system.isError ? asProblem(system.error) : null;
  const data = system.data;
  return (
    <Box sx={{ maxWidth: 1280 }}>
      <PageHead title={t("system.title")} note={data && `Atelier ${data.version}`}>
        <MuiLink href="/docs" target="_blank" rel="noopener" sx={{ display: "inline-flex", gap: 1, alignItems: "center", fontSize: 13, color: "text.secondary" }}>{t("system.docs")} <ArrowUpRight size={14} aria-hidden /></MuiLink>
      </PageHead>
      {problem && !data && <Box sx={{ mt: 4 }}><ErrorNote title={t("system.failed")} error={problem} details={problem.details} onRetry={() => void system.refetch()} /></Box>}
      {system.isPending && <Box aria-busy sx={{ display: "grid", gap: 4, mt: 6 }}><Skeleton variant="rectangular" height={132} /><Skeleton variant="rectangular" height={110} /><Skeleton variant="rectangular" height={110} /></Box>}
      {data && <Parts data={data} />}
    </Box>
  );
}

function Parts({ data }: { data: SystemOut }) {
  const { t } = useTranslation();
  return (
    <>
      <Section title={t("system.devices")}>
        <Box sx={{ display: "grid", gap: 3 }}>
          {data.devices.map((device) => <DeviceShelf key={`${device.kind}${device.index}`} device={device} workers={data.workers} />)}
        </Box>
      </Section>
      <Section title={t("system.host")}>
        <Host data={data} />
      </Section>
      <Section title={t("system.workers")}>
        <Box sx={{ ...card, overflow: "hidden" }}>
          {data.workers.length === 0 && <Typography variant="body2" sx={{ p: 4, color: "text.secondary" }}>{t("system.noWorkers")}</Typography>}
          {data.workers.map((worker) => <WorkerRow key={worker.id} worker={worker} />)}
        </Box>
      </Section>
      <Section title={t("system.environments")} text={t("system.environmentsText")}>
        <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "minmax(0, 1fr)", md: "repeat(auto-fill, minmax(420px, 1fr))" } }}>
          {data.environments.map((environment) => <EnvironmentCard key={environment.name} environment={environment} />)}
        </Box>
      </Section>
      <Section title={t("system.endpoints")} text={t("system.endpointsText")}>
        <Endpoints />
      </Section>
      <Section title={t("system.server")}>
        <Box sx={{ ...card, p: 4 }}>
          <Facts facts={[[t("system.version"), data.version], [t("system.since"), <Ago key="since" time={data.started_at} />]]} />
        </Box>
      </Section>
    </>
  );
}

function Host({ data }: { data: SystemOut }) {
  const { t, i18n } = useTranslation();
  const history = useSignal(samples);
  const { host } = data;
  const memory = host.memory_total_bytes ? host.memory_used_bytes / host.memory_total_bytes : 0;
  const cells = [
    { name: t("system.processor"), value: percent(host.cpu_percent / 100, i18n.language), note: "", values: history.map((sample) => sample.cpu), colour: "var(--a-palette-primary-main)" },
    { name: t("system.memory"), value: gib(host.memory_used_bytes, i18n.language), note: t("system.used", { used: percent(memory, i18n.language), total: gib(host.memory_total_bytes, i18n.language) }), values: history.map((sample) => sample.memory), colour: "var(--a-palette-info-main)" },
    { name: t("system.disk"), value: gib(data.data_dir_free_bytes, i18n.language), note: "", values: null, colour: "" },
  ];
  return (
    <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "minmax(0, 1fr) minmax(0, 1fr)", md: "1fr 1fr 0.7fr" }, "& > :last-child": { gridColumn: { xs: "1 / -1", md: "auto" } } }}>
      {cells.map((cell) => (
        <Box key={cell.name} sx={{ ...card, p: { xs: 3, sm: 4 }, display: "flex", flexDirection: "column", gap: 1, minWidth: 0 }}>
          <Box sx={{ display: "flex", justifyContent: "space-between", gap: 2, fontSize: 13, color: "text.secondary" }}><span>{cell.name}</span></Box>
          <Typography sx={{ fontSize: 20, fontWeight: 620, letterSpacing: "-0.01em" }}>{cell.value}</Typography>
          <Typography variant="caption" noWrap sx={{ color: "text.faint" }}>{cell.note || "\u00a0"}</Typography>
          {cell.values && <Box sx={{ mt: "auto", pt: 1 }}><Sparkline slots={60} values={cell.values.slice(-60)} label={t("system.sparkline", { name: cell.name, value: cell.value })} colour={cell.colour} /></Box>}
        </Box>
      ))}
    </Box>
  );
}

function Endpoints() {
  const { t } = useTranslation();
  const http = location.origin;
  const rows: [string, string, string][] = [
    [t("system.endpointNames.textToImage"), "POST", `${http}/api/generate/text-to-image`],
    [t("system.endpointNames.gallery"), "GET", `${http}/api/gallery`],
    [t("system.endpointNames.jobs"), "GET", `${http}/api/jobs`],
    [t("system.endpointNames.live"), "WS", `${http.replace(/^http/, "ws")}/api/live`],
    [t("system.endpointNames.health"), "GET", `${http}/health`],
    [t("system.endpointNames.openapi"), "GET", `${http}/openapi.json`],
  ];
  return (
    <Box sx={{ ...card, overflow: "hidden" }}>
      {rows.map(([name, method, url]) => (
        <Box key={url} sx={{ display: "flex", alignItems: "center", gap: 4, px: 4, minHeight: 44, borderTop: 1, borderColor: "divider", "&:first-of-type": { borderTop: 0 } }}>
          <Box sx={{ width: { xs: 104, sm: 160 }, flexShrink: 0, fontSize: 13 }}>{name}</Box>
          <Typography variant="mono" sx={{ color: "text.faint", width: 36, display: { xs: "none", sm: "block" } }}>{method}</Typography>
          <Typography variant="mono" sx={{ flex: 1, minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", color: "text.secondary" }}><Box component="span" sx={{ display: { xs: "none", sm: "inline" } }}>{url.slice(0, url.indexOf("/", 8))}</Box>{url.slice(url.indexOf("/", 8))}</Typography>
          <CopyButton text={url} name={`${t("common.copy")}: ${name}`} />
        </Box>
      ))}
    </Box>
  );
}
