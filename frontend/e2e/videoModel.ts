/** A folder that looks like a video model: names, shapes and configs, zeros for weights. The fake engine wants no more. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function videoModel(): string {
  const folder = mkdtempSync(join(tmpdir(), "atelier-svd-"));
  mkdirSync(join(folder, "unet"));
  writeFileSync(join(folder, "model_index.json"), JSON.stringify({ _class_name: "StableVideoDiffusionPipeline", unet: ["diffusers", "UNetSpatioTemporalConditionModel"] }));
  writeFileSync(join(folder, "unet", "config.json"), JSON.stringify({ num_frames: 8 }));
  const header = Buffer.from(JSON.stringify({ a: { dtype: "F16", shape: [4, 8], data_offsets: [0, 64] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(join(folder, "unet", "diffusion_pytorch_model.safetensors"), Buffer.concat([length, header, Buffer.alloc(64)]));
  return folder;
}
