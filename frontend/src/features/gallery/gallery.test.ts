// @vitest-environment node
import { expect, it } from "vitest";

import { matches, queryOf, readLook, filtersOf, isWhole } from "@/lib/look";
import { daysAgo } from "@/lib/days";
import { applied, plainTag, shared } from "@/lib/marks";
import { image } from "@/mocks/data";

import { differences, wordsApart } from "./apart";
import { FITTED, fitted, moved, zoomed } from "./zoom";

it("reads what an address asks for, and leaves out what it does not understand", () => {
  expect(readLook({ q: "fox", rating: "3", tag: "Blue", favourite: true, order: "oldest", since: "2026-11-01" })).toEqual({ q: "fox", rating: 3, tag: ["blue"], favourite: true, order: "oldest", since: "2026-11-01" });
  expect(readLook({ rating: 9, aspect: "round", order: "newest", since: "yesterday", size: "1x", favourite: "no", kind: "song", tag: [] })).toEqual({});
  expect(isWhole(readLook({ order: "newest" }))).toBe(true);
  expect(filtersOf({ q: "x", order: "rating", model: "m" })).toEqual({ model: "m" });
});

it("asks for whole days, both within", () => {
  const { since, until } = queryOf({ since: "2026-11-05", until: "2026-11-05" });
  expect(Date.parse(until ?? "") - Date.parse(since ?? "")).toBe(86_400_000);
  expect(queryOf({ order: "rating", q: undefined })).toEqual({ sort: "rating" });
  expect(daysAgo(6, new Date(2026, 2, 3))).toBe("2026-02-25");
});

it("knows which pictures belong to a look, as the server does", () => {
  const one = image(3, { width: 224, height: 296, favourite: true, rating: 3, tags: ["a", "b"], collections: ["c"], parent_id: "p", created_at: new Date(2026, 10, 5, 23, 59).toISOString() });
  for (const look of [{}, { q: "PURPLE ghost" }, { aspect: "portrait" as const }, { size: "224x296" }, { rating: 3 }, { tag: ["a", "b"] }, { collection: "c" }, { parent: "p" }, { favourite: true as const }, { kind: "image" as const }, { since: "2026-11-05", until: "2026-11-05" }]) expect(matches(one, look), JSON.stringify(look)).toBe(true);
  for (const look of [{ q: "fox" }, { aspect: "square" as const }, { rating: 4 }, { unrated: true as const }, { tag: ["a", "z"] }, { collection: "d" }, { model: "other" }, { lora: "ink" }, { kind: "video" as const }, { until: "2026-11-04" }]) expect(matches(one, look), JSON.stringify(look)).toBe(false);
});

it("shows a change before the server has said yes", () => {
  const one = applied({ tags: ["b", "c"], collections: ["x"], rating: 2, favourite: false }, { favourite: true, add_tags: ["a"], remove_tags: ["c"], add_to: "y", remove_from: "x" });
  expect(one).toEqual({ tags: ["a", "b"], collections: ["y"], rating: 2, favourite: true });
  expect(plainTag("  Blue \n ONES ")).toBe("blue ones");
  expect(shared([["a", "b"], ["b"]])).toEqual([["b", 2], ["a", 1]]);
});

it("zooms about a point and keeps the picture in its place", () => {
  expect(fitted({ width: 100, height: 50 }, { width: 1000, height: 100 })).toEqual({ width: 200, height: 100 });
  const near = zoomed(FITTED, 2, 0.25, 0);
  expect(near).toEqual({ zoom: 2, x: -0.25, y: 0 });
  expect(zoomed(near, 0.1)).toEqual(FITTED);
  expect(moved(near, -5, 5)).toEqual({ zoom: 2, x: -0.5, y: 0.5 });
  expect(moved(FITTED, 1, 1)).toEqual(FITTED);
});

it("finds what two recipes differ in, and which words", () => {
  const rows = differences(image(0, { seed: 1 }), image(0, { seed: 2, steps: 20 }));
  expect(rows.filter((row) => !row.same).map((row) => row.name)).toEqual(["seed", "steps"]);
  expect(rows.find((row) => row.name === "prompt")?.same).toBe(true);
  const [left, right] = wordsApart("a red fox in snow", "a blue fox in deep snow");
  expect(left.filter((word) => word.own).map((word) => word.text)).toEqual(["red"]);
  expect(right.filter((word) => word.own).map((word) => word.text.trim()).filter(Boolean)).toEqual(["blue", "deep"]);
  expect(left.map((word) => word.text).join("")).toBe("a red fox in snow");
});
