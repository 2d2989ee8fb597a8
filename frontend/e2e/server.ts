/** A real Atelier for the browser to talk to: starts it, kills it, starts it again with the same data. */
import { spawn, type ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const FRONTEND = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const BACKEND = resolve(FRONTEND, "../backend");

async function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer().once("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (typeof address === "object" && address ? done(address.port) : fail(new Error("no port"))));
    });
  });
}

/** `ATELIER_PYTHON` is the interpreter of the server's environment; the fake engine answers unless told otherwise. */
export class AtelierServer {
  readonly url: string;
  /** Its data and whatever a test lays there for it; goes with it. */
  readonly folder: string;
  #port: number;
  #environment: Record<string, string>;
  #process: ChildProcess | null = null;
  #output: string[] = [];

  private constructor(port: number, folder: string, environment: Record<string, string>) {
    this.#port = port;
    this.folder = folder;
    this.#environment = environment;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(studio: string, environment: Record<string, string> = {}): Promise<AtelierServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new AtelierServer(await freePort(), await mkdtemp(join(tmpdir(), `atelier-e2e-${studio}-`)), environment);
      process.once("exit", () => server.#leave());
      try {
        await server.resume();
        return server;
      } catch (error) {
        await server.remove();
        // Between the asking and the taking another program may have got the port.
        if (attempt === 3 || !/address already in use/i.test(String(error))) throw error;
      }
    }
  }

  async resume(): Promise<void> {
    const python = process.env.ATELIER_PYTHON ?? "python3";
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(HOST|PORT|LOG_|ATELIER_)/.test(name)));
    const child = spawn(python, ["-m", "atelier", "serve", "--port", String(this.#port)], {
      cwd: BACKEND,
      env: {
        ...inherited, PYTHONPATH: BACKEND, DATA_DIR: join(this.folder, "data"), ATELIER_FRONTEND_DIR: process.env.ATELIER_FRONTEND_DIR ?? join(FRONTEND, "dist"),
        ATELIER_FAKE_ENGINE: "1", ATELIER_FAKE_STEP_SECONDS: "0.03", ...this.#environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => this.#output.push(chunk.toString()));
    this.#process = child;
    const closed = new Promise((done) => child.once("close", done));
    const deadline = Date.now() + 90_000;
    while (Date.now() < deadline && child.exitCode === null) {
      const up = await fetch(`${this.url}/health`).then((answer) => answer.ok, () => false);
      if (up) return;
      await new Promise((next) => setTimeout(next, 50));
    }
    if (child.exitCode !== null) await closed; // its last words
    throw new Error(`the server did not start (exit status ${child.exitCode}):\n${this.#output.join("").slice(-3000)}`);
  }

  /** As a power cut would: no goodbye. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
    this.#process = null;
  }

  async remove(): Promise<void> {
    const child = this.#process;
    if (child && child.exitCode === null) {
      const gone = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      const stubborn = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await gone;
      clearTimeout(stubborn);
    }
    if (process.env.ATELIER_E2E_KEEP) console.log(`${this.url} kept its data in ${this.folder}`);
    else await rm(this.folder, { recursive: true, force: true, maxRetries: 5 }); // its engines may be writing their last line
  }

  /** When a run is broken off: no server stays behind, and none of its data. */
  #leave(): void {
    this.#process?.kill("SIGKILL");
    if (!process.env.ATELIER_E2E_KEEP) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async generate(prompt: string, more: object = {}): Promise<string> {
    const answer = await fetch(`${this.url}/api/generate/text-to-image`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ prompt, ...more }) });
    if (!answer.ok) throw new Error(await answer.text());
    return ((await answer.json()) as { job_id: string }).job_id;
  }

  /** Waits until the job has ended; its last state. */
  async ended(id: string, seconds = 60): Promise<{ status: string; request: Record<string, unknown>; images: { id: string; parent_id: string | null }[] }> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const job = (await (await fetch(`${this.url}/api/jobs/${id}`)).json()) as { status: string; request: Record<string, unknown>; images: { id: string; parent_id: string | null }[] };
      if (["completed", "failed", "cancelled"].includes(job.status)) return job;
      if (Date.now() > deadline) throw new Error(`job ${id} is still ${job.status}`);
      await new Promise((next) => setTimeout(next, 100));
    }
  }
}
