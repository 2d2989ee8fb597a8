// @vitest-environment node
import { expect, it } from "vitest";

import { justify } from "@/lib/rows";

import { step } from "./moves";

const rows = justify(Array.from({ length: 10 }, () => ({ width: 100, height: 100 })), 400, 100, 0);

it("moves like on a contact sheet", () => {
  expect(rows.map((row) => row.items.length)).toEqual([4, 4, 2]);
  expect(step("ArrowRight", 3, rows, 10)).toBe(4);
  expect(step("ArrowDown", 1, rows, 10)).toBe(5);
  expect(step("ArrowUp", 5, rows, 10)).toBe(1);
  expect(step("ArrowDown", 7, rows, 10)).toBe(9);
  expect(step("ArrowUp", 0, rows, 10)).toBe(0);
  expect(step("End", 0, rows, 10)).toBe(9);
  expect(step("x", 0, rows, 10)).toBeNull();
});
