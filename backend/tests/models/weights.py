"""Writes small model files and folders that look like the real ones: names, shapes and configs, zeros for weights."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1}
Shapes = dict[str, tuple[int, ...]]
ESRGAN: Shapes = {"model.0.weight": (8, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (4, 8, 3, 3)}
"""Of what an upscaler is told by."""


def safetensors(shapes: Shapes, dtype: str = "F16", metadata: dict[str, str] | None = None) -> bytes:
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(end)


def write(path: Path, content: bytes | dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def diffusers_folder(folder: Path, pipeline: str, *, unet: dict[str, Any] | None = None, dtype: str = "F16") -> Path:
    write(folder / "model_index.json", {"_class_name": pipeline, "unet": ["diffusers", "UNet2DConditionModel"]})
    write(folder / "unet" / "config.json", unet or {})
    write(folder / "unet" / "diffusion_pytorch_model.safetensors", safetensors({"a": (4, 8), "b": (3,)}, dtype))
    return folder


def transformers_folder(folder: Path, architecture: str, **config: Any) -> Path:
    write(folder / "config.json", {"architectures": [architecture], "model_type": "qwen3", **config})
    write(folder / "model-00001-of-00002.safetensors", safetensors({"a": (10, 10)}, "BF16"))
    write(folder / "model-00002-of-00002.safetensors", safetensors({"b": (10,)}, "F32"))
    return folder
