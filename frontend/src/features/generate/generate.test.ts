// @vitest-environment node
import { describe, expect, it } from "vitest";

import { image, models } from "@/mocks/data";

import { check, fresh, reuse, settings, toRequest } from "./settings";
import { snippet } from "./snippets";

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
    ["seed", { seed: 2 ** 32, keepSeed: true }, "validation.integer"],
  ] as const)("names %s for %j", (field, patch, key) => expect(check({ ...form, ...patch }, model)[field]?.key).toBe(key));

  it("counts characters as the server does", () => expect(check({ ...form, prompt: "🦊".repeat(2000) }, model)).toEqual({}));

  it("takes over everything that made a picture", () => {
    reuse(image(3, { negative_prompt: "blur", seed: 99 }));
    expect(toRequest(settings.get(), model)).toMatchObject({ prompt: image(3).prompt, negative_prompt: "blur", seed: 99, width: image(3).width, steps: 30, scheduler: "ddim" });
    settings.set(fresh);
  });

  it("sends no seed unless it is locked", () => expect(toRequest({ ...form, seed: 5 }, model).seed).toBeNull());
});

describe("copy as code", () => {
  const request = toRequest({ ...form, prompt: "a fox's \"tail\"\n$HOME" }, model);

  it("quotes for the shell", () => {
    const text = snippet("curl", "http://host:8000", request);
    expect(text).toContain("http://host:8000/api/generate/text-to-image");
    expect(text).toContain(`a fox'\\''s \\"tail\\"\\n$HOME`);
  });

  it("leaves out what is null", () => {
    for (const language of ["curl", "python", "javascript"] as const) expect(snippet(language, "http://h", request)).not.toContain("null");
  });

  it("is JavaScript that parses", () => expect(() => new Function(`return async () => {${snippet("javascript", "http://h", request)}}`)).not.toThrow());
});
