"""The other side of `bench.generation` and `bench.batching`: diffusers without Atelier, in the image environment.

    python -m bench.bare_diffusers MODEL        then lines of JSON on stdin: {"prompts", "seeds", "folder", …}

One prompt and one seed for each picture; `at_once` of them in one call (1); the rest are the pipeline's own arguments.
Saves `<seed>.png` each, and answers each line with the CPU and wall seconds that it took.
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
        folder, at_once = Path(task.pop("folder")), task.pop("at_once", 1)
        prompts, seeds = task.pop("prompts"), task.pop("seeds")
        wall, cpu = time.perf_counter(), time.process_time()
        for first in range(0, len(seeds), at_once):
            some = seeds[first : first + at_once]
            noise = [torch.Generator("cpu").manual_seed(seed) for seed in some]
            made = pipe(prompts[first : first + at_once], **task, generator=noise).images
            for seed, image in zip(some, made, strict=True):
                image.save(folder / f"{seed}.png")
        print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}), flush=True)


if __name__ == "__main__":
    main()
