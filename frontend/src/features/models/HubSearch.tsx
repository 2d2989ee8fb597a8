import { Box, Button, InputAdornment, MenuItem, OutlinedInput, Select, Skeleton, Tooltip, Typography } from "@mui/material";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ArrowDownToLine, Check, Heart, Lock, Search } from "lucide-react";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import type { HubModelOut } from "@/api/types";
import { queries } from "@/api/queries";
import { compact, familyName, repoOf, TASKS, type Task } from "@/lib/models";
import { ErrorNote } from "@/ui/ErrorNote";
import { ButtonLink } from "@/ui/links";

import { useModelActions } from "./actions";
import { TASK_ICONS } from "./ModelCard";
import { TokenFold } from "./TokenFold";

const ROW = 64;

/** Looks while one types; a pasted address leads straight to its plan. */
export function HubSearch() {
  const { t } = useTranslation();
  const acts = useModelActions();
  const [words, setWords] = useState("");
  const [task, setTask] = useState<Task | "">("");
  const asked = useDebounced(words.trim(), 300);
  const found = useQuery({ ...queries.hubSearch(asked, task || null), placeholderData: keepPreviousData });
  const list = useRef<HTMLUListElement>(null);
  const repo = repoOf(words);
  const problem = found.isError ? asProblem(found.error) : null;
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...(list.current?.querySelectorAll<HTMLElement>("[data-hit]") ?? [])];
    if (!by || !rows.length) return;
    const at = rows.indexOf(document.activeElement as HTMLElement);
    if (at < 0 && by < 0) return;
    event.preventDefault();
    rows[Math.max(0, Math.min(rows.length - 1, at + by))]?.focus();
  };
  return (
    <Box onKeyDown={onKey} sx={{ display: "flex", flexDirection: "column", gap: 3, minHeight: 0, flex: 1 }}>
      <Box sx={{ display: "flex", gap: 2, flexWrap: { xs: "wrap", sm: "nowrap" } }}>
        <OutlinedInput
          fullWidth autoFocus size="small" value={words} onChange={(event) => setWords(event.target.value)} placeholder={t("models.hub.placeholder")}
          onKeyDown={(event) => event.key === "Enter" && repo && acts.get(repo)}
          inputProps={{ "aria-label": t("models.hub.label"), autoComplete: "off", spellCheck: false }}
          startAdornment={<InputAdornment position="start"><Search size={16} aria-hidden /></InputAdornment>}
        />
        <Select size="small" displayEmpty value={task} onChange={(event) => setTask(event.target.value as Task | "")} inputProps={{ "aria-label": t("models.filterTask") }} sx={{ minWidth: 150, width: { xs: 1, sm: "auto" }, fontSize: 13 }}>
          <MenuItem value="">{t("models.hub.anyTask")}</MenuItem>
          {TASKS.map((each) => <MenuItem key={each} value={each}>{t(`models.tasks.${each}`)}</MenuItem>)}
        </Select>
      </Box>
      {repo && <Button variant="outlined" color="inherit" startIcon={<ArrowDownToLine size={15} />} onClick={() => acts.get(repo)} sx={{ justifyContent: "flex-start", overflow: "hidden", textOverflow: "ellipsis", flexShrink: 0 }}>{t("models.hub.direct", { repo })}</Button>}
      <Box sx={{ flex: 1, minHeight: 200, overflow: "auto", mx: -2, px: 2, opacity: found.isPlaceholderData ? 0.6 : 1, transition: "opacity 120ms ease-out" }}>
        {problem && <ErrorNote title={t("models.hub.failed")} error={problem} details={problem.details} onRetry={() => void found.refetch()} retrying={found.isFetching} />}
        {found.isPending && <Box aria-busy sx={{ display: "grid", gap: 2 }}>{[0, 1, 2, 3, 4].map((key) => <Skeleton key={key} variant="rectangular" height={ROW - 8} />)}</Box>}
        {found.data?.items.length === 0 && !problem && <Typography sx={{ color: "text.secondary", py: 8, textAlign: "center" }}>{t("models.hub.nothing", { query: asked })}</Typography>}
        {!problem && <Box component="ul" ref={list} aria-label={t("models.hub.results")} sx={{ m: 0, p: 0, listStyle: "none" }}>{found.data?.items.map((hit) => <Hit key={hit.repo} hit={hit} />)}</Box>}
      </Box>
      <TokenFold />
    </Box>
  );
}

