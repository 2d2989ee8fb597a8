"""Names that a chat model gave, kept: in memory, and in Redis when there is one, so that servers share them."""

from __future__ import annotations

import asyncio
import importlib
from collections import OrderedDict
from typing import Any

import structlog

log = structlog.get_logger("atelier.creatures")

IN_MEMORY = 1024
KEPT_SECONDS = 30 * 86400
PREFIX = "atelier:creature-name:"


class NameCache:
    """The newest names. A Redis that does not answer within a second is told in the log and done without."""

    def __init__(self, redis_url: str) -> None:
        self._url, self._redis = redis_url, None
        self._names: OrderedDict[str, str] = OrderedDict()

    async def get(self, key: str) -> str | None:
        if name := self._names.get(key):
            self._names.move_to_end(key)
            return name
        kept = await self._ask_redis("get", PREFIX + key)
        if kept:
            self._remember(key, kept)
        return kept

    async def put(self, key: str, name: str) -> None:
        self._remember(key, name)
        await self._ask_redis("set", PREFIX + key, name, ex=KEPT_SECONDS)

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    def _remember(self, key: str, name: str) -> None:
        self._names[key] = name
        if len(self._names) > IN_MEMORY:
            self._names.popitem(last=False)

    async def _ask_redis(self, command: str, *arguments: str, **named: Any) -> str | None:
        if not self._url:
            return None
        try:
            async with asyncio.timeout(1.0):
                redis = await self._connection()
                return await getattr(redis, command)(*arguments, **named)
        except Exception as error:  # whatever a client of a network may raise: names come from elsewhere then
            log.warning("name_cache.unreachable", reason=type(error).__name__)
            return None

    async def _connection(self) -> Any:
        if self._redis is None:
            library = await asyncio.to_thread(importlib.import_module, "redis.asyncio")
            self._redis = library.from_url(self._url, decode_responses=True, socket_timeout=1, socket_connect_timeout=1)
        return self._redis
