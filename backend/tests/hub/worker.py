"""The real download engine in its real environment, spoken to as the server does, for tests of downloads."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from atelier.config import BACKEND
from atelier.runtime.client import NotThere, WorkerClient
from atelier.runtime.environments import Environments
from engines import protocol
from tests.engines.worker_client import ForkserverProcess, is_running

CHUNK = 64 * 1024
CONNECTIONS = 3


async def hub_python() -> Path:
    """The interpreter of the hub environment, built on first need."""
    folder = Path(os.environ.get("ENVIRONMENTS_DIR") or "~/.cache/atelier/environments").expanduser()
    environments = Environments(folder, BACKEND / "requirements")
    return await environments.build("hub", lambda _fraction, _message: None) / "bin" / "python"


def hub_forkserver(home: Path) -> ForkserverProcess:
    """The download engine with its libraries imported, as a server keeps it. Sees nothing of this machine."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(BACKEND), "HF_HUB_OFFLINE": "1"}
    python = asyncio.run(hub_python())
    return ForkserverProcess("engines.hub_download", python=str(python), env=environment)


class HubWorker:
    """One process of the engine `hub_download`."""

    def __init__(self, forkserver: ForkserverProcess, folder: Path, **options: str) -> None:
        self._forkserver = forkserver
        path = folder / f"{uuid.uuid4().hex[:8]}.sock"
        self._process = forkserver.spawn("hub_download", "/", path, options)
        self.client = WorkerClient(path, silence_seconds=30)

    async def ready(self) -> HubWorker:
        async with asyncio.timeout(30):
            while True:
                try:
                    if (await self.client.health()).phase is protocol.WorkerPhase.READY:
                        return self
                except NotThere:
                    log = self._process.log
                    assert is_running(self._process.pid), log and log.read_text()
                await asyncio.sleep(0.005)

    async def run(self, task: Any) -> tuple[protocol.Update, list[protocol.Transfer]]:
        """The last update of a run, and all progress on the way."""
        progress: list[protocol.Transfer] = []
        async with aclosing(self.client.run(task)) as updates:
            async for update in updates:
                if isinstance(update, protocol.Transfer):
                    progress.append(update)
                elif not isinstance(update, protocol.Heartbeat):
                    return update, progress
        raise AssertionError("no last update")

    def kill(self) -> None:
        self._process.kill()
        self._forkserver.exited(self._process.pid)

    async def close(self) -> None:
        if is_running(self._process.pid):
            self.kill()
        await self.client.close()


MakeWorker = Callable[..., Awaitable[HubWorker]]


def download(hub: Any, repo: Any, cache: Path, **given: Any) -> protocol.HubDownload:
    """A download of `repo` with small chunks and little patience."""
    values = {
        "chunk_bytes": CHUNK, "connections": CONNECTIONS, "stall": 0.5, "patience": 5.0, "pause": 0.01,
        "revision": "main", "commit": repo.commit, **given,
    }  # fmt: skip
    token = values.pop("token", "")
    return protocol.HubDownload(
        task_id=uuid.uuid4().hex,
        access=protocol.HubAccess(endpoint=hub.endpoint, token=token),
        repo=repo.id,
        cache=str(cache),
        **values,
    )


def snapshot_of(cache: Path, repo: Any) -> Path:
    return cache / f"models--{repo.id.replace('/', '--')}" / "snapshots" / repo.commit


def is_sound(cache: Path, repo: Any) -> bool:
    """Whether every file of the snapshot has the content of the hub."""
    snapshot = snapshot_of(cache, repo)
    files = [path for path in snapshot.rglob("*") if path.is_file()]
    return bool(files) and all(path.read_bytes() == repo.files[str(path.relative_to(snapshot))] for path in files)
