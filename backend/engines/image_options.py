"""How a model is loaded: from which folder, onto which device, in which precision, with which options.

`Source` is asked twice: at the start, and on the CPU when a parked model wakes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import torch

from engines.engine import LoadFailed
from engines.image_speed import Speed, denoiser_name, place, quantized_loading
from engines.single_file import pipeline_of


@dataclass(frozen=True)
class Source:
    """Where a pipeline comes from and where it goes to. `folder` may be a checkpoint in one file."""

    folder: Path
    device: str
    dtype: torch.dtype
    speed: Speed = field(default_factory=Speed)

    @property
    def offloads(self) -> bool:
        """Whether parts wait in the host's memory."""
        return self.speed.offload != "none" and not self.device.startswith("cpu")

    def pipeline(self, **there: Any) -> Any:
        """The pipeline with its weights on the device. Components that are `there` already are not read again."""
        if self.folder.is_file():
            pipe = pipeline_of(self.folder, self.speed, self.device, self.dtype, there)
            return place(pipe, self.speed, self.device)
        denoiser = denoiser_name(json.loads((self.folder / "model_index.json").read_bytes()))
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            str(self.folder),
            dtype=self.dtype,
            use_safetensors=True,
            local_files_only=True,
            variant=_variant(self.folder),
            **quantized_loading(self.speed, denoiser, self.device, self.dtype),
            **{**_left_out(self.folder), **there},
        )
        return place(pipe, self.speed, self.device)


def chosen_dtype(device: str, wanted: str) -> torch.dtype:
    if wanted:
        if wanted not in ("float32", "float16", "bfloat16"):
            raise LoadFailed(
                "invalid_option", f"dtype {wanted!r} is none of float32, float16, bfloat16", value=str(wanted)
            )
        return getattr(torch, wanted)
    if device == "cpu":
        return torch.float32
    # Cards before Ampere are said to support bfloat16: in emulation, many times slower.
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _variant(folder: Path) -> str | None:
    """ "fp16" for a folder that holds nothing else; diffusers looks for plain names unless told."""
    files = list(folder.glob("*/*.safetensors"))
    return "fp16" if files and all(".fp16." in file.name for file in files) else None


def _left_out(folder: Path) -> dict[str, None]:
    """The components that the folder says it has not, such as the third text encoder of many copies of SD 3: diffusers
    wants to hear that they are meant to be missing."""
    index = json.loads((folder / "model_index.json").read_bytes())
    return {name: None for name, value in index.items() if isinstance(value, list) and value == [None, None]}
