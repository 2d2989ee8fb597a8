"""The measuring half of `bench.image_engine`, in the image environment. Prints seconds as one JSON object."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from engines.diffusers_image import DiffusersImage, ShellRun, load
from engines.picture_files import write_picture
from engines.protocol import File, TextToImage
from PIL import Image


class Quiet(ShellRun):
    def report(self, progress: Any) -> None:
        pass


class NoEncoders:
    """Takes finished pictures and does nothing with them."""

    def submit(self, _call: Any, _image: Any, _task: Any, index: int, *_rest: Any) -> Future[File]:
        future: Future[File] = Future()
        future.set_result(
            File(index=index, path="", thumbnail="", sha256="", bytes=0, width=0, height=0, seed=0, recipe={})
        )
        return future


def task(folder: str, prompt: str, side: int, pictures: int, steps: int, guidance: float = 3.0) -> TextToImage:
    made = {"seeds": list(range(pictures)), "steps": steps, "guidance_scale": guidance, "width": side, "height": side}
    return TextToImage(task_id="t", output_dir=folder, prompt=prompt, negative_prompt="", preview_every=0, **made)


def timed(engine: DiffusersImage, wanted: TextToImage) -> float:
    """CPU seconds of this thread."""
    cpu = time.thread_time()
    engine.run(wanted, Quiet())
    return time.thread_time() - cpu


def prompts(model: Path, rounds: int, folder: str, side: int, steps: int, guidance: float) -> dict[str, float]:
    """Median seconds of a picture of a new prompt, and of the same once more, by the engine and by a bare pipeline that
    is given words or embeddings: CPU of the one thread that makes them, which is the latency of a machine with nothing
    else to do."""
    engine = load(model, {"threads": 1, "device": "cpu"})
    engine._encoders = NoEncoders()  # type: ignore[assignment]
    pipe = DiffusionPipeline.from_pretrained(str(model), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    settings = {"num_inference_steps": steps, "guidance_scale": guidance, "width": side, "height": side}

    def ours(words: str) -> float:
        return timed(engine, task(folder, words, side, 1, steps, guidance))

    def bare(**asked: Any) -> float:
        cpu = time.thread_time()
        pipe(**asked, **settings, generator=torch.Generator("cpu").manual_seed(0))
        return time.thread_time() - cpu

    @torch.no_grad()
    def embeddings(words: str) -> dict[str, torch.Tensor]:
        encoded = pipe.encode_prompt(
            prompt=words, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=guidance > 1
        )
        named = zip(engine._family.embeddings, encoded, strict=True)
        return {name: tensor for name, tensor in named if tensor is not None}

    found: dict[str, list[float]] = {"new": [], "repeated": [], "bare, words": [], "bare, embeddings": []}
    for number in range(-2, 5 * rounds):
        words = f"a creature, number {number}"
        known = embeddings(words)
        took = {"new": ours(words), "repeated": ours(words)}
        took |= {"bare, words": bare(prompt=words), "bare, embeddings": bare(**known)}
        if number >= 0:  # before that everything warms up
            for name, seconds in took.items():
                found[name].append(seconds)
    return {name: statistics.median(those) for name, those in found.items()}


def encoding(model: Path, rounds: int, folder: str) -> dict[str, float]:
    """Least CPU seconds of the generating thread for eight pictures, written and not; and of writing them by itself."""
    engine = load(model, {"threads": 1, "device": "cpu"})
    eight = task(folder, "eight", 256, 8, 2)
    encoders, found = engine._encoders, {"written": [], "unwritten": []}
    made = [(Image.open(Path(folder) / f.path).convert("RGB"), f.recipe) for f in engine.run(eight, Quiet()).files]
    begun = time.thread_time()
    for index, (image, recipe) in enumerate(made):
        write_picture(image, Path(folder), index, "png", recipe)
    by_itself = time.thread_time() - begun
    for number in range(rounds):
        for name, those in (("written", encoders), ("unwritten", NoEncoders()))[:: 1 if number % 2 else -1]:
            engine._encoders = those  # type: ignore[assignment]
            found[name].append(timed(engine, eight))
    return {name: min(those) for name, those in found.items()} | {"writing by itself": by_itself}


def main() -> None:
    turbo, tiny, shipped, rounds = *map(Path, sys.argv[1:4]), int(sys.argv[4])
    with tempfile.TemporaryDirectory() as folder:
        found = {f"turbo: {name}": took for name, took in prompts(turbo, rounds, folder, 64, 1, 0.0).items()}
        found |= {f"tiny: {name}": took for name, took in prompts(tiny, rounds, folder, 16, 8, 3.0).items()}
        print(json.dumps(found | encoding(shipped, rounds, folder)))


if __name__ == "__main__":
    main()
