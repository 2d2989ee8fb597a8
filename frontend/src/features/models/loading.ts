/** The form of how a model is loaded, and the question to the planner that it stands for. Pure. */
import type { LoadOptions, ModelOut, PlanIn, RemedyOut } from "@/api/types";

/** Seconds of idleness after which a model leaves; "default" is the server's, 0 is never. */
export const TTLS = ["default", 60, 300, 1800, 7200, 0] as const;
export type Ttl = "default" | number;
export const DTYPES = ["default", "float32", "bfloat16", "float16"] as const;
export type Dtype = (typeof DTYPES)[number];

export const QUANTIZATIONS = ["none", "int8", "fp8", "fp4"] as const;
export const QUALITIES = ["lossless", "balanced", "fast"] as const;
export const ATTENTIONS = ["auto", "flash", "xformers", "sage", "sdpa"] as const;
export const OFFLOADS = ["none", "model", "group"] as const;
export const SWITCHES = ["compile", "vae_slicing", "vae_tiling", "step_cache"] as const;
/** What changes speed and memory of a model that makes pictures; what is left out is the engine's own choice. */
export type Speed = Pick<LoadOptions, "quality" | "quantization" | "attention" | "offload" | "share_batches" | (typeof SWITCHES)[number]>;
const SPEED = ["quality", "quantization", "attention", "offload", "share_batches", ...SWITCHES] as const;

function speedOf(options: LoadOptions): Speed {
  return Object.fromEntries(SPEED.flatMap((name) => ((options[name] ?? undefined) === undefined ? [] : [[name, options[name]]])));
}

/** Called the same in every language. */
export const CHAT_ENGINES = { vllm_chat: "vLLM (GPU)", vllm_cpu_chat: "vLLM (CPU)", transformers_chat: "transformers" } as const;
export type ChatEngine = "default" | keyof typeof CHAT_ENGINES;
/** What vLLM reads tool calls and reasoning with, of the families that Atelier knows; it has more, and they can be typed. */
export const TOOL_PARSERS = ["hermes", "qwen3_coder", "llama3_json", "llama4_pythonic", "mistral", "pythonic", "gemma4", "granite", "glm45", "deepseek_v3", "openai", "phi4_mini_json", "internlm"];
export const REASONING_PARSERS = ["qwen3", "deepseek_r1", "gemma4", "glm45", "openai_gptoss"];
/** "none" is no parser at all. */
export const NO_PARSER = "none";
export const PARSER = /^[a-z0-9][a-z0-9_]{0,63}$/;
export const IMAGES = [0, 1, 2, 4, 8, 16];
/** Requests of the whole context that fit into a chat model's memory when nobody says otherwise, and it has the room. */
const SEQUENCES = 4;

export interface LoadForm {
  engine: ChatEngine;
  speed: Speed;
  /** Keys and values of a chat model in 8 bits. */
  shortCache: boolean;
  dtype: Dtype;
  ttl: Ttl;
  devices: number[];
  width: number;
  height: number;
  /** Pictures, or conversations, at once. */
  batch: number;
  context: number;
  /** Empty: as usual for the model. */
  toolParser: string;
  reasoningParser: string;
  images: number | "default";
  loras: string[];
  /** Of a file that holds a part of a model: who lends the rest. Empty: the first that can. */
  partsFrom: string;
}

export function formOf(model: Pick<ModelOut, "load_options" | "defaults" | "chat">): LoadForm {
  const { dtype, ttl_seconds: ttl, gpu_device_ids: devices, batch, chat_engine: engine, context, sequences, tool_parser: tools, reasoning_parser: reasoning, images, loras, kv_cache: cache, parts_from: lender } = model.load_options;
  return {
    engine: engine ?? "default",
    speed: speedOf(model.load_options),
    shortCache: cache === "fp8",
    dtype: dtype ?? "default", ttl: ttl ?? "default", devices: devices ?? [],
    width: model.defaults?.width ?? 1024, height: model.defaults?.height ?? 1024, batch: model.chat ? (sequences ?? model.chat.sequences) : (batch ?? 1), context: context ?? model.chat?.context ?? 8192,
    toolParser: tools ?? "", reasoningParser: reasoning ?? "", images: images ?? "default", loras: loras ?? [], partsFrom: lender ?? "",
  };
}

