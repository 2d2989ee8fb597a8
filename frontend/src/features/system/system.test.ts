import { describe, expect, it } from "vitest";

import type { WorkerOut } from "@/api/types";
import { device, worker } from "@/mocks/data";

import { nearest, paths, roundTop, windowed } from "@/lib/chart";
import { shelfOf } from "./shelf";
import { daysOf, sumOf } from "./usage";

const GIB = 1024 ** 3;
const gpu = (over = {}) => device({ total_bytes: 100 * GIB, used_bytes: 40 * GIB, leased_bytes: 30 * GIB, processes: [], ...over });
const held = (worker_id: string | null, bytes: number | null, name: string | null = "python") => ({ pid: 7, name, bytes, worker_id, model: null });

describe("the shelf of a device", () => {
  const qwen = worker({ id: "q", model: "qwen", bytes_leased: 30 * GIB, idle_since: null });

  it("takes a worker to hold what it leased where nobody says", () => {
    const { blocks, free } = shelfOf(gpu(), [qwen]);
    expect(blocks.map((block) => [block.kind, block.bytes / GIB, block.held])).toEqual([["worker", 30, null], ["other", 10, 10 * GIB]]);
    expect(free).toBe(60 * GIB);
  });

  it("counts as others' what the driver says is not ours", () => {
    const { blocks, strangers } = shelfOf(gpu({ processes: [held("q", 12 * GIB), held("q", 8 * GIB), held(null, 19 * GIB, "blender"), held(null, null, null)] }), [qwen]);
    expect(blocks.map((block) => [block.key, block.bytes / GIB, (block.held ?? 0) / GIB])).toEqual([["q", 30, 20], ["other", 20, 20]]);
    expect(strangers.map((one) => one.name)).toEqual(["blender", "7"]);
  });

  it("shows what is leased for a worker that is going", () => {
    const { blocks } = shelfOf(gpu({ leased_bytes: 35 * GIB, used_bytes: 30 * GIB }), [qwen]);
    expect(blocks.map((block) => [block.kind, block.bytes / GIB])).toEqual([["worker", 30], ["reserved", 5]]);
  });

  it("never takes more than there is", () => {
    const { blocks, free } = shelfOf(gpu({ used_bytes: 99 * GIB, leased_bytes: 95 * GIB, processes: [held("q", GIB)] }), [{ ...qwen, bytes_leased: 95 * GIB }]);
    expect(blocks.reduce((sum, block) => sum + block.bytes, 0) / GIB).toBeCloseTo(100);
    expect(free).toBe(0);
  });

  it("says who leaves first, when there is a choice", () => {
    const old = worker({ id: "old", idle_since: "2026-11-21T10:00:00Z" });
    const newer = worker({ id: "new", idle_since: "2026-11-21T10:05:00Z" });
    const now = Date.parse("2026-11-21T10:06:00Z");
    const first = (...workers: WorkerOut[]) => shelfOf(gpu(), workers, now).leavesFirst?.id;
    expect(first(newer, old)).toBe("old");
    expect(first(old)).toBeUndefined();
    // As the broker decides: what takes long to load is missed more, what is pinned stays, priority comes before both.
    expect(first({ ...newer, reload_seconds: 1 }, { ...old, reload_seconds: 60 })).toBe("new");
    expect(first(newer, { ...old, pinned: true })).toBe("new");
    expect(first({ ...newer, priority: -1 }, old)).toBe("new");
  });

  it("says nothing of others on a device that does not answer", () => {
    expect(shelfOf(gpu({ problem: "lost", used_bytes: 50 * GIB, leased_bytes: 0 }), []).blocks).toEqual([]);
  });
});

describe("a line over time", () => {
  const frame = { now: 100, seconds: 100, max: 10, width: 1000, height: 50 };

  it("runs from left to right, and breaks where nothing was said", () => {
    const points = [{ at: 0, value: 0 }, { at: 10, value: 10 }, { at: 15, value: null }, { at: 20, value: 5 }, { at: 30, value: 5 }, { at: 90, value: 1 }, { at: 100, value: 20 }];
    const { line, area } = paths(points, frame);
    expect(line).toBe("M0.0 50.0L100.0 0.0M200.0 25.0L300.0 25.0M900.0 45.0L1000.0 0.0");
    expect(area.match(/Z/g)).toHaveLength(3);
  });

  it("draws nothing of a single point", () => {
    expect(paths([{ at: 1, value: 1 }], frame)).toEqual({ line: "", area: "" });
  });

  it("keeps the window and the point that leads into it", () => {
    const points = [1, 2, 3, 4, 5].map((at) => ({ at, value: at }));
    expect(windowed(points, 5, 2).map((point) => point.at)).toEqual([2, 3, 4, 5]);
    expect(windowed(points, 500, 2)).toEqual([]);
  });

  it("finds what is under the pointer, and nothing in a gap", () => {
    const points = [{ at: 10, value: 1 }, { at: 20, value: null }, { at: 90, value: 3 }];
    expect(nearest(points, 14)?.value).toBe(1);
    expect(nearest(points, 50)).toBeNull();
  });

  it("ends its axis at a round number", () => {
    expect([0, 0.9, 61, 212, 300, 1000].map(roundTop)).toEqual([1, 1, 100, 250, 500, 1000]);
  });
});

describe("what was used of chat models", () => {
  const row = (day: string, model: string, requests: number) => ({ day, model, requests, failed: 1, prompt_tokens: 10 * requests, completion_tokens: requests, seconds: 1 });
  const rows = [row("2026-03-01", "a", 2), row("2026-03-01", "b", 3), row("2026-03-03", "a", 4), row("2026-01-01", "a", 100)];

  it("is told for each of the last days, all models together, the quiet ones among them", () => {
    const days = daysOf(rows, 4, new Date(2026, 2, 3, 23, 59));
    expect(days.map((one) => [one.day, one.requests, one.prompt, one.completion, one.failed])).toEqual([["2026-02-28", 0, 0, 0, 0], ["2026-03-01", 5, 50, 5, 2], ["2026-03-02", 0, 0, 0, 0], ["2026-03-03", 4, 40, 4, 1]]);
    expect(sumOf(rows.slice(0, 2))).toEqual({ requests: 5, failed: 2, prompt: 50, completion: 5 });
  });
});
