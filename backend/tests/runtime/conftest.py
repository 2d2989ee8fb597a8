"""Studios for tests, and the check that no process of them stays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.runtime.studio import MakeStudio, Studio


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Unix sockets allow 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="at-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest_asyncio.fixture
async def open_studio(folder: Path) -> AsyncIterator[MakeStudio]:
    """Make studios with settings of the test's own; afterwards nothing of them may be left."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> Studio:
            studio = Studio(folder, **settings)
            await studio.pool.start()
            stack.push_async_callback(_closed, studio)
            return studio

        yield make


@pytest_asyncio.fixture
async def studio(open_studio: MakeStudio) -> Studio:
    return await open_studio()


async def _closed(studio: Studio) -> None:
    await studio.pool.close()
    assert studio.left_over() == []
    assert list((studio.folder / "s").glob("*")) == []
    assert studio.pool.running() == []
