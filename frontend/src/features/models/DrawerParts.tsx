import { Box, Link, Skeleton, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleDashed, LoaderCircle, ScanSearch } from "lucide-react";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { DownloadOut, ModelOut } from "@/api/types";
import { said } from "@/i18n/said";
import { queries } from "@/api/queries";
import { familyName, isAddition, parameters, typeName } from "@/lib/models";
import { bytes, duration, gib } from "@/lib/numbers";
import { Bar } from "@/ui/Bar";
import { useSaid } from "@/i18n/said";
import { CopyButton } from "@/ui/CopyButton";
import { ErrorNote, LogBlock } from "@/ui/ErrorNote";
import { TextLink } from "@/ui/links";
import { Facts } from "@/ui/Section";
import { Segmented } from "@/ui/Segmented";

import { useHubPage } from "./actions";
import type { Card } from "./cards";
import { DownloadLine } from "./DownloadLine";
import { callOf, loadCallOf, recipe, type Language } from "./recipes";

function Part({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <Box component="section" sx={{ minWidth: 0 }}>
      <Box sx={{ display: "flex", alignItems: "center", justifyContent: "space-between", gap: 3, mb: 2, minHeight: 32 }}><Typography variant="h4" component="h3">{title}</Typography>{aside}</Box>
      {children}
    </Box>
  );
}

const FILE_LOOKS = { waiting: [CircleDashed, "text.faint"], fetching: [LoaderCircle, "primary.main"], checking: [ScanSearch, "info.main"], done: [CircleCheck, "success.main"] } as const;

/** A download as a whole and file by file. */
export function DownloadPart({ download, name }: { download: DownloadOut; name: string }) {
  const { t, i18n } = useTranslation();
  return (
    <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <DownloadLine download={download} name={name} />
      <Box component="ul" sx={{ m: 0, p: 0, listStyle: "none", maxHeight: 260, overflow: "auto" }}>
        {download.files.map((file) => {
          const [Icon, colour] = FILE_LOOKS[file.state];
          return (
            <Box component="li" key={file.path} sx={{ py: "6px", borderTop: 1, borderColor: "divider", fontSize: 12 }}>
              <Box sx={{ display: "flex", gap: 2, alignItems: "center" }}>
                <Box component="span" role="img" aria-label={t(`models.download.files.${file.state}`)} sx={{ color: colour, display: "inline-flex" }}><Icon size={14} aria-hidden /></Box>
                <Typography variant="mono" noWrap sx={{ flex: 1, minWidth: 0 }}>{file.path}</Typography>
                <Typography variant="mono" sx={{ color: "text.faint", whiteSpace: "nowrap" }}>{file.state === "fetching" && `${bytes(file.done_bytes, i18n.language)} / `}{bytes(file.bytes, i18n.language)}</Typography>
              </Box>
              {file.state === "fetching" && <Box sx={{ mt: 1, pl: "22px" }}><Bar value={file.bytes ? file.done_bytes / file.bytes : null} label={file.path} /></Box>}
            </Box>
          );
        })}
      </Box>
    </Box>
  );
}

export function WhyError({ model, onAgain }: { model: ModelOut; onAgain?: () => void }) {
  const { t } = useTranslation();
  const error = model.download?.error ?? (model.state_reason ? { message: model.state_reason, said: model.state_said } : { message: t("models.why.missing") });
  const title = model.download ? "models.why.notDownloaded" : model.available ? "models.why.notLoaded" : "models.looks.missing";
  return <ErrorNote title={t(title)} error={error} details={(model.download?.error?.log_tail ?? model.log_tail.join("\n")) || null} onRetry={onAgain} />;
}

