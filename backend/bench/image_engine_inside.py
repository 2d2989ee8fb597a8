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
from engines.protocol import File, TextToImage


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


def task(folder: str, prompt: str, side: int, pictures: int) -> TextToImage:
    made = {"seeds": list(range(pictures)), "steps": 8, "guidance_scale": 3.0, "width": side, "height": side}
    return TextToImage(task_id="t", output_dir=folder, prompt=prompt, negative_prompt="", preview_every=0, **made)


def timed(engine: DiffusersImage, wanted: TextToImage) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this thread."""
    wall, cpu = time.perf_counter(), time.thread_time()
    engine.run(wanted, Quiet())
    return time.perf_counter() - wall, time.thread_time() - cpu


def main() -> None:
    engine, rounds = load(Path(sys.argv[1]), {"threads": 1, "device": "cpu"}), int(sys.argv[2])
    encoders, found = engine._encoders, {name: [] for name in ("new", "repeated", "written", "unwritten")}
    with tempfile.TemporaryDirectory() as folder:
        timed(engine, task(folder, "warm", 16, 1))
        timed(engine, task(folder, "warm", 256, 1))
        for number in range(rounds):
            engine._encoders = NoEncoders()  # type: ignore[assignment]
            for _ in range(5):
                prompt = f"a creature, number {time.monotonic_ns()}"
                found["new"].append(timed(engine, task(folder, prompt, 16, 1))[0])
                found["repeated"].append(timed(engine, task(folder, prompt, 16, 1))[0])
            for name, those in (("written", encoders), ("unwritten", NoEncoders()))[:: 1 if number % 2 else -1]:
                engine._encoders = those  # type: ignore[assignment]
                _, cpu = timed(engine, task(folder, "eight", 256, 8))
                found[name].append(cpu)
    best = {name: min(found[name]) for name in ("written", "unwritten")}
    print(json.dumps({**{name: statistics.median(found[name]) for name in ("new", "repeated")}, **best}))


if __name__ == "__main__":
    main()
