// @vitest-environment node
import { afterEach, describe, expect, it, vi } from "vitest";

import { image, job, models } from "@/mocks/data";

import { again, vary } from "./again";
import { asked } from "./asked";
import { check, fresh, reuse, seedOf, settings, toRequest } from "./settings";
import { snippet } from "./snippets";
import { wordsOf } from "./told";

const model = models[0];
const form = { ...fresh, prompt: "a fox" };

describe("the form", () => {
  it("is fine with a prompt and the model's defaults", () => {
    expect(check(form, model)).toEqual({});
    expect(toRequest(form, model)).toEqual({ prompt: "a fox", model: "creatures", num_outputs: 1, steps: 30, guidance_scale: 5, width: 256, height: 256, seed: null, format: "png" });
  });

  it.each([
    ["prompt", { prompt: "   " }, "validation.promptEmpty"],
    ["prompt", { prompt: "x".repeat(2001) }, "validation.tooLong"],
    ["negative_prompt", { negative: "x".repeat(2001) }, "validation.tooLong"],
    ["steps", { steps: 201 }, "validation.integer"],
    ["steps", { steps: 2.5 }, "validation.integer"],
    ["steps", { steps: Number.NaN }, "validation.integer"],
    ["guidance_scale", { guidance: -1 }, "validation.range"],
    ["width", { width: 100 }, "validation.multiple"],
    ["height", { height: 1024 }, "validation.multiple"],
    ["seed", { seed: 2 ** 32, keepSeed: true }, "validation.seed"],
    ["subseed", { subseed: 2 ** 32, variation: 0.1 }, "validation.seed"],
    ["subseed_strength", { variation: 1.2 }, "validation.range"],
    ["seed", { seed: seedOf("forty"), keepSeed: true }, "validation.seed"],
  ] as const)("names %s for %j", (field, patch, key) => expect(check({ ...form, ...patch }, model)[field]?.key).toBe(key));

  it("counts characters as the server does", () => expect(check({ ...form, prompt: "🦊".repeat(2000) }, model)).toEqual({}));

  it("takes over everything that made a picture", () => {
    settings.set({ ...fresh, styles: ["Noir"], translated: { from: "un", to: "one" } });
    reuse(image(3, { negative_prompt: "blur", seed: 99 }));
    expect(toRequest(settings.get(), model)).not.toHaveProperty("styles"); // they stand in its words
    expect(toRequest(settings.get(), model)).toMatchObject({ prompt: image(3).prompt, negative_prompt: "blur", seed: 99, width: image(3).width, steps: 30, scheduler: "ddim" });
    settings.set(fresh);
  });

  it("takes over variations and the second pass, at the size of the first", () => {
    const made = image(3, { width: 512, height: 768 });
    reuse({ ...made, recipe: { ...made.recipe, width: 256, height: 384, subseed: 5, subseed_strength: 0.2, hires: { width: 512, height: 768, steps: 7, strength: 0.4, upscaler: "latent", scheduler: "ddim" }, clip_skip: 1, sampler_settings: { eta: 0.5, s_churn: null }, quality: 80 }, format: "webp" });
    expect(toRequest(settings.get(), model)).toMatchObject({ width: 256, height: 384, subseed: 5, subseed_strength: 0.2, hires: { scale: 2, steps: 7, strength: 0.4, upscaler: "latent", scheduler: "ddim" }, clip_skip: 1, sampler_settings: { eta: 0.5 }, quality: 80 });
    reuse({ ...made, recipe: { ...made.recipe, hires: { width: 512, height: 768, steps: made.steps, strength: 0.4 } } });
    expect(toRequest(settings.get(), model).hires).not.toHaveProperty("steps");
    expect(check({ ...settings.get(), hiresSteps: 0 }, model)).toHaveProperty("hires_steps");
    reuse(image(4));
    expect(toRequest(settings.get(), model)).not.toHaveProperty("hires");
    expect(toRequest(settings.get(), model)).not.toHaveProperty("subseed_strength");
    settings.set(fresh);
  });

  it.each([["4 242", 4242], ["007", 7], ["", null], ["  ", null], ["0x10", Number.NaN], ["1e3", Number.NaN], ["-1", Number.NaN], ["dragon", Number.NaN]] as const)("reads %j as a seed", (text, seed) => expect(seedOf(text)).toBe(seed));

  it("sends no seed unless it is locked", () => expect(toRequest({ ...form, seed: 5 }, model).seed).toBeNull());
});

