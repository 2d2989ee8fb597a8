"""The real download engine in its real environment, spoken to as the server does, for tests of downloads."""

from __future__ import annotations

import asyncio
import os
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from atelier.config import BACKEND
from atelier.runtime.client import NotThere, WorkerClient
from atelier.runtime.environments import Environments
from engines import protocol

CHUNK = 64 * 1024
CONNECTIONS = 3


async def hub_python() -> Path:
    """The interpreter of the hub environment, built on first need."""
    folder = Path(os.environ.get("ENVIRONMENTS_DIR") or "~/.cache/atelier/environments").expanduser()
    environments = Environments(folder, BACKEND / "requirements")
    return await environments.build("hub", lambda _fraction, _message: None) / "bin" / "python"


class HubWorker:
    """One process of `engines.host hub_download`."""

    def __init__(self, python: Path, folder: Path, **options: str) -> None:
        self._socket = folder / f"{uuid.uuid4().hex[:8]}.sock"
        self.log = folder / "worker.log"
        command = [
            str(python),
            "-m",
            "engines.host",
            "hub_download",
            "--model-path",
            "/",
            "--socket",
            str(self._socket),
        ]
        command += ["--options", protocol.msgspec.json.encode(options).decode()]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(BACKEND),
            "HF_HUB_OFFLINE": "1",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=BACKEND, env=environment, stdout=log, stderr=log)
        self.client = WorkerClient(self._socket, silence_seconds=30)

    async def ready(self) -> HubWorker:
        async with asyncio.timeout(30):
            while True:
                try:
                    if (await self.client.health()).phase is protocol.WorkerPhase.READY:
                        return self
                except NotThere:
                    assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.01)

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
        self.process.kill()
        self.process.wait()

    async def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        await self.client.close()


@asynccontextmanager
async def hub_worker(folder: Path, **options: str) -> AsyncIterator[HubWorker]:
    worker = HubWorker(await hub_python(), folder, **options)
    try:
        yield await worker.ready()
    finally:
        await worker.close()


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
