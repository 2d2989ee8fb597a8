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
from engines.single_file import left_out_of, pipeline_of, variant_of


@dataclass(frozen=True)
class Source:
    """Where a pipeline comes from and where it goes to. `folder` may be a checkpoint in one file; `lender` is the
    folder or file of the model that lends what such a file lacks."""

    folder: Path
    device: str
    dtype: torch.dtype
    speed: Speed = field(default_factory=Speed)
    lender: Path | None = None

    @property
    def offloads(self) -> bool:
        """Whether parts wait in the host's memory."""
        return self.speed.offload != "none" and not self.device.startswith("cpu")

    def pipeline(self, **there: Any) -> Any:
        """The pipeline with its weights on the device. Components that are `there` already are not read again."""
        if self.folder.is_file():
            pipe = pipeline_of(self.folder, self.speed, self.device, self.dtype, there, self.lender)
            return place(pipe, self.speed, self.device)
        denoiser = denoiser_name(json.loads((self.folder / "model_index.json").read_bytes()))
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            str(self.folder),
            dtype=self.dtype,
            use_safetensors=True,
            local_files_only=True,
            variant=variant_of(self.folder),
            **quantized_loading(self.speed, denoiser, self.device, self.dtype),
            **{**left_out_of(self.folder), **there},
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
