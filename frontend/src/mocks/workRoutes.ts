/** Batches, their files and benchmarks of the mock API: kept in memory, done a little at each step. */
import type { BatchObject, BenchmarkIn, BenchmarkOut, FileObject, Problem } from "@/api/types";

interface Host { stepMs: number; later: (ms: number, work: () => void) => void }
type Stage = BenchmarkOut["stages"][number];

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
const missing = (what: string) => new Response(JSON.stringify({ type: "about:blank", title: "not found", status: 404, detail: `There is no such ${what}.`, code: `${what}_not_found`, errors: [], hint: "", said: null, request_id: "req_mock_01" } satisfies Problem), { status: 404, headers: { "Content-Type": "application/problem+json" } });
const seconds = () => Math.floor(Date.now() / 1000);
const TOKENS_EACH = { input: 24, output: 40 };

/** The figures that a machine with room for about eight requests would have. */
function stage(model: string, concurrency: number, wanted: BenchmarkIn): Stage {
  const requests = (wanted.requests ?? 16) * (wanted.rounds ?? 1);
  const tokens = wanted.output_tokens ?? 64;
  const tpot = 18 + concurrency * 0.9 + Math.max(0, concurrency - 8) * 4;
  const ttft = 40 + concurrency * 6;
  const whole = ttft + tpot * (tokens - 1);
  const spread = (mean: number) => ({ mean, p50: mean * 0.97, p90: mean * 1.2, p99: mean * 1.5 });
  const pace = (concurrency / whole) * 1000;
  const goals = [[wanted.ttft_goal_ms, ttft], [wanted.tpot_goal_ms, tpot]] as const;
  return {
    model, concurrency,
    figures: {
      completed: requests, failed: 0, error: null, duration_seconds: requests / pace, input_tokens: requests * (wanted.prompt_tokens ?? 128), output_tokens: requests * tokens,
      request_throughput: pace, output_throughput: pace * tokens, total_token_throughput: pace * (tokens + (wanted.prompt_tokens ?? 128)),
      ttft_ms: spread(ttft), tpot_ms: spread(tpot), itl_ms: spread(tpot), icl_ms: spread(tpot), e2el_ms: spread(whole),
      goodput: goals.some(([goal]) => goal) ? (goals.every(([goal, value]) => !goal || value <= goal) ? 0.96 : 0.31) : null,
    },
  };
}

export class MockWork {
  files = new Map<string, { file: FileObject; lines: string[] }>();
  batches: BatchObject[] = [];
  benchmarks: BenchmarkOut[] = [];
  #next = 1;
  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  reset(): void {
    this.files.clear();
    this.batches = [];
    this.benchmarks = [];
    this.#next = 1;
  }

  #id = (prefix: string) => `${prefix}${String(this.#next++).padStart(4, "0")}`;

  // ── /v1/files, /v1/batches ──

  async openai(request: Request, url: URL): Promise<Response> {
    const [, , area = "", id = "", verb = ""] = url.pathname.split("/");
    if (area === "files") return this.#file(request, id, verb);
    if (!id) return request.method === "POST" ? this.#begin((await request.json()) as { input_file_id: string; endpoint: string; completion_window?: string }) : json(200, { object: "list", data: this.batches, first_id: this.batches[0]?.id ?? null, last_id: this.batches.at(-1)?.id ?? null, has_more: false });
    const batch = this.batches.find((one) => one.id === id);
    if (!batch) return missing("batch");
    if (verb === "cancel") return json(200, this.#change(id, { status: "cancelled", cancelling_at: seconds(), cancelled_at: seconds() }));
    if (verb === "output" || verb === "errors") return new Response(verb === "errors" ? "" : this.#answers(batch), { headers: { "Content-Type": "application/jsonl" } });
    return json(200, batch);
  }

  async #file(request: Request, id: string, verb: string): Promise<Response> {
    if (request.method === "POST") {
      const given = (await request.formData()).get("file") as File;
      const lines = (await given.text()).split("\n").filter((line) => line.trim());
      const file: FileObject = { id: this.#id("file-"), object: "file", bytes: given.size, created_at: seconds(), expires_at: null, filename: given.name, purpose: "batch", status: "processed" };
      this.files.set(file.id, { file, lines });
      return json(200, file);
    }
    const known = this.files.get(id);
    if (!id) return json(200, { object: "list", data: [...this.files.values()].map(({ file }) => file), first_id: null, last_id: null, has_more: false });
    if (!known) return missing("file");
    if (request.method === "DELETE") this.files.delete(id);
    if (request.method === "DELETE") return json(200, { id, object: "file", deleted: true });
    return verb === "content" ? new Response(known.lines.join("\n")) : json(200, known.file);
  }

  #begin({ input_file_id, endpoint, completion_window = "24h" }: { input_file_id: string; endpoint: string; completion_window?: string }): Response {
    const given = this.files.get(input_file_id);
    if (!given) return missing("file");
    const id = this.#id("batch_");
    const total = given.lines.length;
    const batch: BatchObject = {
      id, object: "batch", endpoint, errors: null, input_file_id, completion_window, status: "validating", output_file_id: null, error_file_id: null, created_at: seconds(), in_progress_at: null, expires_at: seconds() + 86_400, finalizing_at: null,
      completed_at: null, failed_at: null, expired_at: null, cancelling_at: null, cancelled_at: null, request_counts: { total, completed: 0, failed: 0 }, usage: usageOf(0), metadata: null, job_id: `job_${id}`, input_filename: given.file.filename,
    };
    this.batches.unshift(batch);
    this.#host.later(this.#host.stepMs, () => this.#step(id));
    return json(200, batch);
  }

  #step(id: string): void {
    const batch = this.batches.find((one) => one.id === id);
    if (!batch || batch.status === "cancelled") return;
    const { total, completed } = batch.request_counts;
    const done = batch.status === "validating" ? 0 : Math.min(total, completed + Math.max(1, Math.ceil(total / 8)));
    const ended = batch.status !== "validating" && done === total;
    this.#change(id, { status: ended ? "completed" : "in_progress", in_progress_at: batch.in_progress_at ?? seconds(), completed_at: ended ? seconds() : null, output_file_id: ended ? `file-${id}o` : null, request_counts: { total, completed: done, failed: 0 }, usage: usageOf(done) });
    if (!ended) this.#host.later(this.#host.stepMs, () => this.#step(id));
  }

