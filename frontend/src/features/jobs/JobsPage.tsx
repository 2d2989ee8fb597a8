import { Box, Button, Skeleton } from "@mui/material";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Outlet } from "@tanstack/react-router";
import { ListChecks, ListTodo } from "lucide-react";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { queries } from "@/api/queries";
import type { JobOut, JobStatus } from "@/api/types";
import { hasEnded, phaseOf } from "@/lib/jobs";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { card, PageHead } from "@/ui/Section";
import { ButtonLink, ButtonBaseLink } from "@/ui/links";
import { useKeptPlace } from "@/ui/useKeptPlace";

import { JobRow } from "./JobRow";

const route = getRouteApi("/jobs");
type Filter = "waiting" | "running" | "completed" | "failed" | "cancelled";
/** What the server is asked for. Which of those under way wait and which run is told apart here, by `phaseOf`. */
const FILTERS: Record<Filter, JobStatus[]> = { waiting: ["queued", "running"], running: ["running"], completed: ["completed"], failed: ["failed"], cancelled: ["cancelled"] };

export function JobsPage() {
  const { t } = useTranslation();
  const { status } = route.useSearch();
  const list = useInfiniteQuery(queries.jobList(status && FILTERS[status]));
  const recent = useQuery(queries.recentJobs());
  // All that is active comes at once: the line is shown from its head, not from the newest page.
  const active = recent.data?.filter((job) => !hasEnded(job)) ?? [];
  const known = new Set(active.map((job) => job.id));
  const jobs = [...active, ...(list.data?.pages.flatMap((page) => page.items) ?? []).filter((job) => !known.has(job.id))];
  // What runs stands above what waits, in the order of the line; the ended follow, newest first.
  const running = (job: JobOut) => phaseOf(job) === "running" || phaseOf(job) === "cancelling";
  const waiting = (job: JobOut) => phaseOf(job) === "queued";
  const parts = { running: jobs.filter(running), waiting: jobs.filter(waiting).sort((a, b) => (a.position ?? 0) - (b.position ?? 0)) };
  const ordered = status === "running" || status === "waiting" ? parts[status] : [...(status ? [] : [...parts.running, ...parts.waiting]), ...jobs.filter((job) => hasEnded(job) && (!status || job.status === status))];
  const problem = list.isError ? asProblem(list.error) : null;
  const system = useQuery(queries.system());
  // All of it at once: what is under way stands above what has ended, and would push it down.
  const pending = list.isPending || recent.isPending || (system.isPending && active.some((job) => job.waiting?.reason === "environment"));
  const rows = useRef<HTMLUListElement>(null);
  useKeptPlace(rows, "[data-row]", !pending && ordered.length > 0);
  const [reach, setReach] = useState(0);
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !(event.target as HTMLElement).matches("[data-row]")) return;
    event.preventDefault();
    const next = Math.min(ordered.length - 1, Math.max(0, reach + by));
    setReach(next);
    rows.current?.querySelectorAll<HTMLElement>("[data-row]")[next]?.focus();
  };
  return (
    <>
      <PageHead title={t("jobs.title")}>
        <Filters />
        <ButtonLink variant="outlined" color="inherit" size="small" to="/jobs/batches" startIcon={<ListTodo size={15} aria-hidden />}>{t("batches.title")}</ButtonLink>
      </PageHead>
      <Box sx={{ mt: 4 }}>
        {problem && jobs.length === 0 && <ErrorNote title={t("jobs.failed")} error={problem} details={problem.details} onRetry={() => void list.refetch()} />}
        {pending && <Box aria-busy sx={{ display: "grid", gap: 2 }}>{[0, 1, 2, 3].map((key) => <Skeleton key={key} variant="rectangular" height={68} sx={{ borderRadius: "10px" }} />)}</Box>}
        {!pending && list.isSuccess && ordered.length === 0 && (
          <EmptyState art={<ListChecks size={44} strokeWidth={1.2} />} title={status ? t("jobs.emptyFilter") : t("jobs.emptyTitle")} text={status ? "" : t("jobs.emptyText")}>
            {status ? <ButtonLink variant="outlined" color="inherit" to="/jobs">{t("jobs.all")}</ButtonLink> : <ButtonLink variant="contained" to="/">{t("jobs.emptyAction")}</ButtonLink>}
          </EmptyState>
        )}
        {!pending && ordered.length > 0 && (
          <Box component="ul" ref={rows} onKeyDown={onKey} sx={{ ...card, m: 0, p: 0, listStyle: "none", overflow: "hidden" }}>
            {ordered.map((job, index) => <JobRow key={job.id} job={job} reachable={index === Math.min(reach, ordered.length - 1)} onFocus={() => setReach(index)} />)}
          </Box>
        )}
        {!pending && list.hasNextPage && <More onReach={() => void list.fetchNextPage()} busy={list.isFetchingNextPage} />}
      </Box>
      <Outlet />
    </>
  );
}

function Filters() {
  const { t } = useTranslation();
  const { status } = route.useSearch();
  const names: [Filter | undefined, string][] = [[undefined, t("jobs.all")], ["waiting", t("status.queued")], ["running", t("status.running")], ["completed", t("status.completed")], ["failed", t("status.failed")], ["cancelled", t("status.cancelled")]];
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => {
    void row.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [status]);
  return (
    // One line on a phone too; it scrolls, and fades where it goes on.
    <Box ref={row} role="group" aria-label={t("jobs.filter")} sx={{ display: "flex", gap: 1, overflowX: "auto", scrollbarWidth: "none", mx: { xs: -4, sm: 0 }, px: { xs: 4, sm: 0 }, maskImage: { xs: "linear-gradient(to right, transparent, #000 16px calc(100% - 32px), transparent)", sm: "none" } }}>
      {names.map(([value, name]) => {
        const on = status === value;
        return (
          <ButtonBaseLink key={name} to="/jobs" search={{ status: value }} activeOptions={{ exact: true }} replace resetScroll={false} sx={{ flex: "none", px: 3, height: 32, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main", outlineOffset: "-2px" }, borderRadius: "16px", fontSize: 13, fontWeight: on ? 600 : 450, color: on ? "text.primary" : "text.secondary", border: 1, borderColor: on ? "text.disabled" : "transparent", bgcolor: on ? "background.paper" : "transparent", "&:hover": { color: "text.primary", borderColor: on ? "text.disabled" : "divider" } }}>
            {name}
          </ButtonBaseLink>
        );
      })}
    </Box>
  );
}

/** Reads the next page when its button comes near the window; the button remains for the keyboard. */
function More({ onReach, busy }: { onReach: () => void; busy: boolean }) {
  const { t } = useTranslation();
  const ref = useRef<HTMLDivElement>(null);
  const reach = useRef(onReach);
  useEffect(() => {
    reach.current = onReach;
  });
  useEffect(() => {
    const element = ref.current;
    if (!element || busy) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && reach.current(), { rootMargin: "600px" });
    observer.observe(element);
    return () => observer.disconnect();
  }, [busy]);
  return <Box ref={ref} sx={{ display: "grid", placeItems: "center", py: 6 }}><Button color="inherit" variant="outlined" disabled={busy} onClick={onReach}>{busy ? t("common.loading") : t("common.loadMore")}</Button></Box>;
}
