"""The real server, keys, metering and metrics on, with one engine that was started before: the mock.

python -m bench.gateway_inside SOCKET     (PORT, DATA_DIR as for `atelier serve`)
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import atelier.main
from atelier import cli
from atelier.chat.targets import Target, Targets
from atelier.runtime.shared import SharedLeases
from atelier.runtime.spec import WorkerSpec

from bench.measuring import pin

SOCKET = Path(sys.argv[1])


class MockWorker:
    id, openai_socket, is_ending, loaded = "w-0000000000", SOCKET, False, None
    process = None

    async def answers(self, _seconds: float) -> bool:
        return True


class MockPool:
    """In place of the pool under `SharedLeases`: it lends the mock."""

    @contextlib.asynccontextmanager
    async def lease(self, _spec: WorkerSpec, **_more: Any) -> AsyncIterator[Any]:
        yield MockWorker()


async def find(targets: Targets, actor: Any, name: str) -> Target:
    spec = WorkerSpec("fake", "mock", SOCKET)
    target = Target("mock", "chat", SimpleNamespace(spec=spec), spec, False, False)  # type: ignore[arg-type]
    targets._known[actor.id, name] = (target, float("inf"))
    return target


if __name__ == "__main__":
    pin(1)
    atelier.main.SharedLeases = lambda _pool: SharedLeases(MockPool())  # type: ignore[misc,assignment,arg-type]
    Targets.find = find  # type: ignore[method-assign]
    sys.exit(cli.main(["serve"]))
