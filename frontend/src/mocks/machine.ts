/** Figures of a machine that does not exist: history, dependencies and endpoints for the system page. */
import type { DependencyOut, DeviceOut, EndpointList, HistoryOut } from "@/api/types";

/** A device as it might look at a moment: its load comes and goes, heat and power follow. */
export function moving(device: DeviceOut, at: number): DeviceOut {
  if (device.problem || device.kind === "cpu") return device;
  const load = Math.max(0, Math.min(1, 0.55 + 0.4 * Math.sin(at / 47 + device.index) + 0.06 * Math.sin(at / 3)));
  return { ...device, utilization: load, temperature_c: Math.round(52 + 16 * load), power_w: Math.round(90 + 190 * load), clock_mhz: Math.round(1200 + 1200 * load) };
}

export function history(devices: DeviceOut[], memory: number): HistoryOut {
  const now = Date.now() / 1000;
  const at = Array.from({ length: 300 }, (_, row) => now - 3 * (299 - row));
  return {
    at, memory_total_bytes: memory,
    cpu: at.map((moment) => 0.34 + 0.18 * Math.sin(moment / 9) + 0.06 * Math.sin(moment / 1.7)),
    memory_used_bytes: at.map((moment) => memory * (0.27 + 0.03 * Math.sin(moment / 90))),
    devices: devices.map((device) => {
      const seen = at.map((moment) => moving(device, moment));
      const gone = (row: number) => device.problem !== null && row > 200;
      return {
        index: device.index, total_bytes: device.total_bytes,
        used_bytes: seen.map((one, row) => (gone(row) ? null : Math.round(one.used_bytes * (row < 90 ? 0.35 : row < 180 ? 0.7 : 1)))),
        utilization: seen.map((one, row) => (gone(row) ? null : one.utilization)),
        temperature_c: seen.map((one, row) => (gone(row) ? null : one.temperature_c)),
        power_w: seen.map((one, row) => (gone(row) ? null : one.power_w)),
      };
    }),
  };
}

const image = { cuda_runtime: "12.8.90", cudnn: "9.10.2.21", cuda_available: true, fits: true, code: "fits", message: "The driver 580.95.05 runs CUDA up to 13.0.", said: { code: "cuda.fits", params: { driver: "580.95.05", offered: "13.0" } } } as const;
const chat = { ...image, cuda_runtime: "14.0.80", cuda_available: false, fits: false, code: "driver_too_old", message: "Does not fit.", said: { code: "cuda.driver_too_old", params: { driver: "580.95.05", offered: "13.0", runtime: "14.0.80", needed: "600" } } } as const;
const server = { cuda_runtime: null, cudnn: null, cuda_available: false, fits: null, code: "not_needed", message: "Nothing in it computes on a GPU.", said: { code: "cuda.not_needed", params: {} } } as const;
const held = (environment: string, details: DependencyOut["details"], cuda: string | null, versions: Record<string, string>): DependencyOut[] =>
  Object.entries(versions).map(([name, version]) => ({ environment, name, version, cuda: name.startsWith("torch") ? cuda : null, details }));

export const dependencies: DependencyOut[] = [
  ...held("image", image, "12.8", { torch: "2.13.0", diffusers: "0.42.1", transformers: "5.23.0", peft: "0.21.2", accelerate: "1.15.0", safetensors: "0.8.0", triton: "3.6.0" }),
  ...held("chat", chat, "14.0", { torch: "2.13.0", torchvision: "0.28.0", torchaudio: "2.13.0", vllm: "0.24.0", transformers: "5.23.0", flashinfer: "0.6.1" }),
  ...held("server", server, null, { fastapi: "0.165.0", uvicorn: "0.54.0", sqlalchemy: "2.1.9", "nvidia-ml-py": "13.615.71" }),
];

const listed = (tag: string, rows: [EndpointList["items"][number]["method"], string, string][], dialect: EndpointList["items"][number]["dialect"] = "atelier") =>
  rows.map(([method, path, summary]) => ({ method, path, summary, tag, dialect, url: `http://mock${path}` }));

export const endpoints: EndpointList = {
  base_urls: ["http://mock"], docs_url: "http://mock/docs",
  items: [
    ...listed("access", [["GET", "/api/access/me", "Who am I?"], ["POST", "/api/access/session", "Unlock the dashboard in this browser"]]),
    ...listed("images", [["POST", "/api/generate/text-to-image", "Make pictures from words"], ["GET", "/api/generate/{job_id}", "How a generation is getting on"]]),
    ...listed("images", [["GET", "/api/gallery", "Pictures, newest first"], ["DELETE", "/api/gallery/{id}", "Delete a picture; it can be restored for a while"]]),
    ...listed("system", [["GET", "/health", "Is everything all right?"], ["GET", "/api/system", "Devices, workers and environments"]]),
    ...listed("chat", [["POST", "/v1/chat/completions", "Chat with a model"], ["POST", "/v1/completions", "Go on with a text"]], "openai"),
    ...listed("live", [["WS", "/api/live", "Live events: a snapshot, then what changes"]]),
  ],
};
