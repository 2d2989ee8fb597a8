"""Thirty loads and unloads: no process, file descriptor, socket or log stays. (A hundred with real engines:
tests/faults/test_memory_budget.py.)"""

from __future__ import annotations

import asyncio
import os
import resource
import time

from engines import protocol
from tests.runtime.studio import GB, Studio


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_thirty_cycles_leave_nothing(studio: Studio) -> None:
    async def cycle(number: int) -> None:
        async with studio.pool.lease(studio.spec(f"m{number % 3}", GB)) as worker:
            assert isinstance((await studio.play(worker, "step:0"))[-1], protocol.Done)

    for number in range(5):
        await cycle(number)
    before, memory = descriptors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    for number in range(30):
        await cycle(number)
    assert time.monotonic() - began < 60
    assert len(studio.left_over()) == 2, "one forkserver and one worker"
    assert descriptors() <= before + 2
    assert len(list((studio.folder / "s").iterdir())) == 1
    assert len(list((studio.folder / "l").glob("w-*"))) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 20 * 1024
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert len(tasks) < 10
