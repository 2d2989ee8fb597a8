// @vitest-environment node
import { describe, expect, it } from "vitest";

import type { ModelOut } from "@/api/types";
import { canDo, compact, familiesOf, lookOf, nextStep, nextStepOfOffer, parameters, repoOf } from "@/lib/models";
import { downloadOf, modelOf, offers, zoo } from "@/mocks/models";

import { cardsOf, groupsOf, matches, neighbour } from "./cards";
import { formOf, optionsOf, questionOf, remedied, sameOptions } from "./loading";
import { callOf, recipe } from "./recipes";

const admin = { admin: true, hasToken: false };
const user = { admin: false, hasToken: false };
const image = (over: Partial<ModelOut> = {}) => modelOf({ repo: "owner/name", source: "hub", removable: true, ...over });

describe("the next step", () => {
  const speech = { task: "transcribe" as const, key: "s" };
  it.each<[string, Partial<ModelOut>, string, string]>([
    ["idle", {}, "load", "use"],
    ["loading", { state: "loading" }, "stop", "open"],
    ["ready", { state: "ready" }, "use", "use"],
    ["parked", { state: "parked" }, "use", "use"],
    ["a chat model that is ready", { task: "chat", state: "ready" }, "use", "use"],
    ["ready, and no page uses it yet", { ...speech, state: "ready" }, "unload", "open"],
    ["parked, and no page uses it yet", { ...speech, state: "parked" }, "load", "open"],
    ["failed to load", { state: "error" }, "loadAgain", "open"],
    ["files missing, known to the hub", { available: false }, "downloadAgain", "open"],
    ["files missing, imported", { available: false, repo: null }, "open", "open"],
    ["without an engine", { runnable: false }, "open", "open"],
    ["a LoRA", { type: "lora" }, "open", "open"],
    ["a LoRA that no chat model is loaded with", { type: "lora", task: "chat", runnable: false }, "open", "open"],
    ["a LoRA that a chat model is loaded with", { type: "lora", task: "chat", runnable: false, answers_with: "smol" }, "use", "use"],
    ["such a LoRA whose files are gone", { type: "lora", task: "chat", runnable: false, answers_with: "smol", available: false, repo: null }, "open", "open"],
    ["waiting for its download", { available: false, download: downloadOf({ state: "waiting" }) }, "pause", "open"],
    ["downloading", { available: false, download: downloadOf() }, "pause", "open"],
    ["paused", { available: false, download: downloadOf({ state: "paused", paused: true }) }, "resume", "open"],
    ["cancelled", { available: false, download: downloadOf({ state: "cancelled" }) }, "resume", "open"],
    ["download failed", { available: false, download: downloadOf({ state: "failed" }) }, "downloadAgain", "open"],
  ])("of a model that is %s", (_, over, forAdmin, forUser) => {
    expect(nextStep(image(over), admin)).toBe(forAdmin);
    expect(nextStep(image(over), user)).toBe(forUser);
  });

  it("of a LoRA of pictures is to draw with it, where a model is that it fits", () => {
    const lora = image({ type: "lora", runnable: false, family: "sdxl" });
    expect(nextStep(lora, { ...user, families: familiesOf([image({ family: "sdxl" })]) })).toBe("use");
    for (const base of [image({ family: "sd15" }), image({ family: "sdxl", available: false }), lora]) expect(nextStep(lora, { ...admin, families: familiesOf([base]) })).toBe("open");
  });

  it("of an upscaler is to enlarge with it, where anything draws", () => {
    const upscaler = image({ type: "upscaler", runnable: false, family: "esrgan" });
    expect(nextStep(upscaler, { ...user, families: familiesOf([image({})]) })).toBe("use");
    expect(nextStep(upscaler, { ...user, families: familiesOf([upscaler]) })).toBe("open");
  });

  it("of an offer is the token when its owner asks for one and there is none", () => {
    expect(nextStepOfOffer({ gated: true }, admin)).toBe("token");
    expect(nextStepOfOffer({ gated: true }, { admin: true, hasToken: true })).toBe("download");
    expect(nextStepOfOffer({ gated: false }, admin)).toBe("download");
    expect(nextStepOfOffer({ gated: false }, user)).toBe("open");
  });
});

describe("what can be done", () => {
  it("is never to load what is loaded, nor to unload what is not", () => {
    expect(canDo(image({ state: "ready" }), admin)).toMatchObject({ load: false, unload: true, park: true });
    expect(canDo(image(), admin)).toMatchObject({ load: true, unload: false, park: false });
    expect(canDo(image({ state: "parked" }), admin)).toMatchObject({ load: true, unload: true, park: false });
  });

  it("is not to load half a download", () => expect(canDo(image({ download: downloadOf({ state: "failed" }), available: false }), admin)).toMatchObject({ load: false, options: false, use: false }));

  it("leaves loading to administrators", () => expect(canDo(image({ state: "ready" }), user)).toMatchObject({ load: false, unload: false, park: false, options: false, use: true }));

  it("is to use a LoRA that a chat model is loaded with, not to load it", () => expect(canDo(image({ type: "lora", task: "chat", runnable: false, answers_with: "smol" }), admin)).toMatchObject({ use: true, load: false, options: false }));

  it("is not to delete what ships", () => expect(canDo(image({ removable: false }), admin)).toMatchObject({ remove: false, edit: false, pin: true }));
});

