/** Live events into the query cache: each is a patch by key. Knows keys, not features. */
import type { InfiniteData, QueryClient, QueryKey } from "@tanstack/react-query";

import { advance, hasEnded, mergeJob, type Progress } from "@/lib/jobs";
import { Signal } from "@/lib/signal";

import { forget, lastWord, remember } from "./freshest";
import { keys } from "./keys";
import { addImages, changeImages, forgetDeletions, removeImages, returnImages } from "./pictures";
import type { DownloadOut, Event, HistoryOut, ImageOut, JobOut, JobPage, ModelOut, PreviewOut, SnapshotFrame, SystemOut, WorkerOut } from "./types";

/** The latest preview of each picture of the newest jobs, as `job → index → preview`. */
export const previews = new Signal<ReadonlyMap<string, ReadonlyMap<number, PreviewOut>>>(new Map());

/** Figures of one moment; `at` in the server's seconds, bytes, loads 0..1, null where a device does not say. */
export interface Sample { at: number; cpu: number | null; memory: number | null; devices: readonly DeviceFigures[] }
export interface DeviceFigures { index: number; used: number | null; load: number | null; temperature: number | null; power: number | null }
/** The last quarter of an hour, oldest first: history as asked for, then live events. */
export const samples = new Signal<readonly Sample[]>([]);
const SAMPLES_KEPT_SECONDS = 900;
const PREVIEWS_KEPT = 24;
const ENDED_KEPT = 200;
const FIGURES_EVERY = 2000;

type JobPages = InfiniteData<JobPage>;

export function applySnapshot(client: QueryClient, frame: SnapshotFrame): void {
  forget();
  forgetDeletions();
  for (const job of frame.jobs) remember(job);
  client.setQueryData<JobOut[]>(keys.recentJobs, frame.jobs);
  patchSystem(client, () => ({ workers: frame.workers, environments: frame.environments, devices: frame.devices, host: frame.host }));
  void client.invalidateQueries({ queryKey: keys.history });
  void client.invalidateQueries({ queryKey: keys.dependencies });
  previews.set(new Map(Object.entries(frame.previews ?? {}).map(([job, list]) => [job, new Map(list.map((preview) => [preview.index, preview]))])));
  // Events are hints and REST is the truth: whatever else is on screen is asked for again.
  void client.invalidateQueries({ queryKey: keys.jobLists });
  void client.invalidateQueries({ queryKey: ["jobs", "one"] });
  void client.invalidateQueries({ queryKey: keys.gallery });
  void client.invalidateQueries({ queryKey: keys.collections });
  void client.invalidateQueries({ queryKey: keys.chats });
  void client.invalidateQueries({ queryKey: keys.allModels });
  void client.invalidateQueries({ queryKey: keys.me });
  if (!client.getQueryData(keys.system)) void client.invalidateQueries({ queryKey: keys.system });
}

export function applyEvent(client: QueryClient, event: Event): void {
  switch (event.type) {
    case "job.changed":
      return jobChanged(client, event.job);
    case "job.progress":
      return jobProgress(client, event);
    case "job.removed":
      return jobRemoved(client, event.id);
    case "images.added":
      refreshSoon(client, keys.storage);
      return addImages(client, event.images);
    case "images.removed":
      refreshSoon(client, keys.storage);
      return dropImages(client, new Set(event.ids));
    case "images.restored":
      refreshSoon(client, keys.storage);
      return restoreImages(client, event.images);
    case "images.changed":
      return imagesChanged(client, event.images);
    case "collections.changed":
      return void client.invalidateQueries({ queryKey: keys.collections });
    case "worker.changed":
      modelOfWorker(client, event.worker);
      return patchSystem(client, (system) => {
        const others = system.workers.filter((worker) => worker.id !== event.worker.id);
        const gone = event.worker.state === "stopped" || event.worker.state === "failed";
        return { workers: gone ? others : [...others, event.worker].sort((a, b) => a.id.localeCompare(b.id)) };
      });
    case "environment.changed":
      return patchSystem(client, (system) => ({
        environments: system.environments.some((item) => item.name === event.environment.name)
          ? system.environments.map((item) => (item.name === event.environment.name ? event.environment : item))
          : [...system.environments, event.environment],
      }));
    case "models.changed":
      return void client.invalidateQueries({ queryKey: keys.allModels });
    case "conversation.changed":
      void client.invalidateQueries({ queryKey: keys.chatLists });
      return void client.invalidateQueries({ queryKey: keys.chat(event.id) });
    case "devices.sampled":
      addSample(event.at, event.devices, event.host);
      return patchSystem(client, () => ({ devices: event.devices, host: event.host }));
    default:
      return unknown(event);
  }
}

