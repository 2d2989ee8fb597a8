from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from atelier.db import Database
from tests.databases import migrated


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated database of the test's own."""
    migrated(tmp_path / "atelier.db")
    opened = Database(tmp_path / "atelier.db")
    yield opened
    await opened.close()
