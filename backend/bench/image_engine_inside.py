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


def task(folder: str, prompt: str, side: int, pictures: int, steps: int) -> TextToImage:
    made = {"seeds": list(range(pictures)), "steps": steps, "guidance_scale": 3.0, "width": side, "height": side}
    return TextToImage(task_id="t", output_dir=folder, prompt=prompt, negative_prompt="", preview_every=0, **made)


def timed(engine: DiffusersImage, wanted: TextToImage) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this thread."""
    wall, cpu = time.perf_counter(), time.thread_time()
    engine.run(wanted, Quiet())
    return time.perf_counter() - wall, time.thread_time() - cpu


def prompts(model: Path, rounds: int, folder: str) -> dict[str, float]:
    """Median seconds of a picture of a new prompt, and of the same once more: CPU of the one thread that makes them,
    which is the latency of a machine with nothing else to do, and wall."""
    engine = load(model, {"threads": 1, "device": "cpu"})
    engine._encoders = NoEncoders()  # type: ignore[assignment]
    timed(engine, task(folder, "warm", 16, 1, 8))
    new, repeated = [], []
    for number in range(5 * rounds):
        for those in (new, repeated):
            those.append(timed(engine, task(folder, f"a creature, number {number}", 16, 1, 8)))
    found = {}
    for name, those in (("new", new), ("repeated", repeated)):
        found[f"{name}, wall"], found[name] = (statistics.median(figures) for figures in zip(*those, strict=True))
    return found


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
            found[name].append(timed(engine, eight)[1])
    return {name: min(those) for name, those in found.items()} | {"writing by itself": by_itself}


def main() -> None:
    tiny, shipped, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(prompts(tiny, rounds, folder) | encoding(shipped, rounds, folder)))


if __name__ == "__main__":
    main()
