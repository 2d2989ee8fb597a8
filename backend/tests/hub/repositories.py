"""Small repositories that look like the real ones."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.hub.fake_hub import Repo
from tests.models.weights import Shapes, safetensors


def weights(shapes: Shapes, seed: int = 0, dtype: str = "F16") -> bytes:
    """A safetensors file whose tensors hold noise, so that damage anywhere shows."""
    empty = safetensors(shapes, dtype)
    header = int.from_bytes(empty[:8], "little") + 8
    noise = random.Random(seed).randbytes(min(len(empty) - header, 1 << 20))
    return empty[:header] + (noise * (len(empty) // len(noise) + 1))[: len(empty) - header]


def text(content: Any) -> bytes:
    return json.dumps(content).encode()


def diffusers_repo(id_: str = "someone/sd", *, size: int = 40_000, seed: int = 0, **more: Any) -> Repo:
    """SD 1.5 as it lies on the hub: two variants, pickles beside them, a second copy in one file, code."""
    half, full = weights({"a": (size,)}, seed), weights({"a": (size,)}, seed + 1, "F32")
    files = {
        "model_index.json": text(
            {
                "_class_name": "StableDiffusionPipeline",
                "unet": ["diffusers", "UNet2DConditionModel"],
                "vae": ["diffusers", "AutoencoderKL"],
                "scheduler": ["diffusers", "PNDMScheduler"],
                "tokenizer": ["transformers", "CLIPTokenizer"],
                "safety_checker": [None, None],
            }
        ),
        "unet/config.json": text({"cross_attention_dim": 768}),
        "unet/diffusion_pytorch_model.safetensors": full,
        "unet/diffusion_pytorch_model.fp16.safetensors": half,
        "unet/diffusion_pytorch_model.non_ema.safetensors": full + b"",
        "unet/diffusion_pytorch_model.bin": b"\x80\x04pickle",
        "vae/config.json": text({}),
        "vae/diffusion_pytorch_model.safetensors": weights({"v": (5000,)}, seed + 2, "F32"),
        "vae/diffusion_pytorch_model.fp16.safetensors": weights({"v": (5000,)}, seed + 3),
        "scheduler/scheduler_config.json": text({"beta_start": 0.1}),
        "tokenizer/vocab.json": text({"auto_map": 1, "a": 2}),
        "tokenizer/merges.txt": b"a b\n",
        "safety_checker/model.safetensors": weights({"s": (100,)}),
        "v1-5-pruned.safetensors": full,
        "v1-5-pruned.ckpt": b"\x80\x04pickle",
        "README.md": b"# A model\n",
        ".gitattributes": b"*.bin filter=lfs\n",
        "convert.py": b"raise SystemExit\n",
        "example.png": b"png",
    }
    files |= more.pop("files", {})
    return Repo(id_, files, library="diffusers", pipeline_tag="text-to-image",
                tags=["diffusers", "diffusers:StableDiffusionPipeline"], **more)  # fmt: skip


def chat_repo(id_: str = "someone/chat", *, shards: int = 3, size: int = 30_000, seed: int = 0, **more: Any) -> Repo:
    names = [f"model-{number:05d}-of-{shards:05d}.safetensors" for number in range(1, shards + 1)]
    files = {
        "config.json": text({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}),
        "generation_config.json": text({"top_p": 0.9}),
        "tokenizer.json": text({"model": {"vocab": {"trust_remote_code": 5}}}),
        "tokenizer_config.json": text({"model_max_length": 4096}),
        "chat_template.jinja": b"{{ messages }}",
        "model.safetensors.index.json": text({"weight_map": {f"t{n}": name for n, name in enumerate(names)}}),
        **{name: weights({f"t{n}": (size,)}, seed + n) for n, name in enumerate(names)},
        "pytorch_model-00001-of-00001.bin": b"\x80\x04pickle",
        "consolidated.safetensors": weights({"x": (10,)}),
        "onnx/model.onnx": b"onnx",
        "original/consolidated.00.pth": b"\x80\x04pickle",
        "README.md": b"# A model\n",
    }
    files |= more.pop("files", {})
    return Repo(id_, files, library="transformers", pipeline_tag="text-generation", tags=["qwen3"], **more)
