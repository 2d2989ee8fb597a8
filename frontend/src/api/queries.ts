/** Queries, one per thing the server knows. Jobs pass through `freshest`, so that a slow answer never undoes a live event. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { api, type JobFilter } from "./client";
import { freshest } from "./freshest";
import { keys } from "./keys";

const PAGE = 100;
const ACTIVE = ["queued", "running"] as const;
const MOST_ACTIVE = 200;

export const queries = {
  /** Everything that runs or waits, and the newest that ended: what Generate and the top bar show. */
  recentJobs: () =>
    queryOptions({
      queryKey: keys.recentJobs,
      queryFn: async ({ signal }) => {
        const asked = performance.now();
        const [active, newest] = await Promise.all([api.jobs({ status: ACTIVE, limit: MOST_ACTIVE }, signal), api.jobs({ limit: 50 }, signal)]);
        const known = new Set(active.items.map((job) => job.id));
        return [...active.items, ...newest.items.filter((job) => !known.has(job.id))].map((job) => freshest(job, asked));
      },
      staleTime: 30_000,
    }),

  jobList: (filter: JobFilter) =>
    infiniteQueryOptions({
      queryKey: keys.jobList(filter.status?.join() ?? ""),
      queryFn: async ({ pageParam, signal }) => {
        const asked = performance.now();
        const page = await api.jobs({ ...filter, cursor: pageParam, limit: 50 }, signal);
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
        return freshest(await api.job(id, signal), asked);
      },
    }),

  gallery: (q: string) =>
    infiniteQueryOptions({
      queryKey: keys.galleryList(q),
      queryFn: ({ pageParam, signal }) => api.gallery({ cursor: pageParam, limit: PAGE, q }, signal),
      initialPageParam: undefined as string | undefined,
      getNextPageParam: (page) => page.next_cursor ?? undefined,
      staleTime: 60_000,
      gcTime: 30 * 60_000,
    }),

  image: (id: string) => queryOptions({ queryKey: keys.image(id), queryFn: ({ signal }) => api.image(id, signal), staleTime: 60_000 }),

  models: () => queryOptions({ queryKey: keys.models, queryFn: async ({ signal }) => (await api.models(signal)).items, staleTime: 60_000 }),

  schedulers: () =>
    queryOptions({ queryKey: keys.schedulers, queryFn: async ({ signal }) => (await api.schedulers(signal)).items, staleTime: Infinity }),

  system: () => queryOptions({ queryKey: keys.system, queryFn: ({ signal }) => api.system(signal), staleTime: 10_000 }),

  me: () => queryOptions({ queryKey: keys.me, queryFn: ({ signal }) => api.me(signal), staleTime: 60_000, retry: false }),
};
