/** Files that look like models: names, shapes and configs, zeros for weights. The fake engine wants no more. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

function safetensors(name: string, shape: [number, number], about: Record<string, string> = {}): Buffer {
  const bytes = shape[0] * shape[1] * 2;
  const header = Buffer.from(JSON.stringify({ __metadata__: about, [name]: { dtype: "F16", shape, data_offsets: [0, bytes] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(bytes)]);
}

export function videoModel(): string {
  const folder = mkdtempSync(join(tmpdir(), "atelier-svd-"));
  mkdirSync(join(folder, "unet"));
  writeFileSync(join(folder, "model_index.json"), JSON.stringify({ _class_name: "StableVideoDiffusionPipeline", unet: ["diffusers", "UNetSpatioTemporalConditionModel"] }));
  writeFileSync(join(folder, "unet", "config.json"), JSON.stringify({ num_frames: 8 }));
  writeFileSync(join(folder, "unet", "diffusion_pytorch_model.safetensors"), safetensors("a", [4, 8]));
  return folder;
}

/** A folder with `name`.safetensors, a LoRA for SD 1.5 that is called by `word`. */
export function loraFile(name: string, word: string): string {
  const folder = mkdtempSync(join(tmpdir(), "atelier-lora-"));
  const tags = JSON.stringify({ "1_one": { [word]: 12 } });
  const key = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight";
  writeFileSync(join(folder, `${name}.safetensors`), safetensors(key, [4, 768], { ss_tag_frequency: tags }));
  return folder;
}
