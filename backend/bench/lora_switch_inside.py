"""What `bench.lora_switch` runs in the image environment.

ENV/bin/python -m bench.lora_switch_inside FOLDER build
ENV/bin/python -m bench.lora_switch_inside FOLDER ROUNDS      a JSON object with the times of each kind
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from engines import diffusers_image
from engines.protocol import LoraUse, TextToImage
from PIL import Image

OPTIONS = {"threads": 1, "model_hash": "0" * 64, "device": "cpu"}


class Quiet:
    cancelled = False

    def report(self, progress: object) -> None:
        pass


def build(folder: Path) -> None:
    import tiny_loras
    import tiny_models
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    model = tiny_models.build_sd(folder / "model")
    pipe = StableDiffusionPipeline.from_pretrained(model)
    pipe.unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(160, 320, 640, 640),
        cross_attention_dim=pipe.text_encoder.config.hidden_size,
        attention_head_dim=8,
    )
    pipe.to(torch.float16).save_pretrained(model, safe_serialization=True)
    for number in range(2):
        tiny_loras.build_lora(model, folder / f"{number}.safetensors", rank=16, seed=number, text=True)


def draw(engine: Any, loras: list[LoraUse]) -> str:
    with tempfile.TemporaryDirectory() as output:
        task = TextToImage(
            task_id="t",
            output_dir=output,
            prompt="a fox",
            negative_prompt="",
            seeds=[1],
            steps=1,
            guidance_scale=1.0,
            width=64,
            height=64,
            preview_every=0,
            loras=loras,
        )
        file = engine.run(task, Quiet()).files[0]
        return hashlib.sha256(Image.open(Path(output) / file.path).tobytes()).hexdigest()


def timed(what: Callable[[], object]) -> dict[str, float]:
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    what()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    first, second = ([LoraUse(key=str(n), path=str(folder / f"{n}.safetensors"))] for n in range(2))
    engine: Any = diffusers_image.load(folder / "model", OPTIONS)
    bare, one, other = draw(engine, []), draw(engine, first), draw(engine, second)
    found: dict[str, list[dict[str, float]]] = {"load": [], "switch": [], "off": [], "read": []}
    loras, pipe = engine._loras, engine._pipe
    for _ in range(rounds):
        found["load"].append(timed(lambda: diffusers_image.load(folder / "model", OPTIONS)))
        loras.use(pipe, second)
        found["switch"].append(timed(lambda: loras.use(pipe, first)))
        found["off"].append(timed(lambda: loras.use(pipe, [])))
        kept, loras._kept_bytes = loras._kept_bytes, 0
        loras.use(pipe, second)  # the first leaves
        found["read"].append(timed(lambda: loras.use(pipe, first)))
        loras._kept_bytes = kept
        loras.use(pipe, second)
    same = (draw(engine, first), draw(engine, second), draw(engine, [])) == (one, other, bare)
    same = same and len({bare, one, other}) == 3
    layers = sum(".lora_A." in name for name, _ in pipe.unet.named_parameters())
    parameters = sum(tensor.numel() for name, tensor in pipe.unet.named_parameters() if "lora_" not in name)
    return {"same": same, "rounds": found, "layers": layers // 2, "parameters": parameters}


def main() -> None:
    folder, what = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engines"))
    torch.set_num_threads(1)
    if what == "build":
        build(folder)
    else:
        print(json.dumps(measure(folder, int(what))))


if __name__ == "__main__":
    main()