/** A newer server may send events that this page does not know; it shows less, and does not break. */
function unknown(event: never): void {
  console.warn("unknown live event", (event as { type: string }).type);
}

/** Puts what the server said about a job everywhere it is shown. */
export function jobChanged(client: QueryClient, news: JobOut): void {
  const before = lastWord(news.id);
  const job = mergeJob(before, news);
  remember(job);
  if (hasEnded(job) || job.status === "queued") dropPreviews(job.id, job.status === "completed");
  client.setQueryData<JobOut[]>(keys.recentJobs, (list) => {
    if (!list) return list;
    const found = list.some((item) => item.id === job.id);
    return found ? list.map((item) => (item.id === job.id ? job : item)) : trimmed([job, ...list]);
  });
  client.setQueryData<JobOut>(keys.job(job.id), job);
  let shown = false;
  client.setQueriesData<JobPages>({ queryKey: keys.jobLists }, (data) =>
    mapJobPages(data, (item) => {
      if (item.id !== job.id) return item;
      shown = true;
      return job;
    }),
  );
  // A new job, or one that moved to another list: lists ask again.
  if (!shown || before?.status !== job.status) refreshSoon(client, keys.jobLists);
}

/** All that is active, and the newest that ended: a page that stays open for weeks keeps its size. */
function trimmed(list: JobOut[]): JobOut[] {
  if (list.length <= ENDED_KEPT) return list;
  return list.filter((job, index) => index < ENDED_KEPT || !hasEnded(job));
}

const refreshing = new Set<QueryKey>();

/** A thousand jobs that end within a second ask for the lists twice, not a thousand times. */
function refreshSoon(client: QueryClient, queryKey: QueryKey): void {
  if (refreshing.has(queryKey)) return;
  refreshing.add(queryKey);
  setTimeout(() => {
    refreshing.delete(queryKey);
    void client.invalidateQueries({ queryKey });
  }, 400);
}

function jobProgress(client: QueryClient, event: Extract<Event, { type: "job.progress" }>): void {
  const known = lastWord(event.id);
  if (known && (hasEnded(known) || event.attempt < known.attempt)) return;
  if (known) remember(advance(known, event));
  patchJobs(client, (job) => (job.id === event.id ? advance(job, event) : job));
  patchModels(client, (model) => {
    if (model.download?.job_id !== event.id) return model;
    // Its speed and its files come with no event.
    refreshModels(client, FIGURES_EVERY);
    return { ...model, download: advanceDownload(model.download, event) };
  });
  if (!event.previews?.length) return;
  previews.set((all) => {
    const ours = new Map(all.get(event.id));
    for (const preview of event.previews ?? []) ours.set(preview.index, preview);
    const next = new Map(all).set(event.id, ours);
    if (next.size > PREVIEWS_KEPT) next.delete(next.keys().next().value as string);
    return next;
  });
}

function jobRemoved(client: QueryClient, id: string): void {
  forget(id);
  dropPreviews(id, false);
  client.setQueryData<JobOut[]>(keys.recentJobs, (list) => list?.filter((job) => job.id !== id));
  client.setQueriesData<JobPages>({ queryKey: keys.jobLists }, (data) =>
    data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.filter((job) => job.id !== id) })) },
  );
  client.removeQueries({ queryKey: keys.job(id) });
}

/** Takes pictures off every list at once; also used before the server has answered a deletion. */
export function dropImages(client: QueryClient, ids: ReadonlySet<string>): void {
  removeImages(client, ids);
  patchJobs(client, (job) =>
    job.images.some((image) => ids.has(image.id)) ? { ...job, images: job.images.filter((image) => !ids.has(image.id)) } : job,
  );
}

/** Puts deleted pictures back where they were; also used as soon as the server has said yes. */
export function restoreImages(client: QueryClient, images: ImageOut[]): void {
  returnImages(client, images);
  patchJobs(client, (job) => withRestored(job, images));
}

/** Puts what somebody said of pictures everywhere they are shown; also used before the server has answered. */
export function imagesChanged(client: QueryClient, images: ImageOut[]): void {
  changeImages(client, images);
  const news = new Map(images.map((image) => [image.id, image]));
  patchJobs(client, (job) => (job.images.some((image) => news.has(image.id)) ? { ...job, images: job.images.map((image) => news.get(image.id) ?? image) } : job));
}

function withRestored(job: JobOut, images: ImageOut[]): JobOut {
  const back = images.filter((image) => image.job_id === job.id && !job.images.some((own) => own.id === image.id));
  return back.length ? { ...job, images: [...job.images, ...back].sort((a, b) => a.index - b.index) } : job;
}

