"""Tiny random upscalers of real networks, made by spandrel's own classes. Their last layer is turned up until what
comes out of a picture is a picture, not a grey wall."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from engines.image_upscalers import spandrel
from safetensors.torch import save_file


def esrgan() -> torch.nn.Module:
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=8, num_blocks=1, scale=4)


def compact() -> torch.nn.Module:
    from spandrel.architectures.Compact import Compact

    return Compact(num_feat=8, num_conv=2, upscale=2)


def swinir() -> torch.nn.Module:
    from spandrel.architectures.SwinIR import SwinIR

    return SwinIR(
        img_size=16, depths=[1], num_heads=[2], embed_dim=12, window_size=8, mlp_ratio=2, upscale=2,
        upsampler="pixelshuffledirect",
    )  # fmt: skip


BUILDERS: dict[str, Callable[[], torch.nn.Module]] = {"ESRGAN": esrgan, "Compact": compact, "SwinIR": swinir}


def build_upscaler(path: Path, name: str = "ESRGAN") -> Path:
    """A safetensors file with the same weights every time."""
    spandrel()
    torch.manual_seed(3)
    network = BUILDERS[name]().eval()
    last = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    with torch.inference_mode():
        seen = network(torch.rand(1, 3, 24, 24))
        last.weight *= 0.15 / float(seen.std())
        if last.bias is not None:
            last.bias += 0.5 - float(network(torch.rand(1, 3, 24, 24)).mean())
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return path
