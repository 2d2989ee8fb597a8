/** What a model is to its user: how it stands, and what the next thing to do with it is. Pure. */

export const TASKS = ["image", "video", "chat", "transcribe", "diarize", "embed"] as const;
export type Task = (typeof TASKS)[number];

/**
 * How a card stands: the server's states, and what they leave open.
 *
 *     offered ──download──> downloading <──> paused ──> idle ──load──> (waiting ──>) loading ──> ready <──> parked
 *                               │                                                      │
 *                               └───────────────────────> error <──────────────────────┘   missing: its files are gone
 */
export const LOOKS = ["ready", "loading", "waiting", "parked", "downloading", "paused", "error", "missing", "idle", "offered"] as const;
export type Look = (typeof LOOKS)[number];

export interface Standing {
  task: Task;
  type: "base_model" | "lora" | "fine_tune" | "embedding" | "upscaler";
  family: string;
  state: "idle" | "downloading" | "loading" | "ready" | "parked" | "error";
  available: boolean;
  runnable: boolean;
  size_bytes: number;
  repo?: string | null;
  /** Of a LoRA of chat models: the model that it is loaded with. */
  answers_with?: string | null;
  download?: { state: keyof typeof DOWNLOADS } | null;
  waiting?: { position?: number | null } | null;
}

/** A LoRA, an embedding or an upscaler: no model of its own, but added to one. */
export const isAddition = (model: { type: string }) => model.type === "lora" || model.type === "embedding" || model.type === "upscaler";

const DOWNLOADS = { waiting: "downloading", downloading: "downloading", paused: "paused", cancelled: "paused", failed: "error" } as const;

export function lookOf(model: Standing): Look {
  if (model.download) return DOWNLOADS[model.download.state];
  if (model.state === "loading" && typeof model.waiting?.position === "number") return "waiting";
  if (model.state === "downloading" || model.state === "error" || model.state === "loading") return model.state;
  if (!model.available) return "missing";
  return model.state;
}

export type Step = "use" | "load" | "unload" | "stop" | "download" | "token" | "pause" | "resume" | "loadAgain" | "downloadAgain" | "open";

/** Who looks, and what there is to draw with: the families of the models of pictures. */
export interface Who { admin: boolean; hasToken: boolean; families?: ReadonlySet<string> }

/** Tasks that have a page where a model is asked for something. */
const ASKED: readonly Task[] = ["image", "chat"];

/** A LoRA that a chat model is loaded with is asked by its own name; one of pictures goes with a model that it fits, an upscaler with any. */
function isAsked(model: Standing, { families }: Who): boolean {
  if (!model.available) return false;
  if (!isAddition(model)) return model.runnable && ASKED.includes(model.task);
  if (model.type === "upscaler") return (families?.size ?? 0) > 0;
  return model.type === "lora" && (model.task === "chat" ? !!model.answers_with : model.task === "image" && !!families?.has(model.family));
}

/** The families of pictures that can be drawn here. */
export const familiesOf = (models: readonly Standing[]): ReadonlySet<string> => new Set(models.filter((model) => model.task === "image" && model.runnable && !isAddition(model) && model.available && !model.download).map((model) => model.family));

/** The one thing to do next with a model that is here. */
export function nextStep(model: Standing, who: Who): Step {
  const { admin } = who;
  const usable = isAsked(model, who);
  switch (lookOf(model)) {
    case "downloading":
      return admin ? "pause" : "open";
    case "paused":
      return admin ? "resume" : "open";
    case "loading":
    case "waiting":
      return admin ? "stop" : "open";
    case "ready":
      return usable ? "use" : admin ? "unload" : "open";
    case "parked":
      return usable ? "use" : admin ? "load" : "open";
    case "error":
      if (!admin) return "open";
      return model.download || !model.available ? (model.repo ? "downloadAgain" : "open") : "loadAgain";
    case "missing":
      return admin && model.repo ? "downloadAgain" : "open";
    default:
      if (isAddition(model)) return usable ? "use" : "open";
      if (!model.runnable) return "open";
      return admin ? "load" : usable ? "use" : "open";
  }
}

/** The one thing to do next with a model that the catalogue offers. */
export function nextStepOfOffer(offer: { gated: boolean }, { admin, hasToken }: Who): Step {
  if (!admin) return "open";
  return offer.gated && !hasToken ? "token" : "download";
}

/** What else can be done, besides looking at it. */
export function canDo(model: Standing & { removable: boolean }, who: Who) {
  const { admin } = who;
  const look = lookOf(model);
  const runs = model.runnable && !isAddition(model) && model.available && !model.download;
  return {
    use: isAsked(model, who) && !model.download && look !== "error",
    load: admin && runs && (look === "idle" || look === "parked" || look === "error"),
    unload: admin && (look === "ready" || look === "parked"),
    park: admin && look === "ready",
    options: admin && runs && !["downloading", "paused"].includes(look),
    pin: model.removable || admin,
    edit: model.removable,
    remove: model.removable && look !== "loading" && look !== "waiting",
  };
}

/** Parameters as people say them: 865 M, 12 B. */
export function parameters(count: number, locale = "en"): string {
  const [value, unit] = count >= 1e9 ? [count / 1e9, "B"] : count >= 1e6 ? [count / 1e6, "M"] : [count / 1e3, "K"];
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value)} ${unit}`;
}

/** A large count in few letters: 1.2 M, 840 k. */
export function compact(count: number, locale = "en"): string {
  return new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 }).format(count);
}

const FAMILIES: Record<string, string> = { sd15: "SD 1.5", sd2: "SD 2", sdxl: "SDXL", "sdxl-turbo": "SDXL Turbo", sd3: "SD 3", flux: "FLUX", svd: "SVD", qwen3vl: "Qwen3-VL", qwen3_vl: "Qwen3-VL", qwen3_vl_moe: "Qwen3-VL", qwen3: "Qwen3", qwen3_moe: "Qwen3", esrgan: "ESRGAN", compact: "Real-ESRGAN Compact", swinir: "SwinIR", swin2sr: "Swin2SR", hat: "HAT", dat: "DAT", span: "SPAN", plksr: "PLKSR", rcan: "RCAN", drct: "DRCT", atd: "ATD", realcugan: "Real-CUGAN", omnisr: "OmniSR", aurasr: "AuraSR" };
export const familyName = (family: string): string => FAMILIES[family] ?? family;

const TYPES: Record<string, string> = { F64: "float64", F32: "float32", F16: "float16", BF16: "bfloat16", F8_E4M3: "float8", F8_E5M2: "float8", I8: "int8", U8: "int8" };
export const typeName = (dtype: string): string => TYPES[dtype] ?? dtype.toLowerCase();

/** `owner/name` out of what people paste: a repository, its address on the hub, with or without what follows. */
export function repoOf(text: string): string | null {
  const path = text.trim().replace(/^(https?:\/\/)?(www\.)?(huggingface\.co|hf\.co)\//, "").replace(/\/(tree|blob|resolve)\/.*$/, "").replace(/\/+$/, "");
  return /^[\w.-]{1,96}\/[\w.-]{1,96}$/.test(path) && !path.includes("..") ? path : null;
}