it("a failed download is an error, even while its files are missing", () => {
  expect(lookOf(image({ available: false, download: downloadOf({ state: "failed" }) }))).toBe("error");
  expect(lookOf(image({ available: false }))).toBe("missing");
});

describe("cards", () => {
  const cards = cardsOf(zoo(), offers);

  it("hide the offer of what is here, by its repository too", () => {
    expect(cards.filter((card) => card.key === "stable-diffusion-xl")).toHaveLength(1);
    const taken = cardsOf([image({ key: "mine", repo: "stabilityai/sdxl-turbo" })], offers);
    expect(taken.some((card) => card.offer?.key === "sdxl-turbo")).toBe(false);
  });

  it("are found by words of name, key, repository and description, all of them", () => {
    const found = (q: string) => cards.filter((card) => matches(card, { q })).map((card) => card.key);
    expect(found("brush ink")).toEqual(["ink-wash"]);
    expect(found("openai/whisper")).toEqual(["whisper-tiny"]);
    expect(found("brush qwen")).toEqual([]);
  });

  it("stand in groups of what they do, what is in memory first", () => {
    const groups = groupsOf(cards, {});
    expect(groups.map((group) => group.task)).toEqual(["image", "video", "chat", "transcribe", "diarize"]);
    expect(groups[0]?.cards[0]?.look).toBe("ready");
    expect(groups[0]?.cards.at(-1)?.look).toBe("offered");
  });

  it("are filtered by how they stand", () => {
    const keys = (state: "here" | "loaded" | "moving" | "error" | "offered") => groupsOf(cards, { state }).flatMap((group) => group.cards.map((card) => card.look));
    expect(new Set(keys("loaded"))).toEqual(new Set(["ready", "parked", "loading"]));
    expect(new Set(keys("error"))).toEqual(new Set(["error", "missing"]));
    expect(new Set(keys("moving"))).toEqual(new Set(["downloading"]));
    expect(keys("here")).not.toContain("offered");
  });
});

describe("arrow keys", () => {
  // Three in the first row, two in the second, one in another group.
  const boxes = [0, 100, 200].map((left) => ({ left, top: 0 })).concat([0, 100].map((left) => ({ left, top: 50 })), { left: 0, top: 120 });

  it("follow the order of reading sideways", () => expect([neighbour("ArrowRight", 2, boxes), neighbour("ArrowLeft", 3, boxes), neighbour("ArrowLeft", 0, boxes), neighbour("ArrowRight", 5, boxes)]).toEqual([3, 2, 0, 5]));
  it("go to the nearest card of the next row", () => expect([neighbour("ArrowDown", 1, boxes), neighbour("ArrowDown", 2, boxes), neighbour("ArrowDown", 4, boxes), neighbour("ArrowUp", 5, boxes), neighbour("ArrowUp", 4, boxes)]).toEqual([4, 4, 5, 3, 1]));
  it("stay at the edges, and leave other keys alone", () => expect([neighbour("ArrowUp", 1, boxes), neighbour("ArrowDown", 5, boxes), neighbour("x", 1, boxes), neighbour("End", 0, boxes), neighbour("Home", 4, boxes)]).toEqual([1, 5, null, 5, 0]));
});

