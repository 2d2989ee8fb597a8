"""Time and identity, in one place so that tests can look at them."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """A server-made id: `<prefix>_` and 80 random bits. Order comes from `seq` columns, never from ids."""
    return f"{prefix}_{secrets.token_hex(10)}"


def id_of_key(prefix: str, owner_id: str, key: str) -> str:
    """The id that an owner's idempotency key always leads to, as long as those of `new_id`."""
    digest = hashlib.sha256("\0".join((owner_id, key)).encode()).hexdigest()
    return f"{prefix}_{digest[:20]}"
