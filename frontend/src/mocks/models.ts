/** The model administration in memory. Searching for "fail:hub" makes the hub unreachable; a repository's name may say "gated", "huge" or "pickle". */
import type { CatalogueItemOut, DownloadOut, FoundModelOut, HubModelOut, HubPlanOut, JobOut, ModelOut, PlanIn, PlanOut, TokenOut } from "@/api/types";

import { iso, job, models as shipped } from "./data.ts";

const GIB = 1024 ** 3;

export const modelOf = (over: Partial<ModelOut>): ModelOut => ({ ...(shipped[0] as ModelOut), ...over });

const HUB = "https://huggingface.co/";
const OFFERS: Omit<CatalogueItemOut, "page_url" | "revision" | "state">[] = [
  { key: "sdxl-turbo", name: "SDXL Turbo", repo: "stabilityai/sdxl-turbo", task: "image", engine: "diffusers_image", family: "sdxl", license: "SAI NC", size_bytes: 6.94 * GIB, bytes_needed: 9.2 * GIB, gated: false, description: "Pictures of 512 pixels in a single step: the fastest of the large models." },
  { key: "flux-schnell", name: "FLUX.1 schnell", repo: "black-forest-labs/FLUX.1-schnell", task: "image", engine: "diffusers_image", family: "flux", license: "Apache-2.0", size_bytes: 33.7 * GIB, bytes_needed: 36 * GIB, gated: false, description: "Twelve billion parameters, four steps; follows long prompts and writes words." },
  { key: "stable-diffusion-3.5-large", name: "Stable Diffusion 3.5 Large", repo: "stabilityai/stable-diffusion-3.5-large", task: "image", engine: "diffusers_image", family: "sd3", license: "Stability Community", size_bytes: 26 * GIB, bytes_needed: 48 * GIB, gated: true, description: "The best of its line for detail and for words in pictures. Its owner asks to accept terms." },
  { key: "stable-video-diffusion", name: "Stable Video Diffusion", repo: "stabilityai/stable-video-diffusion-img2vid-xt", task: "video", engine: "diffusers_image", family: "svd", license: "Stability Community", size_bytes: 9.5 * GIB, bytes_needed: 14 * GIB, gated: true, description: "Turns a picture into a short film of 25 frames." },
  { key: "qwen", name: "Qwen3-VL 30B A3B", repo: "Qwen/Qwen3-VL-30B-A3B-Instruct", task: "chat", engine: "vllm_chat", family: "qwen3vl", license: "Apache-2.0", size_bytes: 58 * GIB, bytes_needed: 64 * GIB, gated: false, description: "Talks, reads pictures, calls tools. Wants a card of 80 GB." },
  { key: "canary", name: "Canary 1B v2", repo: "nvidia/canary-1b-v2", task: "transcribe", engine: "nemo_transcribe", family: "canary", license: "CC-BY-4.0", size_bytes: 3.9 * GIB, bytes_needed: 5 * GIB, gated: false, description: "Speech to text in 25 languages, with the time of each word." },
  { key: "pyannote", name: "Community 1", repo: "pyannote/speaker-diarization-community-1", task: "diarize", engine: "pyannote_diarize", family: "pyannote", license: "CC-BY-4.0", size_bytes: 33 * 1024 ** 2, bytes_needed: 1.5 * GIB, gated: true, description: "Says who speaks when." },
];
export const offers: CatalogueItemOut[] = OFFERS.map((offer) => ({ ...offer, revision: "main", page_url: HUB + offer.repo, state: "absent" }));

export const downloadOf = (over: Partial<DownloadOut> = {}): DownloadOut => ({
  job_id: "job_dl", done_bytes: 2.31 * GIB, total_bytes: 6.46 * GIB, bytes_per_second: 84 * 1024 ** 2, seconds_left: 50, paused: false, state: "downloading", error: null,
  files: [
    { path: "unet/diffusion_pytorch_model.fp16.safetensors", bytes: 4.78 * GIB, done_bytes: 1.9 * GIB, state: "fetching" },
    { path: "text_encoder_2/model.fp16.safetensors", bytes: 1.29 * GIB, done_bytes: 0.41 * GIB, state: "fetching" },
    { path: "text_encoder/model.fp16.safetensors", bytes: 235 * 1024 ** 2, done_bytes: 0, state: "waiting" },
    { path: "vae/diffusion_pytorch_model.fp16.safetensors", bytes: 160 * 1024 ** 2, done_bytes: 160 * 1024 ** 2, state: "checking" },
    { path: "model_index.json", bytes: 609, done_bytes: 609, state: "done" },
  ],
  ...over,
});

