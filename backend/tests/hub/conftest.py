from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.hub.fake_hub import FakeHub
from tests.hub.worker import HubWorker, hub_worker


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[HubWorker]:
    async with hub_worker(tmp_path) as running:
        yield running
