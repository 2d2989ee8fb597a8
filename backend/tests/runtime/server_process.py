"""A "server" to be killed: owns a pool, brings its worker to a phase, says so, and waits to be killed.

python -m tests.runtime.server_process FOLDER INSTANCE starting|loading|idle|busy|grandchild|setsid|stopping|chat
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import structlog
from atelier.runtime import processes
from atelier.runtime.environments import Environments
from atelier.runtime.gpu import Device
from atelier.runtime.pool import WorkerPool
from atelier.runtime.worker import Worker, WorkerInfo, WorkerSpec
from engines import protocol

SCRIPTS = {"busy": ["step:0", "hang"], "grandchild": ["fork_grandchild", "hang"], "setsid": ["step:0", "hang"]}


async def main(folder: Path, instance: str, phase: str) -> None:
    def heard(info: WorkerInfo) -> None:
        if info.state == phase:
            print(phase, flush=True)

    pool = WorkerPool(
        Environments(folder / "environments", folder),
        [Device(0, "cpu", "CPU", 10**9, 10**9)],
        events=heard,
        sockets_dir=folder / "s",
        logs_dir=folder / "l",
        instance=instance,
        idle_seconds=600,
    )
    await pool.start()
    options = {"loading": (("load_seconds", 60),), "chat": (("task", "chat"),)}.get(phase, ())
    async with pool.lease(WorkerSpec("fake", "m", folder, options, bytes_needed=1000)) as worker:
        if phase in SCRIPTS:
            await run(worker, folder, phase)
    if phase == "stopping":
        asyncio.create_task(pool.stop_worker(worker.id)).add_done_callback(lambda _: None)
    print(phase, flush=True)
    await asyncio.sleep(600)


async def run(worker: Worker, folder: Path, phase: str) -> None:
    if phase == "setsid":
        env = processes.environment(worker.info.pid or 0)
        subprocess.run(["setsid", "--fork", "sleep", "300"], env=env, check=True)  # noqa: ASYNC221
    async for update in worker.run(protocol.FakeTask(task_id="t", output_dir=str(folder), script=SCRIPTS[phase])):
        if isinstance(update, protocol.Progress):
            print(phase, flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # standard output is for the phase
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
