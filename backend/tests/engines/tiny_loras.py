"""Makes small real LoRAs for the tiny models: with peft in diffusers' layout, and in kohya's; and embeddings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import convert_state_dict_to_diffusers
from engines.diffusers_image import load
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
TEXT = ["q_proj", "k_proj", "v_proj", "out_proj"]


def _adapted(module: Any, targets: list[str], rank: int, seed: int) -> dict[str, torch.Tensor]:
    """The state of an adapter of random weights on a part of a pipeline."""
    module.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, init_lora_weights=False))
    generator = torch.Generator().manual_seed(seed)
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(module))
    return {name: 0.3 * torch.randn(tensor.shape, generator=generator) for name, tensor in state.items()}


def build_lora(model: Path, file: Path, *, rank: int = 4, seed: int = 0, text: bool = False) -> Path:
    """A LoRA for the model in `model`, as diffusers saves it."""
    pipe = load(model, {"threads": 1, "device": "cpu"})._pipe
    denoiser = "unet" if getattr(pipe, "unet", None) is not None else "transformer"
    layers = {f"{denoiser}_lora_layers": _adapted(getattr(pipe, denoiser), ATTENTION, rank, seed)}
    if text:
        layers["text_encoder_lora_layers"] = _adapted(pipe.text_encoder, TEXT, rank, seed + 1)
    pipe.save_lora_weights(str(file.parent), weight_name=file.name, **layers)
    return file


def build_peft(model: Path, folder: Path, *, rank: int = 4, alpha: float = 8.0, seed: int = 0) -> Path:
    """The same as peft saves it by itself, for a denoiser alone: a folder. Returns its file."""
    pipe = load(model, {"threads": 1, "device": "cpu"})._pipe
    denoiser = pipe.unet if getattr(pipe, "unet", None) is not None else pipe.transformer
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=ATTENTION, init_lora_weights=False)
    adapted = get_peft_model(denoiser, config)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in adapted.named_parameters():
        if ".lora_" in name:
            tensor.data = 0.3 * torch.randn(tensor.shape, generator=generator)
    adapted.save_pretrained(str(folder))
    return folder / "adapter_model.safetensors"


def build_kohya(model: Path, file: Path, *, rank: int = 4, alpha: float = 2.0, seed: int = 0) -> Path:
    """The same in the layout of kohya's scripts, for UNets in diffusers' names: underscores, down, up, alpha."""
    pipe = load(model, {"threads": 1, "device": "cpu"})._pipe
    wide = hasattr(pipe, "text_encoder_2")
    parts = {"lora_unet": (pipe.unet, ATTENTION)}
    for name, prefix in (("text_encoder", "lora_te1" if wide else "lora_te"), ("text_encoder_2", "lora_te2")):
        if getattr(pipe, name, None) is not None:
            parts[prefix] = (getattr(pipe, name), TEXT)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for prefix, (part, targets) in parts.items():
        for name, module in part.named_modules():
            if not isinstance(module, torch.nn.Linear) or not name.endswith(tuple(targets)):
                continue
            if prefix != "lora_unet" and not name.startswith("text_model."):
                name = f"text_model.{name}"  # as it was called when kohya's scripts were written
            key = f"{prefix}_{name.replace('.', '_')}"
            state[f"{key}.lora_down.weight"] = 0.3 * torch.randn(rank, module.in_features, generator=generator)
            state[f"{key}.lora_up.weight"] = 0.3 * torch.randn(module.out_features, rank, generator=generator)
            state[f"{key}.alpha"] = torch.tensor(alpha)
    tags = {"1_fox": {"red fox": 12, "snow": 3}}
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_base_model_version": "sdxl_base_v1-0" if wide else "sd_v1",
        "ss_tag_frequency": json.dumps(tags),
    }
    save_file(state, file, metadata)
    return file


def build_embedding(file: Path, *, vectors: int = 2, width: int = 32, wide: bool = False, seed: int = 0) -> Path:
    """A textual inversion: A1111's single tensor, or SDXL's pair."""
    generator = torch.Generator().manual_seed(seed)
    names = ("clip_l", "clip_g") if wide else ("emb_params",)
    save_file({name: torch.randn(vectors, width, generator=generator) for name in names}, file)
    return file
