// @vitest-environment node
import { expect, it } from "vitest";

import { requestOf } from "@/api/grids";
import { image } from "@/mocks/data";

import { axisIn, valuesOf } from "./axes";

it("reads the values of a grid as people write them", () => {
  expect(valuesOf("steps", "10, 20,,30-50:10")).toEqual([10, 20, 30, 40, 50]);
  expect(valuesOf("guidance_scale", "2.5, x")).toEqual([2.5, "x"]);
  expect(valuesOf("seed", "5-3, 1-1000000")).toHaveLength(65);
  expect(valuesOf("prompt_sr", "red, very blue ")).toEqual(["red", "very blue"]);
});

it("asks for a LoRA's weight with the LoRA that it is of", () => {
  expect(axisIn({ field: "lora_weight", text: "0, 0.5", picked: [], lora: "ink" })).toEqual({ field: "lora_weight", values: [0, 0.5], lora: "ink" });
  expect(axisIn({ field: "scheduler", text: "3", picked: ["euler", "ddim"], lora: "ink" })).toEqual({ field: "scheduler", values: ["euler", "ddim"] });
  expect(axisIn({ field: "", text: "3", picked: [], lora: null })).toBeNull();
});

it("makes a picture of the gallery again with its LoRAs, and at the size before its second pass", () => {
  const one = image(3, { width: 512, height: 512 });
  const asked = requestOf({ ...one, recipe: { width: 256, height: 256, clip_skip: 1, loras: [{ model: "ink", weight: 0.4, sha256: "x" }], hires: { width: 512, height: 512, strength: 0.3 } } });
  expect(asked).toMatchObject({ width: 256, height: 256, clip_skip: 1, loras: [{ model: "ink", weight: 0.4 }], hires: { scale: 2, strength: 0.3 } });
  expect(requestOf({ ...one, recipe: {} })).not.toHaveProperty("loras");
  expect(requestOf({ ...one, recipe: {} })).toMatchObject({ width: 512 });
});