function patchJobs(client: QueryClient, change: (job: JobOut) => JobOut): void {
  client.setQueryData<JobOut[]>(keys.recentJobs, (list) => list?.map(change));
  client.setQueriesData<JobOut>({ queryKey: ["jobs", "one"] }, (job) => job && change(job));
  client.setQueriesData<JobPages>({ queryKey: keys.jobLists }, (data) => mapJobPages(data, change));
}

function mapJobPages(data: JobPages | undefined, change: (job: JobOut) => JobOut): JobPages | undefined {
  return data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map(change) })) };
}

function patchModels(client: QueryClient, change: (model: ModelOut) => ModelOut): void {
  client.setQueryData<ModelOut[]>(keys.models, (list) => {
    const next = list?.map(change);
    // The same list when nothing changed: not one card is drawn again.
    return next?.some((model, index) => model !== list?.[index]) ? next : list;
  });
}

/** Downloads count KiB as steps. Their bytes never go backwards; the speed comes with the next answer. */
function advanceDownload(download: DownloadOut, { step, total_steps, eta_seconds }: Progress): DownloadOut {
  return { ...download, state: "downloading", paused: false, done_bytes: Math.max(download.done_bytes, Math.min(step * 1024, total_steps * 1024)), seconds_left: eta_seconds ?? download.seconds_left };
}

const STATE_OF = { starting: "loading", loading: "loading", ready: "ready", busy: "ready", parked: "parked" } as const;

/** A model's state follows its worker at once; the reason and the figures come with the next answer. */
function modelOfWorker(client: QueryClient, worker: WorkerOut): void {
  // What downloads a model does not hold it.
  if (worker.engine === "hub_download" || worker.engine === "picture_reader") return;
  const state = worker.state in STATE_OF ? STATE_OF[worker.state as keyof typeof STATE_OF] : worker.state === "failed" ? "error" : "idle";
  let changed = false;
  patchModels(client, (model) => {
    if (model.key !== worker.model || (model.state === state && model.worker_id === worker.id)) return model;
    // The end of an earlier worker says nothing about the present one.
    if ((state === "idle" || state === "error") && model.worker_id && model.worker_id !== worker.id) return model;
    changed = true;
    return { ...model, state, worker_id: state === "idle" || state === "error" ? null : worker.id };
  });
  if (changed) refreshModels(client, 300);
}

let modelsRefresh: { at: number; timer: ReturnType<typeof setTimeout> } | undefined;

/** Asks for the models within `ms`; the sooner of several wishes counts. */
function refreshModels(client: QueryClient, ms: number): void {
  const at = Date.now() + ms;
  if (modelsRefresh && modelsRefresh.at <= at) return;
  clearTimeout(modelsRefresh?.timer);
  const timer = setTimeout(() => {
    modelsRefresh = undefined;
    void client.invalidateQueries({ queryKey: keys.models });
  }, ms);
  modelsRefresh = { at, timer };
}

function patchSystem(client: QueryClient, change: (system: SystemOut) => Partial<SystemOut>): void {
  client.setQueryData<SystemOut>(keys.system, (system) => system && { ...system, ...change(system) });
}

/** After success the last preview stays: the tile shows it until the picture itself has loaded. */
function dropPreviews(jobId: string, keep: boolean): void {
  if (keep || !previews.get().has(jobId)) return;
  previews.set((all) => {
    const rest = new Map(all);
    rest.delete(jobId);
    return rest;
  });
}

/** What the server remembers replaces what was heard: a browser that slept has gaps. Later events stay. */
export function beginSamples(history: HistoryOut): void {
  const told = history.at.map((at, row): Sample => ({
    at, cpu: history.cpu[row] ?? null, memory: history.memory_used_bytes[row] ?? null,
    devices: history.devices.map((device) => ({ index: device.index, used: device.used_bytes[row] ?? null, load: device.utilization[row] ?? null, temperature: device.temperature_c[row] ?? null, power: device.power_w[row] ?? null })),
  }));
  const last = told.at(-1)?.at ?? 0;
  samples.set((heard) => [...told, ...heard.filter((sample) => sample.at > last)]);
}

function addSample(at: number, devices: SystemOut["devices"], host: SystemOut["host"]): void {
  const sample: Sample = {
    at, cpu: host.cpu_percent / 100, memory: host.memory_used_bytes,
    devices: devices.map((device) => (device.problem ? { index: device.index, used: null, load: null, temperature: null, power: null } : { index: device.index, used: device.used_bytes, load: device.utilization, temperature: device.temperature_c, power: device.power_w })),
  };
  samples.set((list) => [...list.filter((one) => one.at > at - SAMPLES_KEPT_SECONDS && one.at < at), sample]);
}
