"""LoRAs that peft itself saved: a folder with `adapter_config.json` and `adapter_model.safetensors`, whose names begin
with `base_model.model.` and do not say which part of a pipeline they belong to."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from engines.safetensors_file import Header

PREFIX = "base_model.model."
PARTS = ("unet.", "transformer.", "text_encoder.", "text_encoder_2.")
UP = re.compile(r"\.lora_B\.(?:\w+\.)?weight$")
TEXT = re.compile(r"^(?:text_model\.)?encoder\.layers\.")


def is_by_peft(header: Header) -> bool:
    return any(name.startswith(PREFIX) for name in header.tensors)


def read_by_peft(file: Path, denoiser: str) -> dict[str, torch.Tensor]:
    """The tensors by the names that pipelines know, scaled as the adapter's configuration says: by alpha / rank, or by
    alpha / √rank (rank-stabilised, Kalajdzievski 2023). `denoiser`: "unet" or "transformer". Raises ValueError for an
    adapter that is no LoRA."""
    config = _config(file)
    made = {}
    for name, tensor in load_file(file).items():
        plain = name.removeprefix(PREFIX)
        if not plain.startswith(PARTS):
            plain = f"{'text_encoder' if TEXT.match(plain) else denoiser}.{plain}"
        made[plain] = tensor * _scale(config, plain, tensor.shape[1]) if UP.search(plain) else tensor
    return made


def _config(file: Path) -> dict[str, Any]:
    """Beside the file; {} for a file that came alone."""
    path = file.with_name("adapter_config.json")
    if file.name != "adapter_model.safetensors" or not path.is_file():
        return {}
    config = json.loads(path.read_bytes())
    if not isinstance(config, dict) or config.get("peft_type", "LORA") != "LORA" or config.get("use_dora"):
        raise ValueError("the adapter is no plain LoRA")
    return config


def _scale(config: dict[str, Any], name: str, rank: int) -> float:
    """Of one layer. `alpha_pattern` names layers by what their names end with."""
    layer = re.sub(r"\.lora_B\..*$", "", name)
    own = [value for end, value in (config.get("alpha_pattern") or {}).items() if re.search(rf"(^|\.){end}$", layer)]
    alpha = float(own[0] if own else config.get("lora_alpha") or rank)
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