export function ModelFacts({ card: { model, offer, task, family, size } }: { card: Card }) {
  const say = useSaid();
  const page = useHubPage();
  const { t, i18n } = useTranslation();
  const lang = i18n.language;
  const repo = model?.repo ?? offer?.repo;
  const needed = model && (isAddition(model) || !(model.available || model.download)) ? 0 : (model?.bytes_needed ?? offer?.bytes_needed);
  const { dtype, ttl_seconds: ttl, gpu_device_ids: devices } = model?.load_options ?? {};
  const facts: [string, ReactNode][] = [
    [t("models.facts.task"), t(`models.tasks.${task}`)],
    ...(model && model.type !== "base_model" ? [[t("models.facts.type"), t(`models.types.${model.type}`)] as [string, ReactNode]] : []),
    ...(family ? [[t("models.facts.family"), familyName(family)] as [string, ReactNode]] : []),
    ...(model?.base ? [[t("models.facts.base"), model.base] as [string, ReactNode]] : []),
    ...(model?.parts?.lender ? [[t("models.facts.parts"), <TextLink key="p" to="/models/$key" params={{ key: model.parts.lender }}>{model.parts.lender}</TextLink>] as [string, ReactNode]] : []),
    ...(model?.parameters ? [[t("models.parameters"), parameters(model.parameters, lang)] as [string, ReactNode]] : []),
    ...(model?.dtype ? [[t("models.facts.dtype"), typeName(model.dtype)] as [string, ReactNode]] : []),
    ...(model?.chat ? [[t("models.load.engine"), said({ message: model.chat.engine_reason, said: model.chat.engine_said }).text] as [string, ReactNode], [t("models.load.context"), t("models.load.tokens", { count: model.chat.context })] as [string, ReactNode]] : []),
    ...(size ? [[t("models.disk"), bytes(size, lang)] as [string, ReactNode]] : []),
    ...(needed ? [[t("models.memory"), gib(needed, lang)] as [string, ReactNode]] : []),
    ...(model?.loaded_bytes ? [[t("models.memoryNow"), [gib(model.loaded_bytes, lang), model.device].filter(Boolean).join(" · ")] as [string, ReactNode]] : []),
    ...(dtype || (ttl ?? null) !== null || devices ? [[t("models.facts.loading"), [dtype, ttl === undefined || ttl === null ? "" : !ttl ? t("models.load.ttlNever") : t("models.load.ttlAfter", { time: duration(ttl) }), devices?.map((index) => `GPU ${index}`).join(", ")].filter(Boolean).join(" · ")] as [string, ReactNode]] : []),
    ...(model?.left_out?.length ? [[t("models.facts.leftOut"), model.left_out.map((one) => say(one).text).join(" ")] as [string, ReactNode]] : []),
    [t("models.facts.license"), (model ?? offer)?.license || t("models.plan.noLicense")],
    ...(model ? [[t("models.facts.source"), t(`models.sources.${model.source}`)] as [string, ReactNode]] : []),
    ...(repo ? [[t("models.facts.repo"), <Link key="r" href={page(repo)} target="_blank" rel="noopener">{repo}</Link>] as [string, ReactNode]] : []),
    ...(model?.commit ? [[t("models.facts.commit"), <Box key="c" sx={{ display: "flex", alignItems: "center", my: "-5px" }}><Typography variant="mono" noWrap>{model.commit.slice(0, 12)}</Typography><CopyButton text={model.commit} /></Box>] as [string, ReactNode]] : []),
    ...(model?.tags.length ? [[t("models.edit.tags"), model.tags.join(", ")] as [string, ReactNode]] : []),
  ];
  return <Facts facts={facts} />;
}

const LANGUAGES: Language[] = ["curl", "python", "javascript"];

/** How to use it from a program. */
export function RecipePart({ model }: { model: ModelOut }) {
  const { t } = useTranslation();
  const [language, setLanguage] = useState<Language>("curl");
  const call = model.runnable || isAddition(model) ? callOf(model) : null;
  if (!call && (!model.runnable || isAddition(model))) return null;
  const text = recipe(language, location.origin, call ?? loadCallOf(model.key));
  const names = { curl: t("generate.copyCurl"), python: t("generate.copyPython"), javascript: t("generate.copyJavascript") };
  return (
    <Part title={t("models.recipe")} aside={<CopyButton text={text} label={t("common.copy")} />}>
      <Segmented<Language> label={t("models.recipe")} value={language} options={LANGUAGES.map((value) => ({ value, label: names[value] }))} onChange={setLanguage} />
      <LogBlock text={text} />
    </Part>
  );
}

/** What the worker prints, as it prints it; the end stays in view unless somebody scrolled up. */
export function WorkerLog({ model }: { model: ModelOut }) {
  const { t } = useTranslation();
  const live = useQuery({ ...queries.workerLog(model.worker_id ?? ""), enabled: !!model.worker_id });
  const lines = live.data?.lines ?? model.log_tail;
  const text = lines.join("\n");
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const pre = box.current?.querySelector("pre");
    if (pre && pre.scrollHeight - pre.scrollTop - pre.clientHeight < 80) pre.scrollTop = pre.scrollHeight;
  }, [text]);
  return (
    <Part title={t(model.worker_id ? "models.log" : "models.logLast")} aside={text ? <CopyButton text={text} /> : undefined}>
      <Box ref={box} sx={{ "& pre": { mt: 0 } }}><LogBlock text={text || t("system.noLog")} /></Box>
    </Part>
  );
}

/** What would go with the model, or stop working. */
export function Depends({ modelKey }: { modelKey: string }) {
  const { t } = useTranslation();
  const what = useQuery(queries.consequences(modelKey));
  if (what.isError) return null;
  const empty = what.data && what.data.loras.length === 0 && what.data.jobs.length === 0;
  return (
    <Part title={t("models.depends")}>
      {what.isPending && <Skeleton variant="rectangular" height={20} />}
      {empty && <Typography variant="body2" sx={{ color: "text.secondary" }}>{t("models.dependsNothing")}</Typography>}
      {what.data && !empty && (
        <Box component="ul" sx={{ m: 0, pl: 4, fontSize: 13, display: "grid", gap: 1 }}>
          {what.data.loras.map((key) => <li key={key}><TextLink to="/models/$key" params={{ key }}>{key}</TextLink></li>)}
          {what.data.jobs.map((each) => <li key={each.id}><TextLink to="/jobs/$id" params={{ id: each.id }}>{each.title}</TextLink></li>)}
        </Box>
      )}
    </Part>
  );
}
