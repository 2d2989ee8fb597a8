"""A pool with real processes of the fake engine, and short words for asking it."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from atelier.runtime import processes, reaper
from atelier.runtime.environments import Environments
from atelier.runtime.gpu import Device
from atelier.runtime.pool import WorkerPool
from atelier.runtime.worker import Worker, WorkerInfo, WorkerSpec
from engines import protocol

GB = 10**9


class Studio:
    """A pool, what it said, and short words for asking it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.instance = uuid.uuid4().hex
        self.heard: list[WorkerInfo] = []
        self.most_leased = 0
        self.devices = settings.pop("devices", [Device(0, "cpu", "CPU", GB, GB)])
        lists = folder / "requirements"
        lists.mkdir(exist_ok=True)
        (lists / "image.txt").touch()
        settings = {"idle_seconds": 600.0} | settings
        self.pool = WorkerPool(
            Environments(folder / "environments", lists),
            self.devices,
            events=self._hear,
            sockets_dir=folder / "s",
            logs_dir=folder / "l",
            instance=self.instance,
            **settings,
        )
        self._numbers = itertools.count()

    def _hear(self, info: WorkerInfo) -> None:
        self.heard.append(info)
        for device in self.devices:
            leased = self.pool.leased_bytes(device.index)
            assert leased <= device.budget_bytes
            self.most_leased = max(self.most_leased, leased)

    def spec(self, model: str = "m", size: int = GB // 10, **options: Any) -> WorkerSpec:
        return WorkerSpec("fake", model, self.folder, tuple(options.items()), bytes_needed=size)

    def task(self, *script: str) -> protocol.FakeTask:
        output = self.folder / f"out-{next(self._numbers)}"
        output.mkdir()
        return protocol.FakeTask(task_id=output.name, output_dir=str(output), script=list(script))

    async def play(self, worker: Worker, *script: str) -> list[protocol.Update]:
        return [update async for update in worker.run(self.task(*script))]

    def states(self, worker_id: str) -> list[str]:
        return [info.state.value for info in self.heard if info.id == worker_id]

    def left_over(self) -> list[int]:
        return [process.pid for process, _ in processes.marked(reaper.INSTANCE, self.instance)]


MakeStudio = Callable[..., Awaitable[Studio]]


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` says, as soon as it says something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)
    return found
