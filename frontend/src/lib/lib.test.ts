// @vitest-environment node
import { describe, expect, it } from "vitest";

import { advance, mergeJob, phaseOf } from "./jobs";
import { ago, briefly, bytes, duration, gib, percent } from "./numbers";
import { justify } from "./rows";
import { snap } from "./sizes";

describe("numbers", () => {
  it("carries units", () => {
    expect(bytes(0)).toBe("0 B");
    expect(bytes(1536)).toBe("1.5 KiB");
    expect(bytes(48 * 1024 ** 3)).toBe("48 GiB");
    expect(bytes(1.5 * 1024 ** 3, "fr")).toBe("1,5 GiB");
  });

  it("gives memory in GiB, and what is less in MiB", () => {
    expect([0, 194 * 1024 ** 2, 1.04 * 1024 ** 3, 141 * 1024 ** 3].map((size) => gib(size))).toEqual(["0 GiB", "194 MiB", "1 GiB", "141 GiB"]);
  });

  it("tells tenths of short times, and never nothing", () => {
    expect([0.01, 0.42, 9.94, 9.96, 75].map((one) => briefly(one))).toEqual(["0.1 s", "0.4 s", "9.9 s", "10 s", "1 min 15 s"]);
    expect(briefly(1.5, "fr")).toBe("1,5 s");
  });

  it("tells durations in the two largest units", () => {
    expect([0.4, 59, 60, 200, 3900].map(duration)).toEqual(["0 s", "59 s", "1 min", "3 min 20 s", "1 h 05 min"]);
  });

  it("shows 100 % only at the end", () => {
    expect(percent(0.9999)).toBe("99%");
    expect(percent(1)).toBe("100%");
  });

  it("never speaks of the future, even when clocks differ", () => {
    expect(ago("2026-01-01T00:00:10Z", Date.parse("2026-01-01T00:00:00Z"))).toBe("now");
    expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:02:00Z"))).toMatch(/2 min/);
  });
});

describe("justified rows", () => {
  const pictures = Array.from({ length: 23 }, (_, index) => ({ width: 100 + (index % 5) * 60, height: 200, index }));

  it("fills every row but the last exactly, keeps order and aspect", () => {
    const rows = justify(pictures, 900, 180, 4);
    expect(rows.flatMap((row) => row.items).map((item) => item.index)).toEqual(pictures.map((item) => item.index));
    for (const row of rows.slice(0, -1)) {
      const total = row.widths.reduce((sum, width) => sum + width, 0) + 4 * (row.items.length - 1);
      expect(total).toBeCloseTo(900, 6);
    }
    expect(rows.at(-1)?.height).toBeLessThanOrEqual(180);
  });

  it("survives a window without width", () => expect(justify(pictures, 0, 180, 4)).toEqual([]));

  it("lays out ten thousand pictures in a blink", () => {
    const many = Array.from({ length: 10_000 }, (_, index) => ({ width: 256 + (index % 7) * 32, height: 256 }));
    const began = performance.now();
    expect(justify(many, 1440, 216, 4).length).toBeGreaterThan(1000);
    expect(performance.now() - began).toBeLessThan(200);
  });
});

describe("sizes", () => {
  it("snaps inside limits that are no multiples themselves", () => expect(snap(9999, { min_side: 60, max_side: 510, multiple: 8 })).toBe(504));
});

describe("what may follow what", () => {
  const job = { status: "running" as const, attempt: 1, progress: 0.5, step: 15, total_steps: 30, message: null, eta_seconds: null, waiting: null };

  it("never goes backwards within an attempt", () => {
    expect(advance(job, { attempt: 1, progress: 0.4, step: 12, total_steps: 30 }).progress).toBe(0.5);
    expect(mergeJob(job, { ...job, progress: 0.1, step: 3 })).toMatchObject({ progress: 0.5, step: 15 });
  });

  it("begins again with a new attempt", () => expect(advance(job, { attempt: 2, progress: 0.1, step: 3, total_steps: 30 })).toMatchObject({ progress: 0.1, attempt: 2 }));

  it("ignores progress after the end and from an earlier attempt", () => {
    const done = { ...job, status: "completed" as const, progress: 1 };
    expect(advance(done, { attempt: 1, progress: 0.9, step: 27, total_steps: 30 })).toBe(done);
    expect(mergeJob<typeof done | typeof job>(done, job)).toBe(done);
    expect(advance({ ...job, attempt: 2 }, { attempt: 1, progress: 0.9, step: 27, total_steps: 30 }).progress).toBe(0.5);
  });

  it.each([
    ["queued", { status: "queued", waiting: { reason: "queue" } }],
    ["running", { status: "running", waiting: null }],
    ["queued", { status: "running", waiting: { reason: "memory" } }],
    ["queued", { status: "running", waiting: { reason: "environment" } }],
    ["running", { status: "running", waiting: { reason: "model" } }],
    ["cancelling", { status: "running", waiting: null, cancel_requested: true }],
    ["cancelled", { status: "cancelled", waiting: null, cancel_requested: true }],
  ] as const)("calls it %s: %j", (phase, state) => expect(phaseOf({ cancel_requested: false, ...state })).toBe(phase));

  it("lets a retry follow an end", () => {
    const failed = { ...job, status: "failed" as const };
    const queued = { ...job, status: "queued" as const, progress: 0, step: 0 };
    expect(mergeJob<typeof failed | typeof queued>(failed, queued)).toBe(queued);
  });
});
