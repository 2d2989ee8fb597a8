/** Queries, one per thing the server knows. Jobs pass through `freshest`, so that a slow answer never undoes a live event. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { isUnderWay } from "@/lib/batches";
import { queryOf, type Look } from "@/lib/look";

import { beginSamples } from "./cache";
import { freshest, heardSince } from "./freshest";
import * as api from "./generated/sdk.gen";
import { keys } from "./keys";
import { withoutGone } from "./pictures";
import type { MarksOut, JobStatus, PlanIn, Task } from "./types";

const PAGE = 100;
const LARGE_PAGE = 200;
const ACTIVE: JobStatus[] = ["queued", "running"];
const MOST_ACTIVE = 200;

export const queries = {
  /** Everything that runs or waits, and the newest that ended: what Generate and the top bar show. */
  recentJobs: () =>
    queryOptions({
      queryKey: keys.recentJobs,
      queryFn: async ({ signal }) => {
        const asked = performance.now();
        const [active, newest] = await Promise.all([api.listJobs({ query: { status: ACTIVE, limit: MOST_ACTIVE }, signal }), api.listJobs({ query: { limit: 50 }, signal })]);
        const known = new Set(active.items.map((job) => job.id));
        const answered = [...active.items, ...newest.items.filter((job) => !known.has(job.id))].map((job) => freshest(job, asked));
        for (const job of newest.items) known.add(job.id);
        return [...heardSince(asked).filter((job) => !known.has(job.id)), ...answered];
      },
      staleTime: 30_000,
    }),

  jobList: (status?: JobStatus[]) =>
    infiniteQueryOptions({
      queryKey: keys.jobList(status?.join() ?? ""),
      queryFn: async ({ pageParam, signal }) => {
        const asked = performance.now();
        const page = await api.listJobs({ query: { status, cursor: pageParam, limit: 50 }, signal });
        return { ...page, items: page.items.map((job) => freshest(job, asked)) };
      },
      initialPageParam: undefined as string | undefined,
      getNextPageParam: (page) => page.next_cursor ?? undefined,
      staleTime: 10_000,
    }),

  job: (id: string) =>
    queryOptions({
      queryKey: keys.job(id),
      queryFn: async ({ signal }) => {
        const asked = performance.now();
        return freshest(await api.getJob({ path: { job_id: id }, signal }), asked);
      },
    }),

  gallery: (look: Look = {}) =>
    infiniteQueryOptions({
      queryKey: keys.galleryList(look),
      queryFn: ({ pageParam: { cursor, limit }, signal }) => api.listGallery({ query: { cursor, limit, ...queryOf(look) }, signal }),
      structuralSharing: withoutGone,
      initialPageParam: { cursor: undefined as string | undefined, limit: PAGE },
      // Whoever has come this far goes on: fewer questions, and as many pictures when all are asked for again.
      getNextPageParam: (page, pages) => (page.next_cursor ? { cursor: page.next_cursor, limit: pages.length < 3 ? PAGE : LARGE_PAGE } : undefined),
      staleTime: 60_000,
      gcTime: 30 * 60_000,
    }),

  /** All that a look finds, also what is not on screen; asked for when all are meant. */
  marks: (look: Look) =>
    queryOptions({
      queryKey: keys.marks(look),
      queryFn: async ({ signal }) => {
        const found: MarksOut[] = [];
        for (let cursor: string | undefined; ; ) {
          const page = await api.listMarks({ query: { cursor, ...queryOf(look) }, signal });
          found.push(...page.items);
          if (!page.next_cursor) return found;
          cursor = page.next_cursor;
        }
      },
      staleTime: 60_000,
      retry: false,
    }),

  image: (id: string) => queryOptions({ queryKey: keys.image(id), queryFn: ({ signal }) => api.getImage({ path: { image_id: id }, signal }), staleTime: 60_000 }),

  facets: () => queryOptions({ queryKey: keys.facets, queryFn: ({ signal }) => api.galleryFacets({ signal }), staleTime: 10_000 }),

  storage: () => queryOptions({ queryKey: keys.storage, queryFn: ({ signal }) => api.galleryStorage({ signal }), staleTime: 0, retry: false }),

  collections: () => queryOptions({ queryKey: keys.collections, queryFn: async ({ signal }) => (await api.listCollections({ signal })).items, staleTime: 60_000 }),

  lineage: (id: string) => queryOptions({ queryKey: keys.lineage(id), queryFn: ({ signal }) => api.imageLineage({ path: { image_id: id }, signal }), staleTime: 30_000 }),

  prompts: (words: string, kept: boolean) =>
    queryOptions({ queryKey: keys.promptList(words, kept), queryFn: async ({ signal }) => (await api.listPrompts({ query: { q: words || undefined, favourite: kept || undefined, limit: 100 }, signal })).items, staleTime: 0, placeholderData: (before) => before }),

  talksAbout: (picture: string) =>
    queryOptions({ queryKey: keys.talksAbout(picture), queryFn: async ({ signal }) => (await api.listConversations({ query: { picture, limit: 5 }, signal })).items }),
  conversations: (words: string, archived: boolean) =>
    infiniteQueryOptions({
      queryKey: keys.chatList(words, archived),
      queryFn: ({ pageParam, signal }) => api.listConversations({ query: { q: words || undefined, archived, cursor: pageParam, limit: 60 }, signal }),
      initialPageParam: undefined as string | undefined,
      getNextPageParam: (page) => page.next_cursor ?? undefined,
      staleTime: 30_000,
      placeholderData: (before) => before,
    }),

  conversation: (id: string) => queryOptions({ queryKey: keys.chat(id), queryFn: ({ signal }) => api.getConversation({ path: { conversation_id: id }, signal }), staleTime: 30_000 }),

  chatPresets: () => queryOptions({ queryKey: keys.chatPresets, queryFn: async ({ signal }) => (await api.listChatPresets({ signal })).items, staleTime: 60_000 }),

  styles: () => queryOptions({ queryKey: keys.styles, queryFn: async ({ signal }) => (await api.listStyles({ signal })).items, staleTime: 60_000 }),

  models: () => queryOptions({ queryKey: keys.models, queryFn: async ({ signal }) => (await api.listModels({ signal })).items, staleTime: 60_000 }),

  catalogue: () => queryOptions({ queryKey: keys.catalogue, queryFn: ({ signal }) => api.getCatalogue({ signal }).then((page) => page.items), staleTime: 5 * 60_000 }),

  found: () => queryOptions({ queryKey: keys.found, queryFn: ({ signal }) => api.foundModels({ signal }), staleTime: 10_000, retry: false }),

  consequences: (key: string) => queryOptions({ queryKey: keys.consequences(key), queryFn: ({ signal }) => api.getConsequences({ path: { key }, signal }), staleTime: 0 }),

  hubSearch: (query: string, task: Task | null) => queryOptions({ queryKey: keys.hubSearch(query, task), queryFn: ({ signal }) => api.searchHub({ query: { query, task: task ?? undefined, limit: 24 }, signal }), staleTime: 5 * 60_000, retry: false }),

  hubPlan: (repo: string, file: string) => queryOptions({ queryKey: keys.hubPlan(repo, file), queryFn: ({ signal }) => api.planDownload({ body: { repo, file }, signal }), staleTime: 30_000, retry: false }),

  hubToken: () => queryOptions({ queryKey: keys.hubToken, queryFn: ({ signal }) => api.getToken({ signal }), staleTime: 60_000, retry: false }),

  plan: (body: PlanIn) => queryOptions({ queryKey: keys.plan(body), queryFn: ({ signal }) => api.plan({ body, signal }), staleTime: 5_000, gcTime: 60_000, retry: false }),

  workerLog: (id: string) => queryOptions({ queryKey: keys.workerLog(id), queryFn: ({ signal }) => api.workerLog({ path: { worker_id: id }, signal }), refetchInterval: 2_000, retry: false }),

  schedulers: () =>
    queryOptions({ queryKey: keys.schedulers, queryFn: async ({ signal }) => (await api.listSchedulers({ signal })).items, staleTime: Infinity }),

  creatureSettings: () => queryOptions({ queryKey: keys.creatureSettings, queryFn: ({ signal }) => api.creatureSettings({ signal }), staleTime: Infinity }),

  system: () => queryOptions({ queryKey: keys.system, queryFn: ({ signal }) => api.system({ signal }), staleTime: 10_000 }),

  /** Of the last days where the reader is; the server counts it every few seconds. */
  chatUsage: (days: number) => queryOptions({ queryKey: keys.chatUsage(days), queryFn: ({ signal }) => api.chatUsage({ query: { days, east: -new Date().getTimezoneOffset() }, signal }), staleTime: 10_000, placeholderData: (before) => before }),

  /** The last quarter of an hour; live events go on from there (`samples`). */
  history: () =>
    queryOptions({
      queryKey: keys.history,
      queryFn: async ({ signal }) => {
        beginSamples(await api.deviceHistory({ signal }));
        return true;
      },
      staleTime: Infinity,
    }),

  dependencies: () => queryOptions({ queryKey: keys.dependencies, queryFn: async ({ signal }) => (await api.listDependencies({ signal })).items, staleTime: 60_000 }),

  endpoints: () => queryOptions({ queryKey: keys.endpoints, queryFn: ({ signal }) => api.listEndpoints({ signal }), staleTime: Infinity }),

  /** Newest first; figures come while one is measured. */
  benchmarks: () =>
    queryOptions({
      queryKey: keys.benchmarks,
      queryFn: async ({ signal }) => (await api.listBenchmarks({ signal })).items,
      refetchInterval: ({ state }) => (state.data?.some((one) => one.status === "queued" || one.status === "running") ? 2000 : false),
    }),

  /** Newest first. While one is under way it is asked again and again: counts are no events. */
  batches: () =>
    infiniteQueryOptions({
      queryKey: keys.batches,
      queryFn: ({ pageParam, signal }) => api.openaiListBatches({ query: { limit: 30, after: pageParam }, signal }),
      initialPageParam: undefined as string | undefined,
      getNextPageParam: (page) => (page.has_more ? (page.last_id ?? undefined) : undefined),
      refetchInterval: ({ state }) => (state.data?.pages.some((page) => page.data.some((batch) => isUnderWay(batch))) ? 1500 : false),
    }),

  me: () => queryOptions({ queryKey: keys.me, queryFn: ({ signal }) => api.me({ signal }), staleTime: 60_000, retry: false }),
};
