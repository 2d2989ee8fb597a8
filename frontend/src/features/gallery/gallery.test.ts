// @vitest-environment node
import { expect, it } from "vitest";

import { matches, queryOf, readLook, filtersOf, isWhole } from "@/lib/look";
import { daysAgo } from "@/lib/days";
import { applied, plainTag, shared } from "@/lib/marks";
import { image } from "@/mocks/data";

import { differences, wordsApart } from "./apart";
import { sidesOf, taskOf, toldTo } from "./facts";
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

it("says what was done with a picture, and what it was told", () => {
  const made = (recipe: Record<string, unknown>) => ({ ...image(0), recipe });
  expect(taskOf(image(0))).toBeNull();
  expect(toldTo(image(0), "en")).toEqual([]);
  expect(toldTo(made({ task: "inpaint", strength: 0.85 }), "en")).toEqual([{ name: "strength", text: "85%" }]);
  expect(toldTo(made({ task: "upscale", scale: 1.5, strength: 0 }), "fr").map(({ text }) => text?.replace(/\s/g, " "))).toEqual(["× 1,5", "0 %"]);
  expect(toldTo(made({ task: "outpaint", left: 64, right: 0, top: 0, bottom: 32, strength: 1 }), "en")).toEqual([{ name: "growth", edges: [["left", 64], ["bottom", 32]] }]);
  expect(toldTo(made({ task: "image_to_video", frames: 6, fps: 4, motion: 127, noise: 0.02 }), "en").map(({ name, text }) => `${name} ${text}`)).toEqual(["frames 6", "fps 4", "motion 127", "noise 0.02"]);
});

it("names the sides of a sheet and their values instead of those of its first cell", () => {
  const sheet = { ...image(0), recipe: { grid: { x: "guidance_scale", y: "prompt_sr", labels: { x: ["guidance scale 2", "guidance scale 6"], y: ["fox", "owl"] } } } };
  expect(sidesOf(sheet)).toEqual([{ field: "guidance_scale", values: "2, 6" }, { field: "prompt_sr", values: "fox, owl" }]);
  expect(sidesOf(image(0))).toEqual([]);
});

it("compares what was asked, not how the server wrote it down", () => {
  const one = { ...image(0), recipe: { task: "text_to_image", versions: { torch: "2.13.0", diffusers: "0.42.1" } } };
  const other = { ...image(0), recipe: { task: "outpaint", left: 64, right: 0, start: { key: "img_1" }, inpaint: { blur: 0 }, image_size: [256, 256], versions: { torch: "2.14.0", diffusers: "0.42.1" } } };
  expect(differences(one, other).filter((row) => !row.same)).toEqual([
    { name: "task", one: "", other: "outpaint", same: false },
    { name: "left", one: "", other: "64", same: false },
    { name: "versions", one: "torch 2.13.0, diffusers 0.42.1", other: "torch 2.14.0, diffusers 0.42.1", same: false },
  ]);
});
