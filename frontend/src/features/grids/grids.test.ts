// @vitest-environment node
import { expect, it } from "vitest";

import { gridAgain, gridOf, requestOf } from "@/api/grids";
import type { GridIn } from "@/api/types";
import { image } from "@/mocks/data";

import { axisIn, axisOf, valuesOf, type Axis } from "./axes";
import { questions } from "./usePlan";

it("reads the values of a grid as people write them", () => {
  expect(valuesOf("steps", "10, 20,,30-50:10")).toEqual([10, 20, 30, 40, 50]);
  expect(valuesOf("guidance_scale", "2.5, x")).toEqual([2.5, "x"]);
  expect(valuesOf("seed", "5-3, 1-1000000")).toHaveLength(65);
  expect(valuesOf("prompt_sr", "red, very blue ")).toEqual(["red", "very blue"]);
});

it("stands as it was asked for, to be changed", () => {
  const asked = { request: { prompt: "a fox", model: "creatures" }, start: { image: "img_0123456789abcdef0123" }, x: { field: "scheduler", values: ["euler", "ddim"] }, y: { field: "lora_weight", values: [0, 0.5], lora: "ink" }, cells: [], labels: {} };
  const plan = gridAgain(asked as unknown as GridIn);
  expect(plan).toMatchObject({ request: asked.request, starts: true, start: { strength: 0.6, fit: "crop", url: "/api/gallery/img_0123456789abcdef0123/thumbnail" } });
  for (const side of [plan.x, plan.y]) {
    const axis = side && axisOf(side);
    expect(axis && axisIn(axis)).toEqual(side);
  }
  expect(gridAgain({ request: { prompt: "x" }, x: { field: "steps", values: [1] } })).toMatchObject({ start: null, starts: false, y: null });
});

it("asks for a LoRA's weight with the LoRA that it is of", () => {
  expect(axisIn({ field: "lora_weight", text: "0, 0.5", picked: [], lora: "ink" })).toEqual({ field: "lora_weight", values: [0, 0.5], lora: "ink" });
  expect(axisIn({ field: "scheduler", text: "3", picked: ["euler", "ddim"], lora: "ink" })).toEqual({ field: "scheduler", values: ["euler", "ddim"] });
  expect(axisIn({ field: "", text: "3", picked: [], lora: null })).toBeNull();
});

it("makes a picture of the gallery again with its LoRAs, and at the size before its second pass", () => {
  const one = image(3, { width: 512, height: 512 });
  const asked = requestOf({ ...one, recipe: { width: 256, height: 256, clip_skip: 1, loras: [{ model: "ink", weight: 0.4, sha256: "x" }], hires: { width: 512, height: 512, steps: 7, strength: 0.3, upscaler: "4x-fine", upscaler_sha256: "x", scheduler: "heun", sampler: "Heun" }, sampler_settings: { eta: 0.5 } } });
  expect(asked.hires).toEqual({ scale: 2, steps: 7, strength: 0.3, upscaler: "4x-fine", scheduler: "heun" });
  expect(asked).toMatchObject({ width: 256, height: 256, clip_skip: 1, loras: [{ model: "ink", weight: 0.4 }], sampler_settings: { eta: 0.5 } });
  expect(requestOf({ ...one, recipe: {} })).not.toHaveProperty("loras");
  expect(requestOf({ ...one, recipe: {} })).toMatchObject({ width: 512 });
});

it("starts where the picture started, and else may start from the picture", () => {
  const one = image(3);
  expect(gridOf(one)).toMatchObject({ start: { image: one.id, strength: 0.6 }, starts: false });
  const changed = gridOf({ ...one, recipe: { task: "image_to_image", image: "inp_0123456789abcdef0123", strength: 0.3, fit: "pad" } });
  expect(changed).toMatchObject({ start: { image: "inp_0123456789abcdef0123", url: "/api/inputs/inp_0123456789abcdef0123/file", strength: 0.3, fit: "pad" }, starts: true });
});

it("asks how long it takes for each model and number of steps, at the largest size", () => {
  const axis = (field: Axis["field"], text: string, picked: string[] = []): Axis => ({ field, text, picked, lora: null });
  const request = { prompt: "a fox", model: "creatures", steps: 20, width: 256, height: 256 };
  expect(questions(request, [axis("seed", "1-4"), axis("", "")])).toEqual([{ question: { model: "creatures", steps: 20, width: 256, height: 256 }, cells: 4 }]);
  expect(questions(request, [axis("steps", "10, 30"), axis("model", "", ["creatures", "sdxl"])]).map(({ question, cells }) => [question.model, question.steps, cells])).toEqual([["creatures", 10, 1], ["creatures", 30, 1], ["sdxl", 10, 1], ["sdxl", 30, 1]]);
  expect(questions(request, [axis("width", "256, 512, 9999999"), axis("", "")])[0]?.question).toMatchObject({ width: 512, height: 256 });
  expect(questions(request, [axis("steps", ""), axis("", "")])).toEqual([]);
});