/** What is left as the server likes it is left out. */
export function optionsOf(form: LoadForm, task: ModelOut["task"], chat?: ModelOut["chat"]): LoadOptions {
  return {
    ...(chat ? chatOptions(form, chat) : {}),
    ...(form.dtype === "default" ? {} : { dtype: form.dtype }),
    ...(form.ttl === "default" ? {} : { ttl_seconds: form.ttl }),
    ...(form.devices.length ? { gpu_device_ids: [...form.devices].sort((a, b) => a - b) } : {}),
    ...(task === "image" && form.batch > 1 ? { batch: form.batch } : {}),
    ...(task === "image" || task === "video" ? form.speed : {}),
    ...(task === "image" && form.partsFrom ? { parts_from: form.partsFrom } : {}),
  };
}

/** What counts anyway is left out. How many requests fit follows from the context where the room is short. */
function chatOptions(form: LoadForm, chat: NonNullable<ModelOut["chat"]>): LoadOptions {
  const { context, sequences } = chat.usual;
  const asUsual = form.batch === sequences && (form.context === context || sequences === SEQUENCES);
  return {
    ...(form.engine === "default" ? {} : { chat_engine: form.engine }),
    ...(form.context === context ? {} : { context: form.context }),
    ...(asUsual ? {} : { sequences: form.batch }),
    ...(form.toolParser ? { tool_parser: form.toolParser } : {}),
    ...(form.reasoningParser ? { reasoning_parser: form.reasoningParser } : {}),
    ...(form.images === "default" ? {} : { images: form.images }),
    ...(form.loras.length ? { loras: form.loras } : {}),
    ...(form.speed.quantization ? { quantization: form.speed.quantization } : {}),
    ...(form.shortCache ? { kv_cache: "fp8" } : {}),
  };
}

export function questionOf(model: Pick<ModelOut, "key" | "task">, form: LoadForm): PlanIn {
  // All that the form says, also what is the default: the model's own options count where nothing is said.
  const options: LoadOptions = { ...(model.task === "chat" && form.engine !== "default" ? { chat_engine: form.engine } : {}), dtype: form.dtype === "default" ? null : form.dtype, batch: model.task === "image" ? form.batch : null, gpu_device_ids: form.devices.length ? form.devices : null, quality: null, quantization: null, offload: null, kv_cache: form.shortCache ? "fp8" : null, ...form.speed };
  const amount = model.task === "image" || model.task === "video" ? { width: form.width, height: form.height, num_outputs: form.batch } : model.task === "chat" ? { context: form.context } : {};
  return { model: model.key, ...amount, batch: form.batch, options };
}

/** The form after a remedy was taken. */
export function remedied(form: LoadForm, change: RemedyOut["change"]): LoadForm {
  const options = (change.options ?? {}) as LoadOptions;
  const number = (value: unknown, otherwise: number) => (typeof value === "number" ? value : otherwise);
  return {
    ...form,
    speed: { ...form.speed, ...speedOf(options) },
    shortCache: form.shortCache || options.kv_cache === "fp8",
    dtype: DTYPES.find((dtype) => dtype === options.dtype) ?? form.dtype,
    devices: Array.isArray(change.gpu_device_ids) ? (change.gpu_device_ids as number[]) : form.devices,
    width: number(change.width, form.width),
    height: number(change.height, form.height),
    batch: number(options.batch, number(change.num_outputs, number(change.batch, form.batch))),
    context: number(change.context, form.context),
  };
}

export function sameOptions(a: LoadOptions, b: LoadOptions): boolean {
  const plain = ({ dtype, ttl_seconds: ttl, gpu_device_ids: devices, batch, ...rest }: LoadOptions) =>
    JSON.stringify([rest.chat_engine ?? null, rest.context ?? null, rest.sequences ?? null, rest.tool_parser ?? null, rest.reasoning_parser ?? null, rest.images ?? null, rest.loras ?? [], rest.kv_cache ?? null, rest.parts_from ?? null, dtype ?? null, ttl ?? null, devices ?? null, batch ?? 1, ...SPEED.map((name) => rest[name] ?? null)]);
  return plain(a) === plain(b);
}
