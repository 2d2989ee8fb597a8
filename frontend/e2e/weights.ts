/** Files that look like models: names, shapes and configs, zeros for weights. The fake engine wants no more. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { AtelierServer } from "./server";

function safetensors(name: string, shape: [number, number], about: Record<string, string> = {}, dtype = "F16"): Buffer {
  const bytes = shape[0] * shape[1] * 2;
  const header = Buffer.from(JSON.stringify({ __metadata__: about, [name]: { dtype, shape, data_offsets: [0, bytes] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(bytes)]);
}

/** Enters what lies at `path` as a model of `server`, unless another file has done so. */
async function enter(server: AtelierServer, path: string, key: string, name: string): Promise<void> {
  const answer = await fetch(`${server.url}/api/models/import`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ path, key, name }) });
  if (!answer.ok && answer.status !== 409) throw new Error(await answer.text());
}

/** A model that makes videos from pictures: `svd`, "Films". */
export async function addVideoModel(server: AtelierServer): Promise<void> {
  const folder = mkdtempSync(join(server.folder, "svd-"));
  mkdirSync(join(folder, "unet"));
  writeFileSync(join(folder, "model_index.json"), JSON.stringify({ _class_name: "StableVideoDiffusionPipeline", unet: ["diffusers", "UNetSpatioTemporalConditionModel"] }));
  writeFileSync(join(folder, "unet", "config.json"), JSON.stringify({ num_frames: 8 }));
  writeFileSync(join(folder, "unet", "diffusion_pytorch_model.safetensors"), safetensors("a", [4, 8]));
  await enter(server, folder, "svd", "Films");
}

/** A LoRA for SD 1.5 in `file`.safetensors that is called by `word`. */
export async function addLora(server: AtelierServer, file: string, word: string, key: string, name: string): Promise<void> {
  const path = join(mkdtempSync(join(server.folder, "lora-")), `${file}.safetensors`);
  const tags = JSON.stringify({ "1_one": { [word]: 12 } });
  writeFileSync(path, safetensors("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight", [4, 768], { ss_tag_frequency: tags }));
  await enter(server, path, key, name);
}

const CHAT_SIZES = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 2, head_dim: 16, vocab_size: 512 };

/** A chat model `key` that takes `context` tokens; it sees pictures when its architecture is one that does. */
export async function addChatModel(server: AtelierServer, key: string, architecture = "Qwen3ForCausalLM", context = 4096): Promise<void> {
  const folder = join(mkdtempSync(join(server.folder, "chat-")), key);
  mkdirSync(folder);
  const sees = architecture.endsWith("ConditionalGeneration") ? { vision_config: {} } : {};
  writeFileSync(join(folder, "config.json"), JSON.stringify({ architectures: [architecture], model_type: "qwen3", max_position_embeddings: context, ...CHAT_SIZES, ...sees }));
  writeFileSync(join(folder, "model.safetensors"), safetensors("weight", [4, 8], {}, "BF16"));
  writeFileSync(join(folder, "tokenizer.json"), "{}");
  await enter(server, folder, key, key);
}
