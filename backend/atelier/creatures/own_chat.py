"""Asks the chat of this very server for names, without leaving the process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from atelier.access.actor import LOCAL_ADMIN, Actor
from atelier.config import ServerSettings
from atelier.errors import AtelierError

MODEL = "lore"
PATH = "/v1/chat/completions"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Serving(Protocol):
    """What is needed of `chat.serving.ChatServing`."""

    async def complete(
        self, actor: Actor, path: str, body: Mapping[str, Any], *, priority: int = 0
    ) -> tuple[int, dict[str, Any]]: ...


class OwnChat:
    """The first question loads the model, which takes longer than anybody waits for a name. Whoever stops waiting does
    not stop that: the question goes on to its end, and until then the next ones are told so at once."""

    name = "this server"

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._actor = LOCAL_ADMIN
        self._late: asyncio.Task[tuple[int, dict[str, Any]]] | None = None

    async def answer(self, body: dict[str, Any]) -> Any:
        """Raises ValueError when there is none, or not yet."""
        if self._late is not None and not self._late.done():
            raise ValueError("the model is still being loaded")
        asked = asyncio.create_task(self._serving.complete(self._actor, PATH, body), name="creatures.name")
        asked.add_done_callback(_seen)
        try:
            status, answer = await asyncio.shield(asked)
        except asyncio.CancelledError:
            self._late = asked
            raise
        except AtelierError as error:
            raise ValueError(error.message) from error
        if status != 200:
            raise ValueError(f"status {status}")
        return answer

    async def close(self) -> None:
        if self._late is not None and not self._late.done():
            self._late.cancel()
            await asyncio.wait([self._late])


def is_ourselves(address: str, server: ServerSettings) -> bool:
    """Whether `OPENAI_BASE_URL` names this server: its port on this machine, or on a host that it goes by."""
    parts = urlsplit(address)
    known: Collection[str] = _LOOPBACK | {server.host} | set(server.advertised_hosts)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return False
    return port == server.port and (parts.hostname or "") in known and parts.path.rstrip("/") == "/v1"


def _seen(task: asyncio.Task[Any]) -> None:
    """A late failure was waited for by nobody."""
    if not task.cancelled():
        task.exception()
