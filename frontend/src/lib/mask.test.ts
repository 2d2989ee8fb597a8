// @vitest-environment node
import { describe, expect, it } from "vitest";

import { blank, covered, fill, invert, lasso, rectangle, Steps, stroke, type Mask } from "./mask";

const at = (mask: Mask, x: number, y: number) => mask.data[y * mask.width + x];

describe("a mask", () => {
  it("is no finer than it need be", () => {
    expect(blank(512, 384)).toMatchObject({ width: 512, height: 384 });
    expect(blank(6144, 3072)).toMatchObject({ width: 1536, height: 768 });
    expect(blank(9000, 1)).toMatchObject({ width: 1536, height: 1 });
  });

  it("is painted by a round brush, with a soft edge of one pixel", () => {
    const mask = blank(64, 64);
    stroke(mask, { x: 32, y: 32, radius: 10 }, { x: 32, y: 32, radius: 10 });
    expect([at(mask, 32, 32), at(mask, 32, 40), at(mask, 32, 44), at(mask, 38, 38)]).toEqual([255, 255, 0, 255]);
    expect(at(mask, 41, 32)).toBeGreaterThan(100);
    expect(covered(mask) * 64 * 64).toBeCloseTo(Math.PI * 100, -1);
  });

  it("has no gaps along a fast stroke, and grows with pressure", () => {
    const mask = blank(200, 60);
    stroke(mask, { x: 10, y: 30, radius: 2 }, { x: 190, y: 30, radius: 12 });
    for (let x = 10; x < 190; x++) expect(at(mask, x, 30)).toBe(255);
    expect([at(mask, 20, 38), at(mask, 180, 38)]).toEqual([0, 255]);
  });

  it("says which part changed, and stays within itself", () => {
    const mask = blank(40, 40);
    expect(stroke(mask, { x: 0, y: 0, radius: 5 }, { x: 3, y: 0, radius: 5 })).toEqual({ x: 0, y: 0, width: 9, height: 6 });
    expect(stroke(mask, { x: 90, y: 90, radius: 5 }, { x: 90, y: 90, radius: 5 })).toMatchObject({ width: 0, height: 0 });
    expect(rectangle(mask, { x: 50, y: 50 }, { x: 30, y: 30 })).toEqual({ x: 30, y: 30, width: 10, height: 10 });
  });

  it("is erased, filled, inverted", () => {
    const mask = blank(20, 10);
    rectangle(mask, { x: 0, y: 0 }, { x: 10, y: 10 });
    expect(covered(mask)).toBe(0.5);
    stroke(mask, { x: 5, y: 5, radius: 2 }, { x: 5, y: 5, radius: 2 }, true);
    expect([at(mask, 5, 5), at(mask, 1, 1)]).toEqual([0, 255]);
    invert(mask);
    expect([at(mask, 5, 5), at(mask, 1, 1), at(mask, 15, 5)]).toEqual([255, 0, 255]);
    fill(mask, 255);
    expect(covered(mask)).toBe(1);
  });

  it("takes half of a pixel that is half inside", () => {
    const mask = blank(4, 4);
    rectangle(mask, { x: 0.5, y: 0 }, { x: 2, y: 4 });
    expect([at(mask, 0, 1), at(mask, 1, 1), at(mask, 2, 1)]).toEqual([128, 255, 0]);
  });

  it("is what a line goes around; holes stay open", () => {
    const mask = blank(30, 30);
    lasso(mask, [{ x: 5, y: 5 }, { x: 25, y: 5 }, { x: 25, y: 25 }, { x: 5, y: 25 }]);
    expect(covered(mask)).toBeCloseTo(400 / 900, 2);
    expect(lasso(mask, [{ x: 1, y: 1 }, { x: 2, y: 2 }])).toMatchObject({ width: 0 });
    const ring = blank(30, 30);
    lasso(ring, [{ x: 0, y: 0 }, { x: 30, y: 0 }, { x: 30, y: 30 }, { x: 0, y: 30 }, { x: 0, y: 0 }, { x: 10, y: 10 }, { x: 20, y: 10 }, { x: 20, y: 20 }, { x: 10, y: 20 }, { x: 10, y: 10 }]);
    expect([at(ring, 15, 15), at(ring, 3, 15), at(ring, 27, 15)]).toEqual([0, 255, 255]);
  });
});

describe("what was done to it", () => {
  const drawn = () => {
    const mask = blank(50, 50);
    const steps = new Steps(mask);
    for (const x of [10, 40]) {
      steps.begin();
      steps.touch(stroke(mask, { x, y: 25, radius: 5 }, { x, y: 25, radius: 5 }));
      steps.end();
    }
    return { mask, steps };
  };

  it("is undone and done again, step by step", () => {
    const { mask, steps } = drawn();
    expect(steps.undo()).toEqual({ x: 34, y: 19, width: 12, height: 12 });
    expect([at(mask, 10, 25), at(mask, 40, 25)]).toEqual([255, 0]);
    steps.undo();
    expect(covered(mask)).toBe(0);
    expect([steps.undo(), steps.canUndo, steps.canRedo]).toEqual([null, false, true]);
    steps.redo();
    steps.redo();
    expect([at(mask, 10, 25), at(mask, 40, 25), steps.canRedo]).toEqual([255, 255, false]);
  });

  it("cannot be done again after something else was", () => {
    const { mask, steps } = drawn();
    steps.undo();
    steps.begin();
    steps.touch(invert(mask));
    steps.end();
    expect(steps.canRedo).toBe(false);
    steps.undo();
    expect([at(mask, 10, 25), at(mask, 40, 25)]).toEqual([255, 0]);
  });

  it("holds nothing of a stroke that was dropped or changed nothing", () => {
    const { mask, steps } = drawn();
    const before = mask.data.slice();
    steps.begin();
    steps.touch(fill(mask, 255));
    expect(steps.drop()).toEqual({ x: 0, y: 0, width: 50, height: 50 });
    expect(mask.data).toEqual(before);
    steps.begin();
    steps.touch(stroke(mask, { x: 10, y: 25, radius: 2 }, { x: 10, y: 25, radius: 2 }));
    steps.end();
    steps.undo();
    expect(at(mask, 40, 25)).toBe(0);
  });
});
