from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from serving import Server
from tests.engines.worker_client import ForkserverProcess
from tests.hub.fake_hub import FakeHub
from tests.hub.worker import CHUNK, CONNECTIONS, HubWorker, MakeWorker, hub_forkserver, hub_python


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture(scope="session")
def forkserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkserverProcess]:
    with closing(hub_forkserver(tmp_path_factory.mktemp("home"))) as running:
        yield running


@pytest.fixture
async def make_worker(forkserver: ForkserverProcess, tmp_path: Path) -> AsyncIterator[MakeWorker]:
    """Workers with options of the test's own; afterwards none is left."""
    async with AsyncExitStack() as stack:

        async def make(**options: str) -> HubWorker:
            made = HubWorker(forkserver, tmp_path, **options)
            stack.push_async_callback(made.close)
            return await made.ready()

        yield make


@pytest.fixture
async def worker(make_worker: MakeWorker) -> HubWorker:
    return await make_worker()


def settings_for(hub: FakeHub, folder: Path) -> dict[str, str]:
    """Small chunks, little patience, nothing of the machine that the tests run on."""
    return {
        "HF_ENDPOINT": hub.endpoint,
        "MODEL_CACHE_DIR": str(folder / "cache"),
        "ATELIER_DOWNLOAD_CHUNK": str(CHUNK),
        "ATELIER_DOWNLOAD_CONNECTIONS": str(CONNECTIONS),
        "ATELIER_DOWNLOAD_PATIENCE": "6",
        "HF_HUB_OFFLINE": "",
        "HUGGINGFACE_TOKEN": "",
    }


def studio_for(hub: FakeHub, folder: Path, **settings: str) -> Iterator[Server]:
    asyncio.run(hub_python())
    with Server(folder / "data", **settings_for(hub, folder) | settings) as running:
        yield running


@pytest.fixture
def studio(hub: FakeHub, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Servers that download from the fake hub: call it with settings; each is stopped at the end."""
    started: list[Server] = []
    asyncio.run(hub_python())

    def start(**settings: str) -> Server:
        server = Server(tmp_path / "data", **settings_for(hub, tmp_path) | settings)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        if server.is_running():
            server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for what never reaches a hub."""
    with Server(tmp_path_factory.mktemp("server") / "data", HF_HUB_OFFLINE="1") as running:
        yield running
