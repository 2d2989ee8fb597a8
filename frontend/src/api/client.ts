/** The one place that talks HTTP: addresses, JSON, errors, and the padlock on a 401. */
import { Signal } from "@/lib/signal";

import { offline, problemOf } from "./errors";
import type {
  AcceptedOut, DeletedOut, ImageOut, ImagePage, JobKind, JobOut, JobPage, JobStatus, MeOut, ModelList, SchedulerList, SystemOut, TextToImageIn,
} from "./types";

/** True while the server wants a token that this browser has not given. */
export const locked = new Signal(false);

interface Options {
  query?: Record<string, string | number | readonly string[] | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function send<T>(method: string, path: string, { query, body, headers, signal }: Options = {}): Promise<T> {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined && each !== "") search.append(key, String(each));
  }
  const url = `/api${path}${search.size ? `?${search}` : ""}`;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      signal,
      credentials: "same-origin",
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw offline();
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.status === 401 && path !== "/access/session") locked.set(true);
    throw problem;
  }
  return (response.status === 204 ? undefined : await response.json()) as T;
}

const enc = encodeURIComponent;

export interface JobFilter { status?: readonly JobStatus[]; kind?: readonly JobKind[] }

export const api = {
  textToImage: (body: TextToImageIn, key: string) =>
    send<AcceptedOut>("POST", "/generate/text-to-image", { body, headers: { "Idempotency-Key": key } }),

  jobs: (filter: JobFilter & { cursor?: string; limit?: number }, signal?: AbortSignal) => send<JobPage>("GET", "/jobs", { query: { ...filter }, signal }),
  job: (id: string, signal?: AbortSignal) => send<JobOut>("GET", `/jobs/${enc(id)}`, { signal }),
  /** Cancels an active job, removes an ended one from the list. */
  deleteJob: (id: string) => send<JobOut>("DELETE", `/jobs/${enc(id)}`),
  retryJob: (id: string) => send<JobOut>("POST", `/jobs/${enc(id)}/retry`),

  gallery: (query: { cursor?: string; limit?: number; q?: string }, signal?: AbortSignal) => send<ImagePage>("GET", "/gallery", { query, signal }),
  image: (id: string, signal?: AbortSignal) => send<ImageOut>("GET", `/gallery/${enc(id)}`, { signal }),
  deleteImage: (id: string) => send<DeletedOut>("DELETE", `/gallery/${enc(id)}`),
  restoreImage: (id: string) => send<ImageOut>("POST", `/gallery/${enc(id)}/restore`),

  models: (signal?: AbortSignal) => send<ModelList>("GET", "/models/", { signal }),
  schedulers: (signal?: AbortSignal) => send<SchedulerList>("GET", "/schedulers", { signal }),

  system: (signal?: AbortSignal) => send<SystemOut>("GET", "/system", { signal }),
  buildEnvironment: (name: string) => send<JobOut>("POST", `/system/environments/${enc(name)}/build`),
  stopWorker: (id: string) => send<unknown>("POST", `/system/workers/${enc(id)}/stop`),

  me: (signal?: AbortSignal) => send<MeOut>("GET", "/access/me", { signal }),
  unlock: (token: string) => send<void>("POST", "/access/session", { body: { token } }),
  lock: () => send<void>("DELETE", "/access/session"),
};

/** Where a picture's file is saved from. */
export function downloadUrl(image: Pick<ImageOut, "url">): string {
  return `${image.url}${image.url.includes("?") ? "&" : "?"}download=1`;
}

export function fileName(image: Pick<ImageOut, "id" | "prompt" | "format" | "seed">): string {
  const words = image.prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 48);
  return `${words || "picture"}-${image.seed}.${image.format === "jpeg" ? "jpg" : image.format}`;
}
