/** Answers for /api/models, /api/hub, /api/plan and /api/admin: models that load, download, and go. */
import type { ModelOut, PlanIn, Problem, TokenOut } from "@/api/types";

import type { MockAtelier } from "./atelier.ts";
import { models as shipped } from "./data.ts";
import { downloadJob, downloadOf, estimateOf, found, hits, modelOf, noToken, offers, planOf, zoo } from "./models.ts";

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

function problem(status: number, code: string, detail: string, hint = "", errors: Problem["errors"] = []): Response {
  return new Response(JSON.stringify({ type: "about:blank", title: code, status, detail, code, errors, hint, request_id: "req_mock_01" }), { status, headers: { "Content-Type": "application/problem+json" } });
}

export class MockModels {
  list: ModelOut[] = [];
  token: TokenOut = noToken;
  found = found;
  #atelier: MockAtelier;

  constructor(atelier: MockAtelier) {
    this.#atelier = atelier;
  }

  reset(everything: boolean): void {
    this.list = everything ? zoo() : shipped.map((model) => modelOf(model));
    this.token = noToken;
  }

  find(key: string): ModelOut | undefined {
    return this.list.find((model) => model.key === key);
  }

  patch(key: string, change: Partial<ModelOut>): void {
    this.list = this.list.map((model) => (model.key === key ? { ...model, ...change } : model));
    this.#atelier.emit({ type: "models.changed" });
  }

  async answer(request: Request, url: URL): Promise<Response> {
    const [, , area = "", first = "", second = "", third = ""] = url.pathname.split("/").map(decodeURIComponent);
    const body = async <T>() => (await request.json()) as T;
    if (area === "plan") return json(200, estimateOf(await body<PlanIn>(), this.list));
    if (area === "hub") return first === "search" ? this.search(url) : this.planned(await body<{ repo: string; file?: string }>());
    if (area === "admin" && first === "huggingface") return this.tokens(request, request.method === "POST" ? (await body<{ token: string }>()).token : "");
    if (area === "admin") return this.order(second, third);
    switch (`${request.method} ${first}`) {
      case "GET ": return json(200, { items: this.list });
      case "GET catalogue": return json(200, { items: offers });
      case "GET found": return json(200, { cache: "/home/ada/.cache/huggingface/hub", items: this.found });
      case "POST import": return this.take(await body<{ path: string; key?: string; name?: string }>());
      case "POST download": return this.download(await body<{ repo: string; key?: string; name?: string }>());
    }
    const model = this.find(first);
    if (!model) return problem(404, "model_not_found", "There is no such model.");
    if (second === "consequences") return json(200, { key: first, removable: model.removable, reason: null, files: model.source === "hub" ? "deleted" : "kept", bytes_freed: model.source === "hub" ? model.size_bytes : 0, loras: this.list.filter((each) => each.base === model.key).map(({ key }) => key), jobs: [], workers: model.worker_id ? [model.worker_id] : [] });
    if (second === "download" && model.download) {
      this.patch(first, { download: { ...model.download, paused: third === "pause", state: third === "pause" ? "paused" : "downloading", error: null } });
      return json(200, this.find(first));
    }
    if (request.method === "PATCH") this.patch(first, await body<Partial<ModelOut>>());
    if (request.method === "DELETE") {
      this.list = this.list.filter((each) => each.key !== first);
      this.#atelier.emit({ type: "models.changed" });
      return json(200, model);
    }
    return json(200, this.find(first));
  }

  search(url: URL): Response {
    const query = (url.searchParams.get("query") ?? "").toLowerCase();
    if (query === "fail:hub") return problem(503, "hub_unreachable", "The hub at https://huggingface.co cannot be reached.", "Look at the network, the proxy and HF_ENDPOINT. What is on this machine already works.");
    const task = url.searchParams.get("task");
    return json(200, { endpoint: "https://huggingface.co", items: hits.filter((hit) => hit.repo.toLowerCase().includes(query) && (!task || hit.task === task)) });
  }

  planned({ repo, file = "" }: { repo: string; file?: string }): Response {
    if (repo.includes("pickle")) return problem(409, "unsafe_format", "The repository has no safetensors weights. Pickles (.bin, .pt, .ckpt and the like) can run code and are not fetched.", "Take a repository that is published in safetensors.");
    return json(200, planOf(repo, file, this.token.is_set, this.list));
  }

  tokens(request: Request, token: string): Response {
    if (request.method === "POST") {
      if (!token.startsWith("hf_")) return problem(422, "validation_failed", "That is no token of the hub.", "", [{ field: "token", message: "It begins with hf_." }]);
      this.token = { is_set: true, name: "ada", checked_at: new Date().toISOString(), source: "stored", remark: null };
    } else if (request.method === "DELETE") this.token = noToken;
    return json(200, this.token);
  }

  order(key: string, verb: string): Response {
    if (!this.find(key)) return problem(404, "model_not_found", "There is no such model.");
    if (verb === "unload") this.patch(key, { state: "idle", loaded_bytes: 0, worker_id: null });
    if (verb === "park") this.patch(key, { state: "parked" });
    if (verb === "load") {
      this.patch(key, { state: "loading", state_reason: null });
      this.#atelier.later(this.#atelier.stepMs * 8, () => this.patch(key, { state: "ready", state_reason: null, loaded_bytes: this.find(key)?.bytes_needed ?? 0, worker_id: "w_09", device: "cuda:0" }));
    }
    return json(202, this.find(key));
  }

  take({ path, key, name }: { path: string; key?: string; name?: string }): Response {
    if (path.includes("missing")) return problem(422, "model_not_recognised", "There is nothing at this path.", "Look at the path as the server sees it.", [{ field: "path", message: "There is nothing at this path." }]);
    const stem = path.split("/").at(-1) ?? "model";
    const made = modelOf({ key: key ?? stem.toLowerCase(), name: name ?? stem, source: "imported", description: "", removable: true });
    this.list = [...this.list, made];
    this.#atelier.emit({ type: "models.changed" });
    return json(201, made);
  }

  download({ repo, key, name }: { repo: string; key?: string; name?: string }): Response {
    const made = modelOf({ key: key ?? (repo.split("/").at(-1) ?? repo).toLowerCase(), name: name ?? repo.split("/").at(-1) ?? repo, repo, source: "hub", state: "downloading", available: false, removable: true, download: downloadOf({ done_bytes: 0, bytes_per_second: null, seconds_left: null, state: "waiting" }) });
    this.list = [...this.list, made];
    const running = downloadJob(repo);
    this.#atelier.jobs.unshift(running);
    this.#atelier.emit({ type: "models.changed" });
    this.#atelier.later(this.#atelier.stepMs * 4, () => this.fetchOn(made.key));
    return json(202, { job: running, key: made.key, download: made.download });
  }

  fetchOn(key: string): void {
    const download = this.find(key)?.download;
    if (!download) return;
    if (download.done_bytes >= download.total_bytes) return this.patch(key, { state: "idle", available: true, download: null });
    if (!download.paused) this.patch(key, { download: { ...download, state: "downloading", done_bytes: Math.min(download.total_bytes, download.done_bytes + download.total_bytes / 20), bytes_per_second: 84 * 1024 ** 2, seconds_left: 30 } });
    this.#atelier.later(this.#atelier.stepMs * 4, () => this.fetchOn(key));
  }
}
