import { Box, Button, InputAdornment, MenuItem, OutlinedInput, Select, Skeleton } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Outlet } from "@tanstack/react-router";
import { Boxes, Plus, Search, SearchX } from "lucide-react";
import { useDeferredValue, useEffect, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { DeviceOut } from "@/api/types";
import { TASKS } from "@/lib/models";
import { bytes } from "@/lib/numbers";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { ButtonBaseLink } from "@/ui/links";
import { PageHead } from "@/ui/Section";

import { useWho } from "./actions";
import { AddDialog } from "./AddDialog";
import { cardsOf, groupsOf, SORTS, STATES, type Card, type Filter, type Sort, type StateFilter } from "./cards";
import { DownloadDialog } from "./DownloadDialog";
import { CardGrid, GridSkeleton } from "./CardGrid";
import { Questions } from "./Questions";

const route = getRouteApi("/models");

/** Everything that Atelier knows or offers, by what it can do. */
export function ModelsPage() {
  const { t, i18n } = useTranslation();
  const { q, task, state, sort, add, get, as } = route.useSearch();
  const go = route.useNavigate();
  const who = useWho();
  const models = useQuery(queries.models());
  const offers = useQuery(queries.catalogue());
  const system = useQuery(queries.system());
  const me = useQuery(queries.me());
  // All of it at once: what is here and what is offered share their groups, and the buttons depend on who looks.
  const pending = models.isPending || offers.isPending || me.isPending || system.isPending;
  const problem = models.isError ? asProblem(models.error) : null;
  const cards = cardsOf(models.data ?? [], offers.data ?? []);
  const filter: Filter = { q: useDeferredValue(q), task, state, sort };
  const groups = groupsOf(cards, filter);
  const here = cards.filter((card) => card.model);
  const disk = here.reduce((sum, card) => sum + card.size, 0);
  const note = pending || problem ? "\u00a0" : <>{t("models.note", { count: here.length })}<Box component="span" sx={{ "@media (max-width: 599.9px)": { display: "none" } }}> · {t("models.noteDisk", { disk: bytes(disk, i18n.language), free: bytes(system.data?.data_dir_free_bytes ?? 0, i18n.language) })}</Box></>;
  const clear = () => void go({ search: {}, replace: true, resetScroll: false });
  return (
    <>
      <PageHead title={t("models.title")} note={note}>
        {(pending || who.admin) && <Button variant="contained" disabled={!who.admin} startIcon={<Plus size={16} />} onClick={() => void go({ search: (old) => ({ ...old, add: "hub" as const }), resetScroll: false })}>{t("models.add")}</Button>}
      </PageHead>
      <Tools cards={cards} pending={pending} />
      <Box sx={{ mt: 4 }}>
        {problem && !models.data && <ErrorNote title={t("models.failed")} error={problem} details={problem.details} onRetry={() => void models.refetch()} />}
        {pending && !problem && <GridSkeleton />}
        {!pending && !problem && groups.length === 0 && <Nothing filtered={cards.length > 0} onClear={clear} />}
        {!pending && models.data && groups.length > 0 && <CardGrid groups={groups} who={who} device={largest(system.data?.devices)} />}
        {offers.isError && !pending && <Box sx={{ mt: 6, maxWidth: 640 }}><ErrorNote title={t("models.offersFailed")} error={asProblem(offers.error)} onRetry={() => void offers.refetch()} /></Box>}
      </Box>
      <Outlet />
      {add && who.admin && <AddDialog way={add} />}
      {get && who.admin && <DownloadDialog repo={get} wanted={as} />}
      <Questions cards={cards} />
    </>
  );
}

function largest(devices: DeviceOut[] | undefined): DeviceOut | undefined {
  return devices?.reduce<DeviceOut | undefined>((most, device) => (!most || device.budget_bytes > most.budget_bytes ? device : most), undefined);
}

function Nothing({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  const { t } = useTranslation();
  if (!filtered) return <EmptyState art={<Boxes size={44} strokeWidth={1.2} />} title={t("models.emptyTitle")} text={t("models.emptyText")} />;
  return (
    <EmptyState art={<SearchX size={40} strokeWidth={1.2} />} title={t("models.noMatch")} text={t("models.noMatchText")}>
      <Button variant="outlined" color="inherit" onClick={onClear}>{t("models.clearFilters")}</Button>
    </EmptyState>
  );
}

/** What they can do, how they stand, words, and the order. */
function Tools({ cards, pending }: { cards: Card[]; pending: boolean }) {
  const { t } = useTranslation();
  const search = route.useSearch();
  const go = route.useNavigate();
  const set = (change: Partial<Filter>) => void go({ search: (old) => ({ ...old, ...change }), replace: true, resetScroll: false });
  const tasks = TASKS.map((task) => [task, cards.filter((card) => card.task === task).length] as const).filter(([, count]) => count > 0);
  return (
    <Box sx={{ mt: 4, display: "flex", flexWrap: "wrap", gap: 3, rowGap: 3, alignItems: "center" }}>
      <Chips label={t("models.filterTask")} chosen={search.task ?? ""}>
        {pending ? <Skeleton variant="rectangular" width={320} height={32} sx={{ borderRadius: "16px" }} /> : (
          <>
            <Chip on={!search.task} search={{ task: undefined }}>{t("models.all")}</Chip>
            {tasks.map(([task, count]) => <Chip key={task} on={search.task === task} search={{ task }}>{t(`models.tasks.${task}`)}<Box component="span" sx={{ ml: "6px", color: "text.faint", fontWeight: 450 }}>{count}</Box></Chip>)}
          </>
        )}
      </Chips>
      <Box sx={{ display: "flex", gap: 2, flex: { xs: "1 1 100%", md: "0 0 auto" }, ml: { md: "auto" }, flexWrap: { xs: "wrap", sm: "nowrap" } }}>
        <Find value={search.q ?? ""} onChange={(words) => set({ q: words || undefined })} />
        <Select size="small" displayEmpty value={search.state ?? ""} onChange={(event) => set({ state: (event.target.value || undefined) as StateFilter | undefined })} inputProps={{ "aria-label": t("models.filterState") }} sx={{ flex: { xs: 1, sm: "none" }, minWidth: 0, height: 36, fontSize: 13 }}>
          <MenuItem value="">{t("models.anyState")}</MenuItem>
          {STATES.map((state) => <MenuItem key={state} value={state}>{t(`models.stateFilters.${state}`)}</MenuItem>)}
        </Select>
        <Select size="small" value={search.sort ?? "state"} onChange={(event) => set({ sort: event.target.value === "state" ? undefined : (event.target.value as Sort) })} inputProps={{ "aria-label": t("models.sort") }} sx={{ flex: { xs: 1, sm: "none" }, minWidth: 0, height: 36, fontSize: 13 }}>
          {SORTS.map((sort) => <MenuItem key={sort} value={sort}>{t(`models.sorts.${sort}`)}</MenuItem>)}
        </Select>
      </Box>
    </Box>
  );
}

/** Keeps what is typed and hands it on a little later. */
function Find({ value, onChange }: { value: string; onChange: (words: string) => void }) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState(value);
  const [from, setFrom] = useState(value);
  if (from !== value) {
    setFrom(value);
    setDraft(value);
  }
  useEffect(() => {
    if (draft === value) return;
    const timer = setTimeout(() => onChange(draft), 180);
    return () => clearTimeout(timer);
  });
  return (
    <OutlinedInput
      size="small"
      value={draft}
      onChange={(event) => setDraft(event.target.value)}
      onKeyDown={(event) => event.key === "Escape" && draft && (event.stopPropagation(), setDraft(""), onChange(""))}
      placeholder={t("models.search")}
      inputProps={{ "aria-label": t("models.search"), type: "search" }}
      startAdornment={<InputAdornment position="start"><Search size={16} aria-hidden /></InputAdornment>}
      sx={{ width: { xs: 1, sm: 240 }, height: 36, "& input": { pl: 0 }, "& input::-webkit-search-cancel-button": { display: "none" } }}
    />
  );
}

function Chips({ label, chosen, children }: { label: string; chosen: string; children: ReactNode }) {
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => void row.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [chosen]);
  return (
    // One line on a phone too; it scrolls, and fades where it goes on.
    <Box ref={row} role="group" aria-label={label} sx={{ display: "flex", gap: 1, height: 32, overflowX: "auto", scrollbarWidth: "none", mx: { xs: -4, sm: 0 }, px: { xs: 4, sm: 0 }, width: { xs: "100vw", sm: "auto" }, maskImage: { xs: "linear-gradient(to right, transparent, #000 16px calc(100% - 32px), transparent)", sm: "none" } }}>
      {children}
    </Box>
  );
}

function Chip({ on, search, children }: { on: boolean; search: Partial<Filter>; children: ReactNode }) {
  return (
    <ButtonBaseLink to="/models" search={(old: object) => ({ ...old, ...search })} replace resetScroll={false} aria-current={on ? "true" : undefined} sx={{ flex: "none", px: 3, height: 32, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: "-2px" }, borderRadius: "16px", fontSize: 13, fontWeight: on ? 600 : 450, color: on ? "text.primary" : "text.secondary", border: 1, borderColor: on ? "text.disabled" : "transparent", bgcolor: on ? "background.paper" : "transparent", "&:hover": { color: "text.primary", borderColor: on ? "text.disabled" : "divider" } }}>
      {children}
    </ButtonBaseLink>
  );
}
