import { describe, expect, it } from "vitest";

import { goalIn, levelsIn, levelsOf, linesOf, valueOf } from "./levels";

const spread = (p50: number) => ({ mean: p50, p50, p90: 2 * p50, p99: 3 * p50 });
const stage = (model: string, concurrency: number, completed = 4) => ({
  model, concurrency,
  figures: { completed, failed: 4 - completed, error: null, duration_seconds: 1, input_tokens: 10, output_tokens: 10, request_throughput: 4, output_throughput: 10 * concurrency, total_token_throughput: 20, ttft_ms: completed ? spread(5) : null, tpot_ms: null, itl_ms: null, e2el_ms: null },
});
const benchmark = (id: string, stages: ReturnType<typeof stage>[], name = "") => ({ id, name, server: "", stages, created_at: "2026-01-01T00:00:00Z" });

describe("levels", () => {
  it("draws a line for each model, in the order of the levels", () => {
    const lines = linesOf([benchmark("x", [stage("a", 4), stage("a", 1), stage("b", 1)])], "output_throughput", "p50");
    expect(lines.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(lines[0]?.points).toEqual([{ level: 1, value: 10 }, { level: 4, value: 40 }]);
    expect(levelsOf(lines)).toEqual([1, 4]);
  });

  it("tells benchmarks apart by their names", () => {
    const lines = linesOf([benchmark("x", [stage("a", 1)], "before"), benchmark("y", [stage("a", 1)], "after")], "ttft_ms", "p99");
    expect(lines.map(({ name }) => name)).toEqual(["a · before", "a · after"]);
    expect(lines[0]?.points[0]?.value).toBe(15);
  });

  it("draws nothing of what was not answered", () => {
    expect(valueOf(stage("a", 1, 0), "output_throughput", "p50")).toBeNull();
    expect(valueOf(stage("a", 1, 0), "ttft_ms", "p50")).toBeNull();
  });

  it("reads goals as people write them", () => {
    expect(["", " ", "200", "0,5", "1.5"].map(goalIn)).toEqual([null, null, 200, 0.5, 1.5]);
    for (const wrong of ["0", "-1", "x", "1e9", "NaN"]) expect(goalIn(wrong)).toBeUndefined();
  });

  it("reads levels as people write them", () => {
    expect(levelsIn("4, 1;2 2")).toEqual([1, 2, 4]);
    for (const wrong of ["", "0", "1.5", "600", "x", "1 2 3 4 5 6 7 8 9 10 11 12 13"]) expect(levelsIn(wrong)).toBeNull();
  });
});