  #change(id: string, change: Partial<BatchObject>): BatchObject | undefined {
    this.batches = this.batches.map((one) => (one.id === id ? { ...one, ...change } : one));
    return this.batches.find((one) => one.id === id);
  }

  #answers({ id, input_file_id, request_counts }: BatchObject): string {
    const lines = (this.files.get(input_file_id)?.lines ?? []).slice(0, request_counts.completed);
    return lines.map((line, at) => JSON.stringify({ id: `${id}_${at + 1}`, custom_id: /"custom_id"\s*:\s*"([^"]*)"/.exec(line)?.[1] ?? "", response: { status_code: 200, request_id: `${id}_${at + 1}`, body: { choices: [{ index: 0, message: { role: "assistant", content: "An answer." }, finish_reason: "stop" }] } }, error: null })).join("\n");
  }

  // ── /api/chat/benchmarks ──

  async benchmark(request: Request, id: string, verb: string): Promise<Response> {
    if (!id && request.method === "GET") return json(200, { items: this.benchmarks });
    if (!id) return this.#measure((await request.json()) as BenchmarkIn);
    const found = this.benchmarks.find((one) => one.id === id);
    if (!found) return missing("benchmark");
    if (request.method === "DELETE") {
      this.benchmarks = this.benchmarks.filter((one) => one.id !== id);
      return new Response(null, { status: 204 });
    }
    return verb === "export" ? new Response(JSON.stringify(found, null, 2), { headers: { "Content-Disposition": `attachment; filename="${id}.json"` } }) : json(200, found);
  }

  #measure(wanted: BenchmarkIn): Response {
    const left = wanted.models.flatMap((model) => (wanted.concurrency ?? [1, 2, 4, 8]).map((level) => stage(model, level, wanted)));
    const id = this.#id("bench_");
    const settings = { concurrency: [1, 2, 4, 8], requests: 16, prompt_tokens: 128, output_tokens: 64, seed: 0, rounds: 1, ttft_goal_ms: null, tpot_goal_ms: null, name: "", ...wanted };
    const made: BenchmarkOut = { id, name: settings.name, server: "", job_id: `job_${id}`, status: "queued", settings, stages: [], created_at: new Date().toISOString() };
    this.benchmarks.unshift(made);
    const step = () => {
      this.benchmarks = this.benchmarks.map((one) => (one.id === id ? { ...one, stages: [...one.stages, ...left.splice(0, 1)], status: left.length ? "running" : "completed" } : one));
      if (left.length) this.#host.later(this.#host.stepMs, step);
    };
    this.#host.later(this.#host.stepMs, step);
    return json(202, made);
  }
}

function usageOf(answers: number): BatchObject["usage"] {
  const input = answers * TOKENS_EACH.input;
  const output = answers * TOKENS_EACH.output;
  return { input_tokens: input, input_tokens_details: { cached_tokens: 0 }, output_tokens: output, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: input + output };
}
