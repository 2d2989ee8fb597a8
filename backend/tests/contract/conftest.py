"""Servers for the clients of other APIs: one with the fake engine for nearly everything, one with the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An open server with the fake engine."""
    with Server(tmp_path_factory.mktemp("doors") / "data") as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Servers of a test's own: call it with settings; each is stopped at the end."""
    started: list[Server] = []

    def start(name: str = "data", **environment: str) -> Server:
        started.append(Server(tmp_path / name, **environment).start())
        return started[-1]

    yield start
    for running in started:
        running.stop()
