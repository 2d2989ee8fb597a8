"""Brings the database to the newest version. Alembic is imported only when there is something to do."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from atelier.config import BACKEND, BadSetting

MIGRATIONS = BACKEND / "migrations"


def revisions() -> tuple[str, set[str]]:
    """The revision that no other follows, and all. Read from the files: an up-to-date start needs no alembic."""
    known, followed = set(), set()
    for path in (MIGRATIONS / "versions").glob("*.py"):
        text = path.read_text()
        known.update(re.findall(r'^revision = "(\w+)"', text, re.M))
        followed.update(re.findall(r'^down_revision = "(\w+)"', text, re.M))
    (head,) = known - followed
    return head, known


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
    except sqlite3.DatabaseError as error:
        raise BadSetting(
            f"{database} cannot be read ({error}). Put back a copy of it, or give Atelier another folder with DATA_DIR."
        ) from error
    finally:
        connection.close()


def migrate(database: Path) -> bool:
    """Upgrade `database` (created when missing). True when something was done. Raises BadSetting for a database that
    is not ours, or of a newer Atelier."""
    newest, known = revisions()
    found = current(database)
    if found == newest:
        return False
    if found is not None and found not in known:
        raise BadSetting(
            f"The database {database} was made by a newer Atelier. Update this one, or give it another folder with "
            "DATA_DIR."
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database"] = database
    command.upgrade(config, "head")
    return True
