/** What the mock server starts with. */
import type { DeviceOut, EnvironmentOut, ImageOut, JobOut, ModelOut, WorkerOut } from "@/api/types";

const GIB = 1024 ** 3;
const PROMPTS = [
  "a red dragon with wings on a blue background", "a small orange fox with a leaf tail in a forest", "a green turtle with a crystal shell", "a friendly purple ghost under a full moon",
  "a golden bird made of lightning, storm clouds", "a sleepy blue cat with moth wings", "a moss-covered stone golem, morning light", "a pink axolotl in a glass bowl", "an owl with clock eyes, night sky",
];
const SIZES = [[256, 256], [256, 256], [256, 256], [224, 296], [296, 224], [192, 344], [344, 192]] as const;

export const iso = (ms: number) => new Date(ms).toISOString();

export function image(number: number, over: Partial<ImageOut> = {}): ImageOut {
  const [width, height] = SIZES[number % SIZES.length] ?? SIZES[0];
  const id = over.id ?? `img_${String(number).padStart(6, "0")}`;
  const made = {
    id, kind: "image" as const, parent_id: null, job_id: `job_old_${number >> 2}`, index: number & 3, width, height, format: "png" as const, bytes: 90_000 + ((number * 7919) % 60_000), sha256: id.padEnd(64, "0"),
    seed: (number * 2654435761) % 2 ** 32, model: "creatures", prompt: PROMPTS[number % PROMPTS.length] ?? "", negative_prompt: "", steps: 30, guidance_scale: 5, scheduler: "ddim",
    created_at: iso(Date.UTC(2026, 10, 20) - number * 600_000), ...over,
  };
  const { prompt, negative_prompt, model, steps, guidance_scale, scheduler, seed } = made;
  return {
    ...made,
    url: `/api/gallery/${id}/file?w=${made.width}&h=${made.height}&s=${seed}`,
    thumbnail_url: `/api/gallery/${id}/thumbnail?w=${made.width}&h=${made.height}&s=${seed}`,
    recipe: { prompt, negative_prompt, model, steps, guidance_scale, scheduler, seed, width: made.width, height: made.height, engine: "diffusers_image", atelier: "0.1.0" },
  };
}

export function job(id: string, over: Partial<JobOut> = {}): JobOut {
  return {
    id, kind: "image.generate", title: "a red dragon with wings on a blue background", status: "queued", priority: 0, position: null, progress: 0, step: 0, total_steps: 30, message: null,
    eta_seconds: null, waiting: null, attempt: 1, request: { prompt: "a red dragon with wings on a blue background", model: "creatures", num_outputs: 1, width: 256, height: 256, steps: 30 },
    images: [], error: null, cancel_requested: false, created_at: iso(Date.now()), started_at: null, finished_at: null, ...over,
  };
}

const unloaded = { load_options: {}, state: "idle" as const, state_reason: null, worker_id: null, device: null, loaded_bytes: 0, log_tail: [] };

const shapes = (side: number): ModelOut["presets"] => [
  { id: "square", width: side, height: side }, { id: "portrait", width: side * 0.875, height: side * 1.125 }, { id: "landscape", width: side * 1.125, height: side * 0.875 },
];

export const models: ModelOut[] = [
  {
    key: "creatures", name: "Creatures", task: "image", type: "base_model", family: "sd15", source: "embedded", description: "Small creatures on simple backgrounds. Trained for Atelier, runs anywhere, answers in seconds.", license: "CC0-1.0",
    size_bytes: 320 * 1024 ** 2, bytes_needed: 0.9 * GIB, defaults: { steps: 30, guidance_scale: 5, width: 256, height: 256, scheduler: "ddim" }, redraw_strength: 0, limits: { min_side: 64, max_side: 512, multiple: 8 }, presets: shapes(256), tags: ["creatures"], available: true, runnable: true, removable: false, pinned: false, dtype: "F16", parameters: 160_000_000, base: null, repo: null, commit: null, sampling: "noise", download: null, ...unloaded,
  },
  {
    key: "landscapes", name: "Landscapes", task: "image", type: "base_model", family: "sdxl", source: "imported", description: "Wide views and skies. Its files are missing.", license: "Apache-2.0",
    size_bytes: 6.9 * GIB, bytes_needed: 9 * GIB, defaults: { steps: 40, guidance_scale: 6.5, width: 1024, height: 1024, scheduler: "euler" }, limits: { min_side: 512, max_side: 1536, multiple: 64 }, presets: shapes(1024), tags: [], available: false, runnable: true, removable: true, pinned: false, dtype: "F16", parameters: 3_500_000_000, base: null, repo: null, commit: null, sampling: "noise", download: null, ...unloaded,
  },
];

export const schedulers = [
  { id: "ddim", name: "DDIM", kind: "noise", sampler: "DDIM", schedule_type: "Automatic", settings: ["eta"] },
  { id: "euler", name: "Euler", kind: "noise", sampler: "Euler", schedule_type: "Automatic", settings: ["s_churn", "s_tmin", "s_tmax", "s_noise"] },
  { id: "dpm++", name: "DPM++ 2M", kind: "noise", sampler: "DPM++ 2M", schedule_type: "Automatic", settings: [] },
];

export const environment = (over: Partial<EnvironmentOut> = {}): EnvironmentOut => ({
  name: "image", hash: "9f2c41d7", state: "ready", fraction: null, message: null, error: null, job_id: null,
  packages: { torch: "2.13.0", diffusers: "0.39.1", transformers: "5.9.0", safetensors: "0.8.2", accelerate: "1.14.0", numpy: "2.5.1", pillow: "12.3.0" }, ...over,
});

export const device = (over: Partial<DeviceOut> = {}): DeviceOut => ({
  index: 0, kind: "cuda", name: "NVIDIA RTX 6000 Ada", total_bytes: 48 * GIB, used_bytes: 21.4 * GIB, budget_bytes: 44 * GIB, leased_bytes: 18.2 * GIB, utilization: 0.63, temperature_c: 61, power_w: 212, power_limit_w: 300, clock_mhz: 2415, memory_clock_mhz: 9501, pcie_generation: 4, pcie_lanes: 16, ecc_errors: 0, brakes: [], shares_memory: false, problem: null, processes: [], ...over,
});

export const worker = (over: Partial<WorkerOut> = {}): WorkerOut => ({
  id: "w_01", engine: "diffusers_image", model: "creatures", pid: 41233, state: "ready", bytes_leased: 1.4 * GIB, rss_bytes: 1.1 * GIB, device: "cuda:0", started_at: iso(Date.now() - 380_000), idle_since: iso(Date.now() - 42_000), reload_seconds: 6.4, message: null,
  log_tail: ["loading creatures (320 MiB)", "unet 84 tensors, vae 138 tensors", "ready in 1.9 s", "run t_91 30 steps 2.4 s"], ...over,
});
