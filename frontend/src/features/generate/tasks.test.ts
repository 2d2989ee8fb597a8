// @vitest-environment node
import { describe, expect, it } from "vitest";

import type { SettingsOut } from "@/api/types";
import { image, models } from "@/mocks/data";

import { asked } from "./asked";
import { fresh } from "./settings";
import type { Source } from "./source";
import { checkAll, freshTask, inWords, ownRedraw, ownSize, resultSize, toWanted, type TaskForm } from "./tasks";
import { formOf } from "./told";

const model = models[0];
const form = { ...fresh, prompt: "a fox" };
const of = (width: number, height: number): Source => ({ id: "inp_1", name: "photo.png", url: "/x", kept: "/x", width, height, image: null, progress: null, problem: null });
const picture = of(320, 200);
const job = (patch: Partial<TaskForm>) => ({ ...freshTask, ...patch });
const wanted = (patch: Partial<TaskForm>) => toWanted(form, model, job(patch), picture, "inp_1", "inp_2");

describe("the request", () => {
  it("is one for words where there is no picture", () => expect(toWanted(form, model, freshTask, null, "", "").path).toBe("text-to-image"));

  it("takes the picture's size unless another is chosen", () => {
    expect(wanted({ task: "change", strength: 0.4 })).toMatchObject({ path: "image-to-image", body: { image: "inp_1", strength: 0.4, width: 320, height: 200 } });
    expect(toWanted({ ...form, width: 256, height: 256 }, model, job({ task: "change" }), picture, "inp_1", "").body).toMatchObject({ width: 256, height: 256 });
  });

  it("has a mask, and what is seen around it only where that matters", () => {
    const { body } = wanted({ task: "inpaint", padding: 48 });
    expect(body).toMatchObject({ mask: "inp_2", mask_blur: 4, only_masked: false, fill: "original" });
    expect(body).not.toHaveProperty("padding");
    expect(wanted({ task: "inpaint", onlyMasked: true, padding: 48 }).body).toMatchObject({ only_masked: true, padding: 48 });
  });

  it("asks for no size where it follows from the picture", () => {
    for (const patch of [{ task: "outpaint", growth: { left: 64, right: 0, top: 0, bottom: 8 } }, { task: "upscale", scale: 1.5 }] as const) {
      expect(wanted(patch).body).not.toHaveProperty("width");
      expect(wanted(patch).body).not.toHaveProperty("height");
    }
    expect(wanted({ task: "outpaint", growth: { left: 64, right: 0, top: 0, bottom: 8 } }).body).toMatchObject({ left: 64, right: 0, bottom: 8 });
    expect(resultSize(job({ task: "outpaint", growth: { left: 64, right: 0, top: 0, bottom: 8 } }), picture, model)).toEqual({ width: 384, height: 208 });
    expect(resultSize(job({ task: "upscale", scale: 1.5 }), picture, model)).toEqual({ width: 480, height: 304 });
  });

  it("leaves to the model how much of a larger picture is drawn anew, until somebody says", () => {
    expect(wanted({ task: "upscale" }).body).not.toHaveProperty("strength");
    expect(wanted({ task: "upscale", redraw: 0 }).body).toMatchObject({ strength: 0 });
    const of = (redraw_strength: number) => ownRedraw({ ...(model as NonNullable<typeof model>), redraw_strength });
    expect([of(0), of(0.2), ownRedraw(undefined)]).toEqual([0, 0.2, 0.3]);
  });

  it("has a second pass only where the whole picture is drawn", () => {
    const hires = (task: TaskForm["task"]) => toWanted({ ...form, hires: true }, model, job({ task }), picture, "inp_1", "inp_2").body;
    expect(hires("change")).toMatchObject({ hires: { scale: 2, strength: 0.5 } });
    for (const task of ["inpaint", "outpaint", "upscale"] as const) expect(hires(task)).not.toHaveProperty("hires");
  });

  it("for a video has no words", () => {
    const video = { ...(model as NonNullable<typeof model>), key: "svd", task: "video" as const };
    const { path, body } = toWanted(form, video, job({ task: "animate", fps: 9 }), picture, "inp_1", "");
    expect(path).toBe("image-to-video");
    expect(body).toMatchObject({ image: "inp_1", model: "svd", fps: 9, format: "mp4" });
    expect(body).not.toHaveProperty("prompt");
    expect(body).not.toHaveProperty("frames");
  });
});

