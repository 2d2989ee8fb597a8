/**
 * Atelier in memory: the same addresses, shapes and events as the server, typed by the same OpenAPI description.
 * Serves `npm run dev:mock` (through vite-plugin.ts) and the unit tests (through setup.ts).
 *
 * Prompts that do something special: "fail:oom", "fail:crash", "slow …", "wait:environment …", "wait:memory …",
 * "refuse:field", "refuse:full", "refuse:500".
 */
import type { BulkEditIn, DeviceOut, EnvironmentOut, ErrorOut, Event, GridIn, ImageEditIn, ImageOut, JobOut, Problem, ServerFrame, TextToImageIn, WorkerOut } from "@/api/types";

import { dependencies, endpoints, history, moving } from "./machine.ts";
import { device, environment, image, iso, job, models, schedulers } from "./data.ts";
import { MockGallery } from "./galleryRoutes.ts";
import { MockPrompts } from "./promptRoutes.ts";
import { MockChats } from "./chatRoutes.ts";
import { MockInputs } from "./inputs.ts";
import { MockModels } from "./modelRoutes.ts";
import { creature, dataUrl } from "./pictures.ts";
import { MockWork } from "./workRoutes.ts";

export interface Scenario { images?: number; jobs?: JobOut[]; workers?: WorkerOut[]; environments?: EnvironmentOut[]; devices?: DeviceOut[]; token?: string; stepMs?: number; sockets?: boolean; zoo?: boolean; role?: "admin" | "user" }
type Listener = (frame: ServerFrame) => void;

const DOWNLOADS = { message: "Downloading torch-2.13.0 (812.4 MB) (14 of 61)", said: { code: "build.downloads_one", params: { name: "torch-2.13.0 (812.4 MB)", done: 14, total: 61 } } };
const INSTALLS = { message: "Installing packages (40 of 61)", said: { code: "build.installs_some", params: { done: 40, total: 61 } } };
const OPEN = { id: "local", name: "Administrator", role: "admin" as "admin" | "user", open: true };

export class MockAtelier {
  epoch = "epoch-1";
  seq = 0;
  stepMs = 120;
  jobs: JobOut[] = [];
  images: ImageOut[] = [];
  trash = new Map<string, ImageOut>();
  inputs = new MockInputs();
  workers: WorkerOut[] = [];
  environments: EnvironmentOut[] = [];
  devices: DeviceOut[] = [];
  token: string | null = null;
  unlocked = false;
  models = new MockModels(this);
  gallery = new MockGallery(this);
  prompts = new MockPrompts();
  chats = new MockChats(this);
  work = new MockWork(this);
  role: "admin" | "user" = "admin";
  listeners = new Set<Listener>();
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #next = 1;
  #busy = false;

  constructor(scenario: Scenario = {}) {
    this.reset(scenario);
  }