function Hit({ hit }: { hit: HubModelOut }) {
  const { t, i18n } = useTranslation();
  const acts = useModelActions();
  const Icon = hit.task ? TASK_ICONS[hit.task] : null;
  const [owner, name] = [hit.repo.slice(0, hit.repo.indexOf("/")), hit.repo.slice(hit.repo.indexOf("/") + 1)];
  const facts = [hit.task ? t(`models.tasks.${hit.task}`) : t("models.hub.unknownTask"), hit.family && familyName(hit.family), hit.license].filter(Boolean).join(" · ");
  return (
    <Box component="li" sx={{ display: "flex", alignItems: "center", gap: 3, minHeight: ROW, borderTop: 1, borderColor: "divider", "&:first-of-type": { borderTop: 0 } }}>
      <Box sx={{ color: "text.faint", width: 20, flexShrink: 0, display: "grid", placeItems: "center" }}>{Icon && <Icon size={18} strokeWidth={1.8} aria-hidden />}</Box>
      <Box sx={{ flex: 1, minWidth: 0 }}>
        <Box sx={{ display: "flex", alignItems: "center", gap: "6px", minWidth: 0 }}>
          <Box component="span" sx={{ fontWeight: 550, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}><Box component="span" sx={{ color: "text.faint", fontWeight: 400 }}>{owner}/</Box>{name}</Box>
          {hit.gated && <Tooltip title={t("models.gatedHint")}><Box component="span" sx={{ display: "inline-flex", alignItems: "center", gap: "3px", color: "warning.main", fontSize: 12, fontWeight: 550, flexShrink: 0 }}><Lock size={12} aria-hidden />{t("models.gated")}</Box></Tooltip>}
        </Box>
        <Typography variant="body2" noWrap sx={{ color: "text.faint" }}>{facts}</Typography>
      </Box>
      <Box sx={{ display: { xs: "none", sm: "flex" }, gap: 3, color: "text.faint", fontSize: 12, flexShrink: 0 }}>
        <Count Icon={ArrowDownToLine} says={t("models.hub.downloads", { count: hit.downloads })} value={compact(hit.downloads, i18n.language)} />
        <Count Icon={Heart} says={t("models.hub.likes", { count: hit.likes })} value={compact(hit.likes, i18n.language)} />
      </Box>
      <Box sx={{ width: { sm: 104 }, display: "flex", justifyContent: "flex-end", flexShrink: 0 }}>
        {hit.key
          ? <ButtonLink data-hit size="small" color="inherit" to="/models/$key" params={{ key: hit.key }} search={(old: object) => ({ ...old, add: undefined })} startIcon={<Check size={15} />} aria-label={t("models.hub.haveNamed", { name: hit.repo })}>{t("models.hub.have")}</ButtonLink>
          : <Button data-hit size="small" variant="outlined" color="inherit" onClick={() => acts.get(hit.repo)} aria-label={t("models.hub.chooseNamed", { name: hit.repo })}>{t("models.hub.choose")}</Button>}
      </Box>
    </Box>
  );
}

function Count({ Icon, says, value }: { Icon: typeof Heart; says: string; value: string }) {
  return <Tooltip title={says}><Box component="span" role="img" aria-label={says} sx={{ display: "inline-flex", alignItems: "center", gap: "4px", width: 58, justifyContent: "flex-end" }}><Icon size={13} aria-hidden />{value}</Box></Tooltip>;
}

export function useDebounced<T>(value: T, ms: number): T {
  const [kept, setKept] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setKept(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return kept;
}
