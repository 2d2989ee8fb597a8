from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One open server for all tests that leave it as they found it."""
    with Server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[type[Server]]:
    """Servers of a test's own: call it with settings; each is stopped at the end."""
    started: list[Server] = []

    def start(name: str = "data", **environment: str) -> Server:
        running = Server(tmp_path / name, **environment)
        started.append(running)
        return running.start()

    yield start  # type: ignore[misc]
    for running in started:
        if running.is_running():
            running.stop()
