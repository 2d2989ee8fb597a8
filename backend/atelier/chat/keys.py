"""Who is calling `/v1`, from a cache: a key is hashed and compared once.

A key of the settings means the same as long as the server runs, and so does one that nobody knows. A token of somebody
who signed in expires and is made worthless by another password: it is read each time, and so is a cookie.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from starlette.datastructures import Headers

from atelier.access.actor import Actor, Door
from atelier.access.gate import Gate

MOST_REMEMBERED = 1024


class Keys:
    """`of` for every request. Remembered by the credential's SHA-256, never by itself."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._known: OrderedDict[bytes, Actor | None] = OrderedDict()

    def known(self, credential: bytes) -> Actor | None:
        """Whose it is, as far as that is remembered. `credential`: the header as it came."""
        return self._known.get(hashlib.sha256(credential).digest())

    async def of(self, raw: list[tuple[bytes, bytes]], credential: bytes, address: str) -> Actor | None:
        """Who is calling, None for nobody we know. Raises TooManyAttempts."""
        headers = Headers(raw=raw)
        actor = await self._gate.identify(headers, Door.OPENAI, address)
        if "cookie" not in headers and credential.count(b".") != 2:
            self._known[hashlib.sha256(credential).digest()] = actor
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return actor
