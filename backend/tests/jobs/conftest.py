from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from atelier.db import Database
from atelier.migrate import migrate


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated database of the test's own."""
    migrate(tmp_path / "atelier.db")
    opened = Database(tmp_path / "atelier.db")
    yield opened
    await opened.close()
