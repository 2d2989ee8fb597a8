import { describe, expect, it } from "vitest";

import type { ModelOut } from "@/api/types";

import { baseFor, fittingLoras, lorasFor, lorasOf, withWord } from "./loras";

const model = (over: Partial<ModelOut>): ModelOut => ({ key: "m", type: "base_model", family: "sd15", available: true, download: null, ...over }) as ModelOut;

describe("LoRAs in the form", () => {
  it("offers those of the model's family that are here", () => {
    const models = [model({}), model({ key: "a", type: "lora" }), model({ key: "b", type: "lora", family: "sdxl" }), model({ key: "c", type: "lora", available: false }), model({ key: "d", type: "embedding" })];
    expect(fittingLoras(models, model({})).map((each) => each.key)).toEqual(["a"]);
  });

  it("are drawn with the model that they were made with, or another that they fit", () => {
    const here = (key: string, over: Partial<ModelOut> = {}) => model({ key, task: "image", runnable: true, source: "hub", ...over });
    const models = [here("creatures", { source: "embedded", state: "ready" }), here("one"), here("two", { state: "ready" }), here("gone", { available: false }), here("xl", { family: "sdxl" })];
    const chosen = (lora: Partial<ModelOut>, now: string | null = null) => baseFor(model({ key: "ink", type: "lora", ...lora }), models, now)?.key;
    expect(chosen({ base: "creatures" }, "one")).toBe("creatures");
    expect([chosen({}, "one"), chosen({}), chosen({ base: "gone" }, "xl"), chosen({ family: "sdxl" }), chosen({ family: "sd3" })]).toEqual(["one", "two", "two", "xl", undefined]);
  });

  it("asks only for those that fit, and for none whose weight is no number", () => {
    const choices = [{ key: "a", weight: 0.5, family: "sd15" }, { key: "b", weight: 1, family: "sdxl" }, { key: "c", weight: Number.NaN, family: "sd15" }];
    expect(lorasFor(choices, model({}))).toEqual([{ model: "a", weight: 0.5 }]);
    expect(lorasFor(choices, undefined)).toEqual([]);
  });

  it("adds a word once", () => {
    expect(withWord("", "red fox")).toBe("red fox");
    expect(withWord("a castle, ", "red fox")).toBe("a castle, red fox");
    expect(withWord("a Red Fox", "red fox")).toBe("a Red Fox");
  });

  it("reads them out of a recipe", () => {
    expect(lorasOf({ loras: [{ model: "a", weight: 0.7, sha256: "x" }, { weight: 1 }, { model: "b" }] })).toEqual([{ key: "a", weight: 0.7, family: "" }, { key: "b", weight: 1, family: "" }]);
    expect(lorasOf({})).toEqual([]);
  });
});
