"""uvicorn's HTTP, with deadlines for clients that are slow on purpose, and a short way out for what is ready.

uvicorn waits for the rest of a request as long as its client likes. Here the first lines of a request have ten seconds,
its body has to come in at some rate, and a client that reads nothing of its answer for a minute is hung up on. One
sweep over all connections looks, every second.

`send` of ASGI checks and copies each header and makes two calls of an answer. `scope["extensions"]["atelier.wire"]`
takes an answer as it goes over the wire (`answer`, `begin`, `piece`, `end`); each says whether it was taken: False when
the client is slow or going, then `send` is the way.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

EXTENSION = "atelier.wire"
SWEEP_SECONDS = 1.0
HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
"""After so long a body must have come in at `LEAST_RATE`."""
LEAST_RATE = 1000
"""Bytes a second."""
STUCK_SECONDS = 60.0


class PatientProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.since: float | None = None  # the connection, or the first lines of a request, began
        self.body_since = self.stuck_since = 0.0
        self.taken = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        _Sweep.of(self)

    def data_received(self, data: bytes) -> None:
        self.taken += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.since is None:
            self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        self.since, self.taken, self.body_since = None, 0, 0.0
        super().on_headers_complete()
        self.scope["extensions"] = {EXTENSION: Wire(self.cycle)}  # type: ignore[typeddict-unknown-key]

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stuck_since = 0.0

    def is_too_slow(self, now: float) -> bool:
        if self.stuck_since and now - self.stuck_since > STUCK_SECONDS:
            return True
        if self.since is not None:
            return now - self.since > HEAD_SECONDS
        cycle = self.cycle
        if cycle is None or not cycle.more_body or cycle.response_complete or self.flow.read_paused:
            self.body_since = 0.0
            return False
        if not self.body_since:
            self.body_since, self.taken = now, 0
        spent = now - self.body_since
        return spent > BODY_SECONDS and self.taken < LEAST_RATE * spent


class _Sweep:
    """One for each server: looks at its connections while there are any."""

    def __init__(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._connections, self._loop = connections, loop
        self._next: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, protocol: PatientProtocol) -> None:
        state = protocol.server_state
        sweep = getattr(state, "_atelier_sweep", None)
        if sweep is None:
            sweep = state._atelier_sweep = cls(protocol.connections, protocol.loop)  # type: ignore[attr-defined]
        if sweep._next is None:
            sweep._next = protocol.loop.call_later(SWEEP_SECONDS, sweep._look)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in tuple(self._connections):
            if isinstance(connection, PatientProtocol) and connection.is_too_slow(now):
                connection.transport.abort()
        self._next = self._loop.call_later(SWEEP_SECONDS, self._look) if self._connections else None


class Wire:
    """The way out for one request. Nothing of it waits."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def answer(self, head: bytes, body: bytes) -> bool:
        """A whole answer. `head`: status line and headers, `content-length` among them, each with its line's end."""
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected or cycle.flow.write_paused or cycle.more_body:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(head + self._further() + body)
        self._over()
        return True

    def begin(self, head: bytes) -> bool:
        """The head of an answer that comes in pieces."""
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected or cycle.flow.write_paused or cycle.more_body:
            return False
        cycle.response_started = cycle.chunked_encoding = True
        cycle.transport.write(head + b"transfer-encoding: chunked\r\n" + self._further())
        return True

    def piece(self, body: bytes) -> bool:
        """Not empty."""
        cycle = self._cycle
        if cycle.disconnected or cycle.flow.write_paused or cycle.response_complete:
            return False
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def end(self) -> bool:
        cycle = self._cycle
        if cycle.disconnected or cycle.flow.write_paused or cycle.response_complete:
            return False
        cycle.response_complete = True
        cycle.transport.write(b"0\r\n\r\n")
        self._over()
        return True

    def _further(self) -> bytes:
        cycle = self._cycle
        lines = [name + b": " + value + b"\r\n" for name, value in cycle.default_headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _over(self) -> None:
        cycle = self._cycle
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
