"""Time and identity, in one place so that tests can look at them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """A server-made id: `<prefix>_` and 80 random bits. Order comes from `seq` columns, never from ids."""
    return f"{prefix}_{secrets.token_hex(10)}"