it("takes styles and a translation over by what was typed", () => {
  const read = { source: "atelier" as const, missing: [], model_name: null, text: null, recipe: null, width: 1, height: 1 };
  const words = wordsOf({ ...read, settings: { prompt: "a fox", styles: ["Noir"], typed_prompt: "un zorro", loras: [{ model: "ink", weight: 0.4 }] } });
  expect(words).toEqual({ prompt: "a fox", styles: ["Noir"], translated: { from: "un zorro", to: "a fox" }, loras: [{ key: "ink", weight: 0.4, family: "" }] });
  expect(wordsOf({ ...read, settings: { prompt: "a fox" } })).toEqual({ prompt: "a fox", styles: [], translated: null, loras: [] });
});

describe("what a job makes", () => {
  it("is what the server decided where nothing was asked", () => {
    const request = { prompt: "a fox", resolved: { prompt: "a fox", model: "creatures", width: 384, height: 256, seeds: [7, 8] } };
    expect(asked(job("a", { request }))).toEqual({ prompt: "a fox", model: "creatures", width: 384, height: 256, count: 2, task: null });
  });

  it("is what was asked where the server says nothing", () => {
    expect(asked(job("a", { request: { prompt: "a fox", num_outputs: 4, width: 64, height: 128 } }))).toMatchObject({ width: 64, height: 128, count: 4 });
    expect(asked(job("a", { request: {} })).count).toBe(1);
  });
});

describe("the same again", () => {
  const drawn = image(3, { seed: 99 });
  const enlarged = { ...drawn, recipe: { ...drawn.recipe, task: "upscale", image: "img_gone", strength: 0.3, scale: 2 } };
  const styled = { ...drawn, prompt: "a fox at night", recipe: { ...drawn.recipe, asked: { prompt: "a fox", styles: ["Night"] } } };
  const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": status < 400 ? "application/json" : "application/problem+json" } });
  const typed = { source: "atelier", settings: { prompt: "a fox", styles: ["Night"] }, missing: [], model_name: null, text: null, recipe: null, width: 8, height: 8 };

  afterEach(() => {
    vi.unstubAllGlobals();
    settings.set(fresh);
  });

  it("has the words though the picture that it came from is gone, and says that", async () => {
    vi.stubGlobal("fetch", async () => json({ title: "Not found", status: 404, detail: "gone", code: "image_not_found" }, 404));
    await expect(again(enlarged)).rejects.toMatchObject({ status: 404 });
    expect(settings.get()).toMatchObject({ prompt: drawn.prompt, seed: 99, keepSeed: true });
  });

  it("gives way to what is chosen or written while it is asked about", async () => {
    const answers: ((response: Response) => void)[] = [];
    vi.stubGlobal("fetch", () => new Promise((done) => answers.push(done)));
    const first = vary(styled);
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    await again(image(4));
    answers[0]?.(json(typed));
    await first;
    expect(settings.get()).toMatchObject({ prompt: image(4).prompt, styles: [], variation: 0 });
    const second = again(styled);
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    settings.set((now) => ({ ...now, prompt: "an owl" }));
    answers[1]?.(json(typed));
    await second;
    expect(settings.get()).toMatchObject({ prompt: "an owl", styles: [] });
  });
});

describe("copy as code", () => {
  const request = { path: "text-to-image", body: toRequest({ ...form, prompt: "a fox's \"tail\"\n$HOME" }, model) } as const;

  it("quotes for the shell", () => {
    const text = snippet("curl", "http://host:8000", request);
    expect(text).toContain("http://host:8000/api/generate/text-to-image");
    expect(text).toContain(`a fox'\\''s \\"tail\\"\\n$HOME`);
  });

  it("leaves out what is null", () => {
    for (const language of ["curl", "python", "javascript"] as const) expect(snippet(language, "http://h", request)).not.toContain("null");
  });

  it("knows what is done with a picture, in each language's words", () => {
    const inpaint = { path: "inpaint", body: { ...request.body, image: "img_1", mask: "inp_2", only_masked: true } } as const;
    for (const language of ["curl", "python", "javascript"] as const) expect(snippet(language, "http://h", inpaint)).toContain("/api/generate/inpaint");
    expect(snippet("python", "http://h", inpaint)).toContain('"only_masked": True,');
  });

  it("is JavaScript that parses", () => expect(() => new Function(`return async () => {${snippet("javascript", "http://h", request)}}`)).not.toThrow());
});
