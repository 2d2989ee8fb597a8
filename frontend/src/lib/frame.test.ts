// @vitest-environment node
import { describe, expect, it } from "vitest";

import { grown, moveEdge, NO_GROWTH, preset } from "./frame";

const limits = { min_side: 64, max_side: 512, multiple: 8 };
const size = { width: 256, height: 192 };

describe("a frame around a picture", () => {
  it("grows by what the model makes", () => {
    expect(moveEdge(NO_GROWTH, "left", 61, size, limits)).toEqual({ ...NO_GROWTH, left: 64 });
    expect(moveEdge({ ...NO_GROWTH, right: 64 }, "left", 20, size, limits)).toEqual({ ...NO_GROWTH, left: 24, right: 64 });
  });

  it("makes an odd picture even with the edge that moves", () => {
    const growth = moveEdge(NO_GROWTH, "bottom", 30, { width: 250, height: 203 }, limits);
    expect(grown({ width: 250, height: 203 }, growth).height % 8).toBe(0);
    expect(growth.bottom).toBe(29);
  });

  it("stops at the largest that the model makes, and at nothing", () => {
    expect(moveEdge({ ...NO_GROWTH, right: 128 }, "left", 900, size, limits).left).toBe(128);
    expect(moveEdge({ ...NO_GROWTH, right: 256 }, "left", 50, size, limits).left).toBe(0);
    expect(moveEdge({ ...NO_GROWTH, left: 40 }, "left", -7, size, limits).left).toBe(0);
    expect(moveEdge(NO_GROWTH, "left", Number.NaN, size, limits).left).toBe(0);
    expect(moveEdge(NO_GROWTH, "left", 80, { width: 900, height: 900 }, limits).left).toBe(0);
    expect(moveEdge(NO_GROWTH, "top", 9000, size, { ...limits, max_side: 99_999 }).top).toBeLessThanOrEqual(2048);
  });

  it("has presets", () => {
    expect(preset("wider", size, limits)).toEqual({ left: 64, right: 64, top: 0, bottom: 0 });
    expect(preset("taller", size, limits)).toEqual({ left: 0, right: 0, top: 48, bottom: 48 });
    expect(grown(size, preset("around", size, limits))).toEqual({ width: 384, height: 288 });
    expect(grown({ width: 480, height: 480 }, preset("around", { width: 480, height: 480 }, limits))).toEqual({ width: 512, height: 512 });
  });
});