describe("load options", () => {
  const model = image({ load_options: { dtype: "float16", ttl_seconds: 0 } });

  it("come back as they went in", () => {
    expect(optionsOf(formOf(model), "image")).toEqual({ dtype: "float16", ttl_seconds: 0 });
    expect(sameOptions(optionsOf(formOf(model), "image"), model.load_options)).toBe(true);
    expect(optionsOf(formOf(image()), "image")).toEqual({});
  });

  it("tell the server's own time apart from never", () => {
    expect(formOf(image({ load_options: {} })).ttl).toBe("default");
    expect(formOf(image({ load_options: { ttl_seconds: 0 } })).ttl).toBe(0);
    expect(sameOptions({}, { ttl_seconds: 0 })).toBe(false);
  });

  it("of a chat model come back from the form as they are, and nothing that is usual is written down", () => {
    const chat = { engine: "vllm_chat", engine_reason: "", environment: null, environment_ready: true, context: 2048, sequences: 16, sees: true, calls_tools: true, reasons: true, adapts: true, usual: { tool_parser: "hermes", reasoning_parser: "qwen3", images: 4, context: 4096, sequences: 4 } };
    const load_options = { context: 2048, sequences: 16, tool_parser: "none", reasoning_parser: "deepseek_r1", images: 0, loras: ["pirate"] };
    const model = { load_options, defaults: null, chat };
    expect(optionsOf(formOf(model), "chat", chat)).toEqual(load_options);
    const plain = { ...chat, context: 4096, sequences: 4 };
    expect(optionsOf(formOf({ ...model, load_options: {}, chat: plain }), "chat", plain)).toEqual({});
    for (const name of ["tool_parser", "reasoning_parser", "images", "loras"] as const) expect(sameOptions({ ...load_options, [name]: undefined }, load_options)).toBe(false);
  });
  it("become a question with the size of the pictures", () => expect(questionOf(model, { ...formOf(model), width: 640, batch: 4 })).toMatchObject({ width: 640, num_outputs: 4, batch: 4, options: { dtype: "float16", batch: 4 } }));

  it("take a remedy over, and nothing else", () => {
    const form = { ...formOf(model), batch: 4, width: 1024, height: 1024 };
    expect(remedied(form, { options: { batch: 2 } })).toEqual({ ...form, batch: 2 });
    expect(remedied(form, { options: { dtype: "bfloat16" } })).toEqual({ ...form, dtype: "bfloat16" });
    expect(remedied(form, { width: 768, height: 768 })).toEqual({ ...form, width: 768, height: 768 });
    expect(remedied(form, { options: { dtype: "float8" } })).toEqual(form);
    expect(remedied(form, { options: { quantization: "fp8" } })).toEqual({ ...form, speed: { quantization: "fp8" } });
    expect(remedied(form, { options: { offload: "group", vae_tiling: true }, width: 1152, height: 1152 })).toEqual({ ...form, speed: { offload: "group", vae_tiling: true }, width: 1152, height: 1152 });
  });

  it("of a chat model in 8 bits come back, are asked with, and come by a remedy", () => {
    const options = { quantization: "fp8", kv_cache: "fp8" } as const;
    const chat = { engine: "vllm_chat", engine_reason: "", environment: "chat", environment_ready: true, context: 8192, sequences: 4, sees: false, calls_tools: false, reasons: false, adapts: false, usual: { tool_parser: null, reasoning_parser: null, images: null, context: 8192, sequences: 4 } };
    const model = image({ task: "chat", defaults: null, chat, load_options: options });
    expect(optionsOf(formOf(model), "chat", chat)).toEqual(options);
    expect(questionOf(model, formOf(model)).options).toMatchObject(options);
    const plain = formOf({ ...model, load_options: {} });
    expect(optionsOf(plain, "chat", chat)).toEqual({});
    expect(questionOf(model, plain).options).toMatchObject({ quantization: null, kv_cache: null });
    expect(remedied(remedied(plain, { options: { kv_cache: "fp8" } }), { batch: 2 })).toEqual({ ...plain, shortCache: true, batch: 2 });
    expect(sameOptions(options, { quantization: "fp8" })).toBe(false);
  });

  it("of a chat model that has room for little say how many requests as soon as the context is another", () => {
    const usual = { tool_parser: null, reasoning_parser: null, images: null, context: 32768, sequences: 1 };
    const chat = { engine: "vllm_chat", engine_reason: "", environment: "chat", environment_ready: true, context: 32768, sequences: 1, sees: false, calls_tools: false, reasons: false, adapts: false, usual };
    const form = formOf({ load_options: {}, defaults: null, chat });
    expect([form.batch, optionsOf(form, "chat", chat)]).toEqual([1, {}]);
    expect(optionsOf({ ...form, context: 8192 }, "chat", chat)).toEqual({ context: 8192, sequences: 1 });
  });

  it("keep what makes a model faster, and ask the planner with it", () => {
    const fast = image({ load_options: { quality: "fast", vae_tiling: true, share_batches: "never" } });
    expect(optionsOf(formOf(fast), "image")).toEqual(fast.load_options);
    expect(sameOptions(optionsOf(formOf(fast), "image"), {})).toBe(false);
    expect(questionOf(fast, formOf(fast)).options).toMatchObject({ quality: "fast", quantization: null, vae_tiling: true });
  });
});

describe("words and numbers", () => {
  it("says parameters and counts briefly", () => {
    expect([parameters(865_000_000), parameters(3_470_000_000), parameters(30e9), parameters(3_470_000_000, "fr")]).toEqual(["865 M", "3.5 B", "30 B", "3,5 B"]);
    expect([compact(2_310_442), compact(812)]).toEqual(["2.3M", "812"]);
  });

  it("reads repositories out of what people paste, and nothing that leads elsewhere", () => {
    expect(repoOf("https://huggingface.co/stabilityai/sdxl-turbo/tree/main")).toBe("stabilityai/sdxl-turbo");
    expect(repoOf(" stabilityai/sdxl-turbo/ ")).toBe("stabilityai/sdxl-turbo");
    expect([repoOf("turbo"), repoOf("a/b/c"), repoOf("../etc"), repoOf("https://evil.example/a/b")]).toEqual([null, null, null, null]);
  });

  it("writes recipes that carry the key and no shell trap", () => {
    const call = callOf(image({ key: "it-s" }));
    expect(call && recipe("curl", "http://here", { ...call, body: { prompt: "it's" } })).toContain("it'\\''s");
    expect(call && recipe("python", "http://here", { ...call, body: { a: true, b: null, c: [1] } })).toContain('{"a": True, "b": None, "c": [1]}');
    expect(call && recipe("javascript", "http://here", call)).toContain('"model": "it-s"');
    expect(callOf(image({ type: "lora" }))).toBeNull();
  });
});
