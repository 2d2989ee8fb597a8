"""Keys of models: how requests name them."""

from __future__ import annotations

import re
from collections.abc import Collection


def plain_key(name: str) -> str:
    """A key from what people call it: `SDXL Turbo` -> `sdxl-turbo`."""
    return re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._")[:90] or "model"


def free_key(name: str, taken: Collection[str]) -> str:
    """A key from a name that is not `taken`: `My Model` -> `my-model`, then `my-model-2`."""
    plain = plain_key(name)
    candidates = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(key for key in candidates if key not in taken)
