"""What `bench.model_load` runs in the image environment: builds a pipeline, or loads it each time it is told to.

ENV/bin/python -m bench.model_load_inside FOLDER build
ENV/bin/python -m bench.model_load_inside FOLDER atelier|load_file     a JSON object for each line of its input
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from engines import diffusers_image
from safetensors.torch import load_file

PAGE = 4096


def build(folder: Path) -> None:
    """A Stable Diffusion pipeline with the denoiser of SD 1.5, in half precision as such models come."""
    import tiny_models
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    tiny_models.build_sd(folder)
    pipe = StableDiffusionPipeline.from_pretrained(folder)
    pipe.unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1280, 1280),
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    pipe.to(torch.float16).save_pretrained(folder, safe_serialization=True)


def touched(tensors: list[torch.Tensor]) -> int:
    """Read a byte of every page, so that nothing is only promised."""
    total = 0
    for tensor in tensors:
        flat = tensor.detach().reshape(-1).view(torch.uint8)
        total += int(flat[::PAGE].sum(dtype=torch.int64))
    return total


def ours(folder: Path) -> list[torch.Tensor]:
    engine = diffusers_image.load(folder, {"threads": 1, "model_hash": "0" * 64, "device": "cpu"})
    modules = [part for part in engine._pipe.components.values() if isinstance(part, torch.nn.Module)]
    return [tensor for module in modules for tensor in module.parameters()]


def plain(folder: Path) -> list[torch.Tensor]:
    """What cannot be done faster: the files as they are, and the type that a CPU computes with."""
    files = sorted(folder.glob("*/*.safetensors"))
    return [tensor.to(torch.float32) for file in files for tensor in load_file(file).values()]


def timed(load: Callable[[Path], list[torch.Tensor]], folder: Path) -> dict[str, float]:
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    tensors = load(folder)
    touched(tensors)
    figures = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    figures["bytes"] = float(sum(tensor.nbytes for tensor in tensors))
    return figures


def main() -> None:
    folder, what = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engines"))
    torch.set_num_threads(1)
    if what == "build":
        build(folder)
        return
    side = {"atelier": ours, "load_file": plain}[what]
    timed(side, folder)  # imports, page cache
    for _ in sys.stdin:
        print(json.dumps(timed(side, folder)), flush=True)


if __name__ == "__main__":
    main()
