"""A pool with the real image engine: its environment, small real models, and short words for asking it."""

from __future__ import annotations

import itertools
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

from atelier.config import BACKEND, read_settings
from atelier.runtime import processes, reaper
from atelier.runtime.environments import Environments
from atelier.runtime.gpu import Device
from atelier.runtime.pool import WorkerPool
from atelier.runtime.worker import Worker, WorkerInfo, WorkerSpec
from engines import protocol

CREATURES = BACKEND / "embedded" / "models" / "creatures"
MIB = 2**20


def environments() -> Environments:
    return Environments(read_settings().storage.environments_dir, BACKEND / "requirements")


def missing() -> str | None:
    """Why these tests cannot run here, or None."""
    if environments().python("image") is None:
        return "the image environment is not built: `python -m atelier worker-env image` builds it"
    return None


def build_tiny(folder: Path, count: int = 1) -> list[Path]:
    """Real pipelines with random weights, made by the engine's own environment."""
    made = []
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tiny_models; from pathlib import Path\n"
        "for seed in range(int(sys.argv[3])):\n"
        "    make = tiny_models.build_sdxl if seed % 2 else tiny_models.build_sd\n"
        "    make(Path(sys.argv[2]) / f'tiny-{seed}', seed)\n"
    )
    python = environments().python("image")
    environment = {**os.environ, "PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1"}
    command = [str(python), "-c", script, str(BACKEND / "tests" / "engines"), str(folder), str(count)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    for seed in range(count):
        made.append(folder / f"tiny-{seed}")
    return made


class RealStudio:
    """A pool of the image engine on the CPU with a budget of its own, and all that it was heard to say."""

    def __init__(self, folder: Path, budget: int, **settings: Any) -> None:
        self.folder, self.instance = folder, uuid.uuid4().hex
        self.device = Device(0, "cpu", "CPU", budget, budget)
        self.heard: list[WorkerInfo] = []
        self.most_leased = 0
        self.pool = WorkerPool(
            environments(),
            [self.device],
            events=self._hear,
            sockets_dir=folder / "s",
            logs_dir=folder / "l",
            instance=self.instance,
            **({"idle_seconds": 600.0} | settings),
        )
        self._numbers = itertools.count()

    async def __aenter__(self) -> RealStudio:
        await self.pool.start()
        await self.pool.prepare("diffusers_image")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.pool.close()
        assert self.left_over() == []

    def _hear(self, info: WorkerInfo) -> None:
        self.heard.append(info)
        self.most_leased = max(self.most_leased, self.pool.leased_bytes(0))
        assert self.most_leased <= self.device.budget_bytes

    def spec(self, model: Path, size: int, **options: Any) -> WorkerSpec:
        options = {"threads": 1, "model_hash": "0" * 64} | options
        return WorkerSpec("diffusers_image", model.name, model, tuple(options.items()), size)

    async def draw(self, worker: Worker, side: int = 64, steps: int = 2, **changes: Any) -> protocol.Update:
        """One small picture; the last update."""
        output = self.folder / f"out-{next(self._numbers)}"
        output.mkdir()
        settings = {"prompt": "a fox", "negative_prompt": "", "seeds": [1], "guidance_scale": 3.0, "preview_every": 0}
        settings |= {"steps": steps, "width": side, "height": side}
        task = protocol.TextToImage(task_id=output.name, output_dir=str(output), **(settings | changes))
        last: protocol.Update | None = None
        async for update in worker.run(task):
            last = update
        assert last is not None
        return last

    def left_over(self) -> list[int]:
        return [process.pid for process, _ in processes.marked(reaper.INSTANCE, self.instance)]
