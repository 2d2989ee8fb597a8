"""What a creature is called: a generator of our own, or a chat model with the generator behind it.

name_for(looks, rarity) ──remote──> cache ──none──> chat model ──whatever goes wrong──> generator
                        └─local───────────────────────────────────────────────────────> generator
"""

from __future__ import annotations

import hashlib
from random import Random

import structlog

from atelier.creatures.name_cache import NameCache
from atelier.creatures.rarity import Rarity
from atelier.creatures.remote_names import RemoteNames

log = structlog.get_logger("atelier.creatures")

_BEGINNINGS = (
    "bra",
    "flo",
    "gri",
    "ka",
    "lu",
    "mo",
    "ni",
    "pyra",
    "qui",
    "ro",
    "sha",
    "ti",
    "umbri",
    "vol",
    "xe",
    "zu",
)
_MIDDLES = ("ba", "do", "li", "mi", "nar", "ra", "ri", "sol", "ta", "ve", "wi", "zo")
_ENDINGS = ("chu", "don", "fin", "gon", "leaf", "mander", "mite", "moth", "nix", "puff", "rax", "tail", "tle", "zard")


def local_name(seed: str) -> str:
    """A name of two or three syllables, the same for the same seed."""
    random = Random(seed)  # noqa: S311 - a name is no secret
    middle = random.choice(_MIDDLES) if random.random() < 0.5 else ""
    return (random.choice(_BEGINNINGS) + middle + random.choice(_ENDINGS)).capitalize()


class Names:
    """`remote` is None where names are made here. What looks the same and is as rare is called the same by the remote
    generator: that is what is kept."""

    def __init__(self, remote: RemoteNames | None, cache: NameCache) -> None:
        self._remote, self._cache = remote, cache

    async def name_for(self, looks: str, rarity: Rarity, seed: str) -> str:
        if self._remote is None:
            return local_name(seed)
        key = hashlib.sha256(f"{self._remote.model}\0{looks}\0{rarity}".encode()).hexdigest()[:32]
        if kept := await self._cache.get(key):
            return kept
        if name := await self._remote.ask(looks, rarity):
            await self._cache.put(key, name)
            return name
        name = local_name(seed)
        log.warning("remote_name.fallback", name=name)
        return name

    async def close(self) -> None:
        await self._cache.close()
        if self._remote:
            await self._remote.close()