describe("what is missing", () => {
  const missing = (patch: Partial<TaskForm>, empty = true, words = "a fox", at = picture) => checkAll({ ...fresh, prompt: words }, model, job(patch), at, empty);

  it("is the mask, or how far the picture goes on", () => {
    expect(missing({ task: "change" })).toEqual({});
    expect(missing({ task: "inpaint" }).mask?.key).toBe("validation.maskEmpty");
    expect(missing({ task: "inpaint" }, false)).toEqual({});
    expect(missing({ task: "outpaint" }).left?.key).toBe("validation.noGrowth");
    expect(missing({ task: "outpaint", growth: { left: 64, right: 0, top: 0, bottom: 0 } })).toEqual({});
    expect(missing({ task: "outpaint", growth: { left: 64, right: 0, top: 0, bottom: 0 } }, true, "a fox", of(480, 480)).left).toEqual({ key: "validation.sizeOver", width: 544, height: 480, max: 512 });
  });

  it("is a smaller scale where the result would be huge", () => {
    expect(missing({ task: "upscale", scale: 4 }, true, "", of(1200, 800)).scale).toEqual({ key: "validation.sizeOver", width: 4800, height: 3200, max: 4096 });
    expect(missing({ task: "upscale", scale: 2 }, true, "", of(1200, 800))).toEqual({});
  });

  it("is words, but not for what needs none", () => {
    expect(missing({ task: "change" }, true, " ").prompt?.key).toBe("validation.promptEmpty");
    expect(missing({ task: "upscale" }, true, " ")).toEqual({});
    expect(missing({ task: "animate" }, true, " ")).toEqual({});
    expect(missing({ task: "upscale" }, true, "x".repeat(2001)).prompt?.key).toBe("validation.tooLong");
  });
});

it("works at the picture's own size where the model can, else at its shape", () => {
  expect(ownSize("change", of(512, 384), model)).toEqual({ width: 512, height: 384 });
  expect(ownSize("change", of(250, 203), model)).toEqual({ width: 248, height: 200 });
  expect(ownSize("change", of(4000, 3000), model)).toEqual({ width: 296, height: 224 });
  expect(ownSize("change", of(40, 30), model)).toEqual({ width: 296, height: 224 });
  expect(ownSize("change", null, model)).toBeNull();
});

it("enlarges by what was chosen", () => {
  const wanted = (upscaler: string) => toWanted({ ...fresh, prompt: "x" }, model, job({ task: "upscale", upscaler }), of(64, 64), "img_1", "").body;
  expect(wanted("4x-fine")).toMatchObject({ upscaler: "4x-fine" });
  expect(wanted("lanczos")).not.toHaveProperty("upscaler");
});

it("says in words how much may change", () => expect([0, 0.2, 0.3, 0.5, 0.7, 0.85, 1].map(inWords)).toEqual([0, 0, 1, 2, 3, 4, 4]));

it("knows from a job what was done with which picture", () => {
  const request = { image: image(1).id, resolved: { task: "outpaint", width: 384, height: 208, seeds: [1] } };
  expect(asked({ request, images: [] })).toMatchObject({ task: "outpaint", width: 384, height: 208 });
  expect(asked({ request: { prompt: "a fox" }, images: [] }).task).toBeNull();
});

describe("a file that says how it was made", () => {
  it("fills the form, and leaves alone what it does not say", () => {
    const found: SettingsOut = { source: "a1111", settings: { prompt: "a fox", steps: 12, seed: 7, hires: { scale: 1.9 }, loras: [{ model: "paper", weight: 0.7 }] }, missing: [], model_name: null, text: null, recipe: null, width: 64, height: 64 };
    expect(formOf(found)).toEqual({ prompt: "a fox", steps: 12, seed: 7, keepSeed: true, variation: 0, subseed: null, hires: true, hiresScale: 2, hiresStrength: 0.5, hiresSteps: null, hiresScheduler: null, hiresUpscaler: "lanczos", clipSkip: 0, sampling: {}, quality: 95, styles: [], translated: null, loras: [{ key: "paper", weight: 0.7, family: "" }] });
  });
});