/** One model in every state. */
export function zoo(): ModelOut[] {
  return [
    modelOf({ state: "ready", loaded_bytes: 1.1 * GIB, worker_id: "w_01", device: "cuda:0", pinned: true, log_tail: ["loading creatures (320 MiB)", "ready in 1.9 s"] }),
    modelOf({ key: "stable-diffusion-1.5", name: "Stable Diffusion 1.5", source: "hub", repo: "stable-diffusion-v1-5/stable-diffusion-v1-5", commit: "451f4fe16113bff5a5d2269ed5ad43b0592e9a14", description: "The classic: quick, small, and the one with the most LoRAs.", license: "CreativeML OpenRAIL-M", size_bytes: 2.58 * GIB, bytes_needed: 3.4 * GIB, parameters: 1_066_000_000, removable: true, defaults: { steps: 30, guidance_scale: 7.5, width: 512, height: 512, scheduler: null }, limits: { min_side: 256, max_side: 1024, multiple: 8 } }),
    modelOf({ key: "stable-diffusion-xl", name: "Stable Diffusion XL", family: "sdxl", source: "hub", repo: "stabilityai/stable-diffusion-xl-base-1.0", state: "downloading", description: "", license: "CreativeML OpenRAIL++-M", size_bytes: 6.46 * GIB, bytes_needed: 9.4 * GIB, parameters: 3_470_000_000, available: false, removable: true, download: downloadOf() }),
    modelOf({ key: "dreamshaper", name: "DreamShaper 8", source: "imported", state: "error", state_reason: "The worker ran out of memory while it loaded the model. Choose float16, or unload another model first.", license: "CreativeML OpenRAIL-M", size_bytes: 2.6 * GIB, bytes_needed: 3.4 * GIB, parameters: 1_066_000_000, removable: true, log_tail: ["loading dreamshaper", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.20 GiB."] }),
    modelOf({ key: "ink-wash", name: "Ink wash", type: "lora", source: "trained", base: "stable-diffusion-1.5", trigger_words: ["ink wash", "brush strokes"], description: "Brush and ink, from 64 scans.", license: "", size_bytes: 38 * 1024 ** 2, bytes_needed: 0, parameters: 9_600_000, removable: true, runnable: false, defaults: null, limits: null, pinned: false }),
    modelOf({ key: "landscapes", name: "Landscapes", family: "sdxl", source: "imported", available: false, description: "Wide views and skies.", license: "Apache-2.0", size_bytes: 6.9 * GIB, bytes_needed: 9 * GIB, parameters: 3_470_000_000, removable: true }),
    modelOf({ key: "stable-video-diffusion-small", name: "Stable Video Diffusion", task: "video", family: "svd", source: "hub", repo: "example/svd-small", description: "Turns a picture into a short film.", license: "Stability Community", size_bytes: 4.2 * GIB, bytes_needed: 7 * GIB, parameters: 1_500_000_000, removable: true }),
    modelOf({ key: "smol", name: "SmolLM3 3B", task: "chat", family: "smollm3", source: "hub", repo: "HuggingFaceTB/SmolLM3-3B", state: "parked", loaded_bytes: 0.6 * GIB, worker_id: "w_02", device: "cuda:0", description: "A small one for quick answers; fits beside a picture model.", license: "Apache-2.0", size_bytes: 5.7 * GIB, bytes_needed: 7.1 * GIB, dtype: "BF16", parameters: 3_080_000_000, removable: true, defaults: null, limits: null }),
    modelOf({ key: "smol-pirate", name: "Pirate talk", type: "lora", task: "chat", family: "smollm3", source: "imported", base: "HuggingFaceTB/SmolLM3-3B", answers_with: "smol", description: "Answers as a pirate would.", license: "", size_bytes: 21 * 1024 ** 2, bytes_needed: 0, parameters: 5_200_000, removable: true, runnable: false, defaults: null, limits: null, pinned: false }),
    modelOf({ key: "whisper-tiny", name: "Whisper tiny", task: "transcribe", family: "whisper", source: "hub", repo: "openai/whisper-tiny", state: "loading", state_reason: null, description: "Rough text in a moment.", license: "Apache-2.0", size_bytes: 151 * 1024 ** 2, bytes_needed: 0.9 * GIB, parameters: 37_800_000, removable: true, defaults: null, limits: null }),
  ];
}

const HITS: Omit<HubModelOut, "page_url" | "private" | "parameters" | "tags">[] = [
  { repo: "stabilityai/stable-diffusion-xl-base-1.0", task: "image", family: "sdxl", downloads: 2_310_442, likes: 6_912, gated: false, license: "openrail++", updated_at: iso(0), library: "diffusers", key: "stable-diffusion-xl" },
  { repo: "stabilityai/sdxl-turbo", task: "image", family: "sdxl", downloads: 812_004, likes: 2_450, gated: false, license: "sai-nc-community", updated_at: iso(0), library: "diffusers", key: null },
  { repo: "black-forest-labs/FLUX.1-dev-gated", task: "image", family: "flux", downloads: 1_204_118, likes: 11_230, gated: true, license: "flux-1-dev", updated_at: iso(0), library: "diffusers", key: null },
  { repo: "someone/a-very-long-repository-name-that-goes-on-and-on-huge", task: "image", family: null, downloads: 1_020, likes: 3, gated: false, license: null, updated_at: iso(0), library: "diffusers", key: null },
  { repo: "Qwen/Qwen3-4B-Instruct", task: "chat", family: "qwen3", downloads: 3_920_551, likes: 812, gated: false, license: "apache-2.0", updated_at: iso(0), library: "transformers", key: null },
  { repo: "nvidia/canary-1b-v2", task: "transcribe", family: "canary", downloads: 88_120, likes: 402, gated: false, license: "cc-by-4.0", updated_at: iso(0), library: "nemo", key: null },
];
export const hits: HubModelOut[] = HITS.map((hit) => ({ ...hit, page_url: HUB + hit.repo, private: false, parameters: null, tags: [] }));

export const found: FoundModelOut[] = [
  { path: "/home/ada/.cache/huggingface/hub/models--segmind--tiny-sd/snapshots/cad0bd7495fa6c4bcca01b19a723dc91627fe84f", repo: "segmind/tiny-sd", commit: "cad0bd7495fa6c4bcca01b19a723dc91627fe84f", key: null, problem: null, task: "image", type: "base_model", family: "sd15", size_bytes: 0.98 * GIB, parameters: 500_000_000, dtype: "F16" },
  { path: "/home/ada/.cache/huggingface/hub/models--openai--whisper-tiny/snapshots/169d4a4341b33bc18d8881c4b69c2e104e1cc0af", repo: "openai/whisper-tiny", commit: "169d4a4341b33bc18d8881c4b69c2e104e1cc0af", key: "whisper-tiny", problem: null, task: "transcribe", type: "base_model", family: "whisper", size_bytes: 151 * 1024 ** 2, parameters: 37_800_000, dtype: "F32" },
  { path: "/home/ada/.cache/huggingface/hub/models--someone--pickled/snapshots/0123456789abcdef0123456789abcdef01234567", repo: "someone/pickled", commit: "0123456789abcdef0123456789abcdef01234567", key: null, problem: "Its weights are pickles, which can run code. Take a repository that is published in safetensors.", task: null, type: null, family: null, size_bytes: null, parameters: null, dtype: null },
];

export function planOf(repo: string, file: string, hasToken: boolean, known: ModelOut[]): HubPlanOut {
  const gated = repo.includes("gated") || repo.includes("3.5");
  const huge = repo.includes("huge");
  const weights = (huge ? 480 : 4.78) * GIB;
  const many = repo.includes("loras") ? ["ink.safetensors", "oil.safetensors"] : [];
  const files = many.length ? many.filter((path) => path === file).map((path) => ({ path, size_bytes: 38 * 1024 ** 2, sha256: "ab".repeat(32), present_bytes: 0 })) : [
    { path: "unet/diffusion_pytorch_model.fp16.safetensors", size_bytes: weights, sha256: "ab".repeat(32), present_bytes: 0 },
    { path: "text_encoder_2/model.fp16.safetensors", size_bytes: 1.29 * GIB, sha256: "cd".repeat(32), present_bytes: 0 },
    { path: "vae/diffusion_pytorch_model.fp16.safetensors", size_bytes: 160 * 1024 ** 2, sha256: "ef".repeat(32), present_bytes: 0 },
    { path: "unet/config.json", size_bytes: 1680, sha256: null, present_bytes: 1680 },
    { path: "tokenizer/vocab.json", size_bytes: 1_059_962, sha256: null, present_bytes: 0 },
    { path: "model_index.json", size_bytes: 609, sha256: null, present_bytes: 609 },
  ];
  const total = files.reduce((sum, file) => sum + file.size_bytes, 0);
  const present = files.reduce((sum, file) => sum + file.present_bytes, 0);
  const free = 412 * GIB;
  return {
    choices: many.map((path) => ({ path, size_bytes: 38 * 1024 ** 2, key: null })),
    repo, commit: "f898a3e026e802f68796b95e9702464bac78d76f", files, total_bytes: total, present_bytes: present, fetch_bytes: total - present, free_bytes: free, reserve_bytes: 2 * GIB, fits: total - present < free - 2 * GIB,
    refused: [
      { path: "unet/diffusion_pytorch_model.safetensors", size_bytes: 9.56 * GIB, why: "copy", remark: { message: "the same weights in full precision; half is enough on this GPU", said: null } },
      { path: "sd_xl_base_1.0.safetensors", size_bytes: 6.46 * GIB, why: "copy", remark: { message: "a second copy of everything, as one file", said: null } },
      { path: "unet/diffusion_pytorch_model.bin", size_bytes: 9.56 * GIB, why: "pickle", remark: { message: "a pickle: it can run code", said: null } },
      { path: "vae_decoder/model.onnx", size_bytes: 198 * 1024 ** 2, why: "format", remark: { message: "a format that no engine here reads", said: null } },
    ],
    license: gated ? "flux-1-dev" : "openrail++", gated, can_access: !gated || hasToken, page_url: HUB + repo, task: "image", family: "sdxl", type: "base_model", kind: "diffusers", pipeline: "StableDiffusionXLPipeline", runnable: true, private: false, downloads: 812_004, likes: 2_450, updated_at: iso(0), library: "diffusers", parameters: 3_470_000_000, revision: "main", suggested_key: (repo.split("/")[1] ?? repo).toLowerCase(), name: repo.split("/")[1] ?? repo,
    bytes_needed: 9.4 * GIB, warnings: repo.includes("turbo") ? [{ message: "Only weights of half precision are offered; on a CPU they are widened.", said: null }] : [], key: known.find((model) => model.repo === repo)?.key ?? null,
  };
}

export function estimateOf(body: PlanIn, models: ModelOut[]): PlanOut {
  const model = models.find((each) => each.key === body.model);
  const wide = body.options?.dtype === "float32" ? 2 : 1;
  const batch = body.batch ?? 1;
  const pixels = ((body.width ?? 512) * (body.height ?? 512) * batch) / 512 ** 2;
  const weights = (model?.size_bytes ?? GIB) * wide;
  const expected = weights * 1.15 + pixels * 0.35 * GIB;
  const devices = body.options?.gpu_device_ids ?? [0];
  const budget = 44 * GIB * devices.length;
  const verdict = (size: number): PlanOut["fit"] => (size > budget ? "never" : size > budget - 38.2 * GIB ? "after" : "now");
  const fit = verdict(expected);
  const then = (saved: number) => ({ saves_bytes: saved, bytes: { low: (expected - saved) * 0.88, expected: expected - saved, high: (expected - saved) * 1.16 }, fit: verdict(expected - saved), enough: verdict(expected - saved) !== "never" });
  return {
    model: body.model, fit, told_by: model ? "files" : "catalogue", message: "", loaded: model?.state === "ready", worker_id: model?.worker_id ?? null, devices: fit === "never" ? [] : devices.map((index) => `cuda:${index}`),
    bytes: { low: expected * 0.88, expected, high: expected * 1.16 }, bytes_leased: expected * 1.16, parts: { framework: 0.4 * GIB, weights, activations: pixels * 0.35 * GIB, cache: 0 }, measurements: 8,
    load_seconds: { low: 2.1, expected: 3.4, high: 5.8 }, run_seconds: null, seconds: null,
    makes_room: fit === "after" ? [{ worker_id: "w_02", model: "smol", deed: "park", frees_bytes: 7.1 * GIB, reason: "idle for 4 min" }, { worker_id: "w_01", model: "creatures", deed: "stop", frees_bytes: 1.1 * GIB, reason: "idle for 42 s" }] : [],
    remedies: [
      ...(wide === 2 ? [{ id: "half_precision" as const, ...then(weights / 2), change: { options: { dtype: "bfloat16" } }, message: "Load it in half precision." }] : []),
      ...(batch > 1 ? [{ id: "smaller_batch" as const, ...then((pixels * 0.35 * GIB) / 2), change: { options: { batch: batch / 2 } }, message: `Make ${batch / 2} at once instead of ${batch}.` }] : []),
      { id: "offload" as const, ...then(weights * 0.65), change: { options: { offload: "model" } }, message: "Keep its parts in the machine's memory." },
    ],
  };
}

export function downloadJob(repo: string): JobOut {
  return job("job_dl", { kind: "model.download", title: repo, request: { repo }, status: "running", started_at: iso(Date.now()), total_steps: 0 });
}

export const noToken: TokenOut = { is_set: false, name: null, checked_at: null, source: null, remark: null };
