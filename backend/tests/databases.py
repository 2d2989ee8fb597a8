"""Migrated databases by copying one: the migrations run once in a process of tests, not once for each test."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from pathlib import Path

from atelier.migrate import migrate


@functools.cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory(prefix="at-") as folder:
        path = Path(folder) / "atelier.db"
        migrate(path)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


def migrated(path: Path) -> Path:
    """`path`, where now lies a new database of the newest version."""
    path.write_bytes(_template())
    return path
