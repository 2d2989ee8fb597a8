"""The other side of `bench.generation`: diffusers without Atelier, in the image environment.

    python -m bench.bare_diffusers MODEL        then lines of JSON on stdin: {"prompt", "seeds", "steps", …, "folder"}

Answers each line with the CPU and wall seconds that it took to make the pictures and save them as PNG.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import diffusers
import torch


def main() -> None:
    torch.set_num_threads(1)
    diffusers.utils.logging.disable_progress_bar()
    pipe = diffusers.DiffusionPipeline.from_pretrained(sys.argv[1], local_files_only=True, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        folder = Path(task.pop("folder"))
        seeds = task.pop("seeds")
        names = task.pop("names", range(len(seeds)))
        wall, cpu = time.perf_counter(), time.process_time()
        for index, seed in zip(names, seeds, strict=True):
            image = pipe(**task, generator=torch.Generator("cpu").manual_seed(seed)).images[0]
            image.save(folder / f"{index}.png")
        print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}), flush=True)


if __name__ == "__main__":
    main()
