"""`/api/live` as a plain ASGI application: snapshot first, then deltas.

Two tasks per connection: one sends what the hub hands out, one reads, so that a client that went away is noticed even
when there is nothing to send. uvicorn pings every 20 s and closes what does not answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import msgspec
import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from atelier.access.actor import Actor
from atelier.access.gate import Gate
from atelier.live.frames import LiveErrorFrame, PongFrame, ResumedFrame, SnapshotFrame
from atelier.live.hub import Listener, LiveHub
from atelier.live.wire import EXTENSION

log = structlog.get_logger("atelier.live")

MAX_SOCKETS = 512
MAX_MESSAGE_BYTES = 64 * 1024
_IS_SEQ = re.compile("[0-9]{1,18}").fullmatch

Snapshot = Callable[[Actor], Awaitable[SnapshotFrame]]


class LiveSocket:
    """The ASGI application. `snapshot` builds the first frame for an actor."""

    def __init__(self, hub: LiveHub, gate: Gate, snapshot: Snapshot) -> None:
        self._hub, self._gate, self._snapshot = hub, gate, snapshot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        actor = await self._gate.identify(Headers(scope=scope))
        if actor is None:
            await send({"type": "websocket.close", "code": 4401, "reason": "needs the access token"})
            return
        if self._hub.listeners >= MAX_SOCKETS:
            await send({"type": "websocket.close", "code": 1013, "reason": "too many live connections; try later"})
            return
        await send({"type": "websocket.accept"})
        listener = self._hub.join(actor, scope.get("extensions", {}).get(EXTENSION))
        sender = asyncio.create_task(self._send_all(scope, listener, send))
        reader = asyncio.create_task(self._read_all(receive, listener))
        try:
            await asyncio.wait({sender, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(listener)
            for task in (sender, reader):
                task.cancel()
            await asyncio.gather(sender, reader, return_exceptions=True)

    async def _send_all(self, scope: Scope, listener: Listener, send: Send) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        since = query.get("since", [""])[0]
        epoch = query.get("epoch", [""])[0]
        seq = self._hub.seq
        missed = self._hub.missed(listener.actor, epoch, int(since)) if _IS_SEQ(since) else None
        if missed is None:
            # Events that arrive while the snapshot is read are queued already; they follow it and say the same again.
            frame = await self._snapshot(listener.actor)
            frame.seq = seq
            await _send_text(send, frame.model_dump_json())
        else:
            await _send_text(send, ResumedFrame(epoch=self._hub.epoch, seq=int(since)).model_dump_json())
            for frame in missed:
                await _send_text(send, frame)
        while (body := await listener.take()) is not None:
            await _send_text(send, body)
        await send({"type": "websocket.close", "code": 1013, "reason": "too slow; connect again to catch up"})

    async def _read_all(self, receive: Receive, listener: Listener) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            listener.queue(self._answer(message.get("text") or message.get("bytes") or ""))

    def _answer(self, message: str | bytes) -> str:
        problem = _problem_with(message)
        if problem is None:
            return PongFrame(seq=self._hub.seq).model_dump_json()
        code, field, words = problem
        return LiveErrorFrame(status=400, code=code, field=field, message=words).model_dump_json()


def _problem_with(message: str | bytes) -> tuple[str, str, str] | None:
    """What is wrong with a client's message, as code, field and words; None for a ping."""
    if len(message) > MAX_MESSAGE_BYTES:
        return "message_too_large", "message", f"A message may have {MAX_MESSAGE_BYTES} bytes at most."
    try:
        value = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        return "invalid_json", "message", 'The message is not valid JSON. Send {"type":"ping"}.'
    if not isinstance(value, dict):
        return "invalid_message", "message", 'The message must be an object such as {"type":"ping"}.'
    if value.get("type") != "ping":
        return "unknown_type", "type", 'The field "type" must be "ping"; nothing else is accepted here.'
    return None


async def _send_text(send: Send, body: str) -> None:
    await send({"type": "websocket.send", "text": body})
