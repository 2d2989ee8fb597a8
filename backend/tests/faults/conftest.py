from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.faults.victim import MakeVictim, Victim, closing
from tests.launching import Launcher


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    made = Launcher("tests.faults.rigs")
    yield made
    made.close()


@pytest_asyncio.fixture
async def make_victim(launcher: Launcher, tmp_path: Path) -> AsyncIterator[MakeVictim]:
    """Victims of the test's own; whatever happens, nothing of them stays."""
    async with AsyncExitStack() as stack:
        made: list[Victim] = []

        def make(seed: int | str = 0, **environment: str) -> Victim:
            made.append(Victim(launcher, tmp_path / f"v{len(made)}", seed, **environment))
            return made[-1]

        yield make
        for victim in made:
            await stack.enter_async_context(closing(victim))


@pytest_asyncio.fixture
async def victim(make_victim: MakeVictim) -> Victim:
    return make_victim()
