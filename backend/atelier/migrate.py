"""Brings the database to the newest version. Alembic is imported only when there is something to do."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from atelier.config import BACKEND

MIGRATIONS = BACKEND / "migrations"


def newest() -> str:
    """The revision that no other follows. Read from the files, so that an up-to-date start needs no alembic."""
    revisions, followed = set(), set()
    for path in (MIGRATIONS / "versions").glob("*.py"):
        text = path.read_text()
        revisions.update(re.findall(r'^revision = "(\w+)"', text, re.M))
        followed.update(re.findall(r'^down_revision = "(\w+)"', text, re.M))
    (head,) = revisions - followed
    return head


def current(database: Path) -> str | None:
    """The revision of a database file, None for a new one."""
    if not database.exists():
        return None
    connection = sqlite3.connect(database)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()


def migrate(database: Path) -> bool:
    """Upgrade `database` (created when missing). True when something was done."""
    if current(database) == newest():
        return False
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database"] = database
    command.upgrade(config, "head")
    return True