  reset({ images = 0, jobs = [], workers = [], environments = [environment()], devices = [device()], token, stepMs = 120, zoo = false, role = "admin" }: Scenario = {}): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#busy = false;
    this.models.reset(zoo);
    this.chats.reset();
    this.work.reset();
    this.role = role;
    this.images = Array.from({ length: images }, (_, number) => image(number));
    this.gallery.reset(zoo);
    this.trash.clear();
    Object.assign(this, { jobs: [...jobs], workers: [...workers], environments: [...environments], devices: [...devices], token: token ?? null, unlocked: false, stepMs });
    this.restart();
  }

  /** As after a restart of the server: a new epoch, everyone connects again. */
  restart(): void {
    this.epoch = `epoch-${Math.random().toString(36).slice(2, 8)}`;
    this.seq = 0;
    for (const listener of this.listeners) listener(this.snapshot());
  }

  snapshot(): ServerFrame {
    return { type: "snapshot", epoch: this.epoch, seq: this.seq, jobs: this.jobs.slice(0, 60), workers: this.workers, environments: this.environments, devices: this.devices, host: this.host() };
  }

  connect(listener: Listener): () => void {
    this.listeners.add(listener);
    listener(this.snapshot());
    return () => this.listeners.delete(listener);
  }

  emit(...events: Event[]): void {
    this.seq += events.length;
    for (const listener of this.listeners) listener({ type: "events", epoch: this.epoch, seq: this.seq, events });
  }

  host() {
    const wave = Math.sin(Date.now() / 9000);
    return { cpu_percent: 34 + 18 * wave + 6 * Math.sin(Date.now() / 1700), memory_used_bytes: (17 + 2 * wave) * 1024 ** 3, memory_total_bytes: 64 * 1024 ** 3 };
  }

  sample(): void {
    this.emit({ type: "devices.sampled", at: Date.now() / 1000, devices: this.devices.map((one) => moving(one, Date.now() / 1000)), host: this.host() });
  }

  later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  // ── work ──────────────────────────────────────────────────────────────────

  patch(id: string, change: Partial<JobOut>): JobOut | undefined {
    const at = this.jobs.findIndex((item) => item.id === id);
    const known = this.jobs[at];
    if (!known) return undefined;
    const next = { ...known, ...change };
    this.jobs[at] = next;
    this.emit({ type: "job.changed", job: next });
    return next;
  }

  enqueue(request: TextToImageIn, path: string): JobOut {
    const model = models.find((item) => item.key === request.model) ?? models[0];
    const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
    const resolved = { ...request, model: model?.key, num_outputs: request.num_outputs ?? 1, steps: request.steps ?? 30, guidance_scale: request.guidance_scale ?? 5, width: request.width ?? 256, height: request.height ?? 256, seed, seeds: Array.from({ length: request.num_outputs ?? 1 }, (_, index) => seed + index), ...this.inputs.resolve(path, request, this.images) };
    const made = job(`job_${String(this.#next++).padStart(4, "0")}`, { title: request.prompt ?? "", request: { ...request, resolved }, total_steps: resolved.steps, attempt: 0 });
    this.jobs.unshift(made);
    this.line();
    this.emit({ type: "job.changed", job: this.find(made.id) ?? made });
    this.later(this.stepMs, () => this.pump());
    return this.find(made.id) ?? made;
  }

  find(id: string): JobOut | undefined {
    return this.jobs.find((item) => item.id === id);
  }

  /** Numbers the waiting, oldest first. */
  line(): void {
    let position = 1;
    for (const item of [...this.jobs].reverse()) {
      if (item.status === "queued") this.jobs[this.jobs.indexOf(item)] = { ...item, position: position++, waiting: { reason: "queue", message: "Waits for its turn.", said: { code: "waiting.next", params: {} } } };
    }
  }

  pump(): void {
    if (this.#busy) return;
    const next = [...this.jobs].reverse().find((item) => item.status === "queued");
    if (!next) return;
    this.#busy = true;
    const prompt = String(next.request.prompt ?? "");
    this.patch(next.id, { status: "running", position: null, waiting: null, started_at: iso(Date.now()), attempt: next.attempt + 1 });
    this.line();
    for (const item of this.jobs) if (item.status === "queued") this.emit({ type: "job.changed", job: item });
    if (prompt.startsWith("wait:environment")) return this.buildThen(next.id, 0);
    if (prompt.startsWith("wait:memory")) {
      this.patch(next.id, { waiting: { reason: "memory", message: "waits for memory: qwen holds 61.0 GB, idle", said: { code: "waiting.memory_held", params: { model: "qwen", bytes: 61e9, doing: "idle" } } } });
      return;
    }
    this.step(next.id, 0);
  }

  buildThen(id: string, percent: number): void {
    const building = environment({ state: "building", fraction: percent / 100, ...(percent < 60 ? DOWNLOADS : INSTALLS), packages: null });
    this.environments = [building];
    this.emit({ type: "environment.changed", environment: building });
    if (percent === 0) this.patch(id, { waiting: { reason: "environment", message: "The image engine is being set up (0 %).", said: { code: "environment.building", params: { engine: "image", fraction: 0 } } } });
    if (percent >= 100) {
      this.environments = [environment()];
      this.emit({ type: "environment.changed", environment: environment() });
      this.patch(id, { waiting: null });
      return this.step(id, 0);
    }
    this.later(this.stepMs * 2, () => this.buildThen(id, percent + 4));
  }

  step(id: string, at: number): void {
    const running = this.find(id);
    if (!running || running.status !== "running") return this.free();
    if (running.cancel_requested) {
      this.patch(id, { status: "cancelled", finished_at: iso(Date.now()), eta_seconds: null });
      return this.free();
    }
    const request = resolvedOf(running);
    const total = request.steps;
    if (at > total / 2 && request.prompt.startsWith("fail:")) return this.fail(id, request.prompt.slice(5).split(" ")[0] ?? "");
    if (at >= total) return this.finish(id);
    const progress = (at + 1) / total;
    const eta = ((total - at) * this.stepMs) / 1000;
    this.jobs = this.jobs.map((item) => (item.id === id ? { ...item, step: at + 1, progress, eta_seconds: eta } : item));
    const previews = at % 3 === 2 ? Array.from({ length: request.num_outputs }, (_, index) => ({ index, data_url: dataUrl(creature(request.seed + index, 64, Math.round((64 * request.height) / request.width), progress * 0.95)), final: false })) : null;
    this.emit({ type: "job.progress", id, attempt: running.attempt, progress, step: at + 1, total_steps: total, message: null, eta_seconds: eta, previews });
    this.later(this.stepMs * (request.prompt.startsWith("slow") ? 10 : 1), () => this.step(id, at + 1));
  }

  finish(id: string): void {
    const running = this.find(id);
    if (!running) return this.free();
    const request = resolvedOf(running);
    const made = Array.from({ length: request.num_outputs }, (_, index) =>
      image(0, { id: `${id.replace("job", "img")}_${index}`, job_id: id, index, kind: request.task === "image_to_video" ? "video" : "image", format: request.task === "image_to_video" ? "webp" : "png", prompt: request.prompt, negative_prompt: request.negative_prompt ?? "", seed: request.seed + index, width: request.width, height: request.height, created_at: iso(Date.now()) }),
    );
    this.images = [...[...made].reverse(), ...this.images];
    this.emit({ type: "images.added", job_id: id, images: made });
    this.patch(id, { status: "completed", progress: 1, images: made, eta_seconds: null, finished_at: iso(Date.now()) });
    this.free();
  }

  fail(id: string, why: string): void {
    const error: ErrorOut = why === "oom"
      ? { code: "out_of_memory", message: "the pictures do not fit into memory", hint: "Ask for a smaller size or fewer at once.", said: { code: "engine.out_of_memory", params: {} }, log_tail: "CUDA out of memory. Tried to allocate 2.31 GiB.\nGPU 0 has 0.42 GiB free of 47.4 GiB." }
      : { code: "poison", message: "It was broken off 2 times, so it is not tried again. The worker crashed in native code (segmentation fault) during a run.", hint: "The worker's last lines say more.", said: { code: "poison", params: { count: 2, cause: "worker.segfault", phase: "busy" } }, log_tail: "Segmentation fault (core dumped)" };
    this.patch(id, { status: "failed", error, eta_seconds: null, finished_at: iso(Date.now()) });
    this.free();
  }

  free(): void {
    this.#busy = false;
    this.pump();
  }

  // ── REST ──────────────────────────────────────────────────────────────────

  async handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const body = async <T>() => (await request.json()) as T;
    const [, , area = "", id = "", verb = ""] = url.pathname.split("/");
    const route = `${request.method} ${area}`;
    if (area === "mock") {
      if (id === "reset") this.reset(await body<Scenario>());
      if (id === "restart") this.restart();
      return json(200, { ok: true });
    }
    if (area === "access") {
      if (id === "me") return json(200, this.token === null ? { ...OPEN, role: this.role } : this.unlocked ? { ...OPEN, open: false } : { id: null, name: null, role: null, open: false });
      if (request.method === "DELETE") this.unlocked = false;
      else if ((await body<{ token: string }>()).token !== this.token) return problem(401, "unauthorized", "That token is not this Atelier's.", [{ field: "token", message: "does not match" }], "", { code: "access.wrong_token", params: {} });
      else this.unlocked = true;
      return new Response(null, { status: 204 });
    }
    if (area === "gallery" && (verb === "file" || verb === "thumbnail")) {
      const number = (name: string) => Number(url.searchParams.get(name) ?? 256);
      return new Response(creature(number("s"), number("w"), number("h")), { headers: { "Content-Type": "image/svg+xml", "Cache-Control": "max-age=3600" } });
    }
    if (this.token !== null && !this.unlocked) return problem(401, "unauthorized", "This Atelier needs its access token.");
    if (["models", "hub", "plan", "admin"].includes(area)) return this.models.answer(request, url);
    if (area === "prompts" || area === "styles") return this.prompts.answer(request, url, area, id);
    if (url.pathname.startsWith("/v1/")) return this.work.openai(request, url);
    if (area === "chat" && id === "benchmarks") return this.work.benchmark(request, verb, url.pathname.split("/")[5] ?? "");
    if (area === "chat") return this.chats.answer(request, url);
    if (area === "inputs") return this.inputs.answer(request, url);
    switch (route) {
      case "POST generate": if (id === "settings") return json(200, { source: "a1111", settings: { prompt: "a fox in the snow", steps: 12, guidance_scale: 6.5, seed: 77 }, missing: [{ kind: "lora", name: "paper" }], model_name: null, text: null, recipe: null, width: 256, height: 256 });
      return this.accept(await body<TextToImageIn>(), id);
      case "GET jobs": return id ? this.one(this.find(id), "job") : this.page(this.jobs.filter((item) => matches(item, url.searchParams)), url);
      case "DELETE jobs": return this.removeJob(id);
      case "POST jobs": return this.again(id);
      case "GET gallery": {
        if (id === "storage") return json(200, this.gallery.storage());
        if (id === "marks") return this.page(this.gallery.list(url.searchParams).map(({ id, favourite = false, rating = 0, tags = [], collections = [] }) => ({ id, favourite, rating, tags, collections })), url);
        if (id === "facets") return json(200, this.gallery.facets());
        if (verb === "lineage") return json(200, this.gallery.lineage(id));
        if (id) return this.one(this.images.find((item) => item.id === id), "image");
        const whole = [...url.searchParams.keys()].every((name) => name === "limit" || name === "sort");
        return this.page(this.gallery.list(url.searchParams), url, { total: whole ? this.images.length : null });
      }
      case "PATCH gallery": return this.one(this.gallery.edit(id, await body<ImageEditIn>()), "image");
      case "GET collections": return json(200, { items: this.gallery.counted() });
      case "POST collections":
      case "PATCH collections":
      case "DELETE collections": {
        const { name = "" } = request.method === "DELETE" ? {} : await body<{ name?: string }>();
        const outcome = this.gallery.collection(request.method, id, name);
        if (outcome === "taken") return problem(409, "conflict", `There is a collection '${name}' already.`, [{ field: "name", message: `There is a collection '${name}' already.` }], "Choose another name.", { code: "collection.name_taken", params: { name } });
        return outcome ? json(outcome.status, outcome.body) : this.one(undefined, "collection");
      }
      case "DELETE gallery": return id === "trash" ? json(200, this.gallery.emptyTrash()) : this.removeImage(id);
      case "POST gallery":
        if (verb === "verify") {
          const verified = this.gallery.verify(id);
          return verified ? json(202, { job_id: verified.job_id, status: "completed", position: null }) : this.one(undefined, "image");
        }
        return id === "edit" ? json(200, this.gallery.editMany(await body<BulkEditIn>())) : this.restoreImage(id);
      case "POST grids": {
        const { request: wanted, x, y } = await body<GridIn>();
        return this.accept({ ...wanted, num_outputs: x.values.length * (y?.values.length ?? 1) }, "text-to-image");
      }
      case "GET creatures": return json(200, { backend: "files", pictures: 6, model: "creatures", steps: 1, width: null, height: null, names: "local", rate_per_minute: 60, weights: { F: 400, E: 250, D: 150, C: 100, B: 60, A: 25, S: 12, "S+": 3 } });
      case "GET schedulers": return json(200, { items: schedulers });
      case "GET system":
        if (id === "history") return json(200, history(this.devices, this.host().memory_total_bytes));
        if (id === "dependencies") return json(200, { items: dependencies });
        if (id === "endpoints") return json(200, endpoints);
        if (id === "workers") return json(200, { lines: this.workers.find((item) => item.id === decodeURIComponent(verb))?.log_tail ?? [], next: 0, skipped: false });
        return json(200, { version: "0.1.0", started_at: iso(Date.now() - 5_400_000), data_dir_free_bytes: 412 * 1024 ** 3, devices: this.devices, host: this.host(), workers: this.workers, environments: this.environments });
      case "POST system": return this.order(id, decodeURIComponent(verb));
      default: return problem(404, "not_found", `There is no ${url.pathname}.`);
    }
  }

  one(found: object | undefined, what: string): Response {
    return found ? json(200, found) : problem(404, `${what}_not_found`, `There is no such ${what}.`);
  }

  page<T>(items: T[], url: URL, more: object = {}): Response {
    const limit = Number(url.searchParams.get("limit") ?? 60);
    const start = Number(url.searchParams.get("cursor") ?? 0);
    return json(200, { items: items.slice(start, start + limit), next_cursor: start + limit < items.length ? String(start + limit) : null, ...more });
  }

  /** `path` says what is done: a picture from words, or something with a picture. */
  accept(request: TextToImageIn, path: string): Response {
    const why = /^refuse:(\w+)/.exec(request.prompt ?? "")?.[1];
    if ((!request.prompt && !["upscale", "image-to-video"].includes(path)) || why === "field") return problem(422, "validation_failed", "steps: Input should be less than or equal to 200 (got 900)", [{ field: "steps", message: "Input should be less than or equal to 200 (got 900)", said: { code: "field.less_than_equal", params: { le: 200 } } }, { field: "clip_skip", message: "Input should be less than or equal to 8 (got 9)", said: { code: "field.less_than_equal", params: { le: 8 } } }], "Correct the named fields; /docs lists what each may be.");
    if (why === "full") return problem(429, "queue_full", "The queue is full: 200 jobs wait already.", [], "Try again in a few seconds, or cancel jobs that are no longer wanted.", { code: "queue_full", params: { count: 200 } });
    if (why === "500") return problem(500, "internal_error", "Something went wrong inside Atelier.", [], "Try again. If it stays, look for the request id in the log.");
    const made = this.enqueue(request, path);
    this.prompts.note(request.prompt ?? "", request.negative_prompt ?? "");
    return json(202, { job_id: made.id, status: "queued", position: made.position });
  }

  removeJob(id: string): Response {
    const found = this.find(id);
    if (!found) return problem(404, "job_not_found", "There is no such job.");
    if (found.status === "queued" || (found.status === "running" && found.waiting)) {
      const ended = this.patch(id, { status: "cancelled", position: null, waiting: null, finished_at: iso(Date.now()) });
      if (found.status === "running") this.free();
      return json(200, ended);
    }
    if (found.status === "running") return json(200, this.patch(id, { cancel_requested: true }));
    this.jobs = this.jobs.filter((item) => item.id !== id);
    this.emit({ type: "job.removed", id });
    return json(200, found);
  }

  again(id: string): Response {
    const found = this.patch(id, { status: "queued", error: null, progress: 0, step: 0, cancel_requested: false, finished_at: null, started_at: null, position: 1, request: { ...this.find(id)?.request, prompt: String(this.find(id)?.request.prompt ?? "").replace(/^fail:/, "again:") } });
    if (!found) return problem(404, "job_not_found", "There is no such job.");
    this.later(this.stepMs, () => this.pump());
    return json(202, found);
  }

  removeImage(id: string): Response {
    const found = this.images.find((item) => item.id === id);
    if (!found) return problem(404, "image_not_found", "There is no such image.");
    this.trash.set(id, found);
    this.images = this.images.filter((item) => item.id !== id);
    this.jobs = this.jobs.map((item) => ({ ...item, images: item.images.filter((own) => own.id !== id) }));
    this.emit({ type: "images.removed", ids: [id] });
    return json(200, { id, deleted_at: iso(Date.now()), restorable_until: iso(Date.now() + 600_000) });
  }

  restoreImage(id: string): Response {
    const found = this.trash.get(id);
    if (!found) return problem(404, "image_not_found", "There is no such image.");
    this.trash.delete(id);
    this.images = [...this.images, found].sort((a, b) => b.created_at.localeCompare(a.created_at) || b.index - a.index);
    this.jobs = this.jobs.map((item) => (item.id === found.job_id ? { ...item, images: [...item.images, found] } : item));
    this.emit({ type: "images.restored", images: [found] });
    return json(200, found);
  }

  order(what: string, name: string): Response {
    if (what === "workers") {
      const found = this.workers.find((item) => item.id === name);
      if (!found) return problem(404, "worker_not_found", "There is no such worker.");
      this.workers = this.workers.filter((item) => item.id !== name);
      this.emit({ type: "worker.changed", worker: { ...found, state: "stopped" } });
      return json(200, {});
    }
    const built = job(`job_env_${this.#next++}`, { kind: "environment.build", title: `Set up ${name}`, request: { name }, total_steps: 0, status: "running", started_at: iso(Date.now()) });
    this.jobs.unshift(built);
    this.emit({ type: "job.changed", job: built }, { type: "environment.changed", environment: environment({ name, state: "building", fraction: 0.1, message: "Downloading torch 2.13.0", packages: null, job_id: built.id }) });
    return json(202, built);
  }
}

function resolvedOf(item: JobOut) {
  return { ...item.request, ...(item.request.resolved as object | undefined), prompt: String(item.request.prompt ?? "") } as unknown as Required<TextToImageIn> & { task: string; width: number; height: number; seed: number; steps: number };
}

function matches(item: JobOut, query: URLSearchParams): boolean {
  const statuses = query.getAll("status");
  return statuses.length === 0 || statuses.includes(item.status);
}

function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

function problem(status: number, code: string, detail: string, errors: Problem["errors"] = [], hint = "", said: Problem["said"] = null): Response {
  const body: Problem = { type: "about:blank", title: code.replaceAll("_", " "), status, detail, code, errors, hint, said, request_id: "req_mock_01" };
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/problem+json", "X-Request-Id": "req_mock_01" } });
}
