from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from serving import Server
from tests.hub.fake_hub import FakeHub
from tests.hub.worker import CHUNK, CONNECTIONS, HubWorker, hub_python, hub_worker


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[HubWorker]:
    async with hub_worker(tmp_path) as running:
        yield running


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
