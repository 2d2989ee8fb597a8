// @vitest-environment node
import { afterEach, describe, expect, it, vi } from "vitest";

import { locked } from "./client";
import { ApiProblem } from "./errors";
import { fileName } from "./files";
import * as api from "./generated/sdk.gen";

const answer = (status: number, body: unknown, type = "application/problem+json") =>
  vi.stubGlobal("fetch", vi.fn(async () => new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers: { "Content-Type": type, "X-Request-Id": "req_7" } })));
const sent = () => vi.mocked(fetch).mock.calls[0]?.[0] as Request;
const failure = (work: Promise<unknown>) => work.then(() => { throw new Error("should fail"); }, (error: unknown) => error as ApiProblem);

afterEach(() => {
  vi.unstubAllGlobals();
  locked.set(false);
});

describe("client", () => {
  it("turns problem details into an ApiProblem", async () => {
    answer(422, { title: "Unprocessable", status: 422, detail: "steps: too many", code: "validation_failed", hint: "Use fewer.", errors: [{ field: "steps", message: "too many" }], request_id: "req_1" });
    const problem = await failure(api.listJobs());
    expect(problem).toBeInstanceOf(ApiProblem);
    expect(problem).toMatchObject({ status: 422, code: "validation_failed", hint: "Use fewer.", requestId: "req_1", fields: [{ field: "steps", message: "too many" }] });
    expect(problem.details).toContain("request id: req_1");
  });

  it("makes do with an answer that is no problem document", async () => {
    answer(502, "<html>Bad gateway</html>", "text/html");
    expect(await failure(api.listJobs())).toMatchObject({ status: 502, code: "http_error", requestId: "req_7" });
  });

  it("asks for the token on a 401, but not while unlocking", async () => {
    answer(401, { title: "Unauthorized", detail: "no", code: "unauthorized" });
    await failure(api.unlock({ body: { token: "wrong" } }));
    expect(locked.get()).toBe(false);
    await failure(api.system());
    expect(locked.get()).toBe(true);
  });

  it("says so when nobody answers", async () => {
    vi.stubGlobal("fetch", vi.fn(async () => Promise.reject(new TypeError("failed"))));
    expect(await failure(api.system())).toMatchObject({ status: 0, code: "offline" });
  });

  it("repeats list parameters and leaves out empty ones", async () => {
    answer(200, { items: [], next_cursor: null }, "application/json");
    await api.listJobs({ query: { status: ["queued", "running"], cursor: undefined, limit: 5 } });
    expect(sent().url).toBe("http://localhost/api/jobs?status=queued&status=running&limit=5");
  });

  it("sends bodies as JSON, with the headers of the call", async () => {
    answer(202, { job_id: "job_1", status: "queued", position: 1 }, "application/json");
    const accepted = await api.textToImage({ body: { prompt: "a cat" }, headers: { "idempotency-key": "key-1" } });
    expect(accepted.job_id).toBe("job_1");
    expect(sent().method).toBe("POST");
    expect(sent().headers.get("content-type")).toBe("application/json");
    expect(sent().headers.get("idempotency-key")).toBe("key-1");
    expect(await sent().json()).toEqual({ prompt: "a cat" });
  });

  it("escapes what stands in a path", async () => {
    answer(200, {}, "application/json");
    await api.getImage({ path: { image_id: "a/../b?c" } });
    expect(sent().url).toBe("http://localhost/api/gallery/a%2F..%2Fb%3Fc");
  });

  it("lets go of what is no longer wanted, without calling the server unreachable", async () => {
    vi.stubGlobal("fetch", vi.fn(async (request: Request) => Promise.reject(request.signal.reason)));
    const stopped = new AbortController();
    stopped.abort();
    expect((await failure(api.system({ signal: stopped.signal }))).name).toBe("AbortError");
  });

  it("names files by their prompt", () => {
    expect(fileName({ id: "x", prompt: "Ein grüner Drache, 3/4!", format: "jpeg", seed: 7 })).toBe("ein-grüner-drache-3-4-7.jpg");
    expect(fileName({ id: "x", prompt: "???", format: "png", seed: 7 })).toBe("picture-7.png");
  });
});
