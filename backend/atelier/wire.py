"""uvicorn's HTTP, with deadlines for clients that are slow on purpose, and a short way out for what is ready.

uvicorn waits for the rest of a request as long as its client likes. Here the first lines of a request have ten seconds,
its body has to come in at some rate, and a client that reads nothing of its answer for a minute is hung up on. One
sweep over all connections looks, every second; it also ends those that are idle.

What uvicorn takes without measure has one here: a request's first lines and what comes after its body may have 64 KiB
(431). Clients of HTTP/1.0 get no chunks. Who hangs up is noticed for every request that was sent ahead on its
connection. An upgrade that is not to a WebSocket is no upgrade: Java's HTTP client asks for HTTP/2 with every request,
and the parser would drop the body.

`send` of ASGI checks and copies each header and makes two calls of an answer. `scope["extensions"]["atelier.wire"]`
takes an answer as it goes over the wire (`answer`, `begin`, `piece`, `end`); each says whether it was taken: False when
the client is slow or going, then `send` is the way. Whoever handles a request calls `taken_out`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

EXTENSION = "atelier.wire"
SWEEP_SECONDS = 1.0
HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
"""After so long a body must have come in at `LEAST_RATE`."""
LEAST_RATE = 1000
"""Bytes a second."""
STUCK_SECONDS = 60.0
MOST_HEAD_BYTES = 64 * 1024
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_OF_UPGRADES = frozenset({b"connection", b"upgrade", b"http2-settings"})


class PatientProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.since: float | None = None  # the connection, or the first lines of a request, began
        self.idle_since = 0.0
        self.body_since = self.stuck_since = 0.0
        self.taken = 0
        self.not_body = 0
        """Bytes since the last one of a body."""
        self.head: bytes | None = None
        self.cycles: list[RequestResponseCycle] = []
        """Requests of this connection that are not answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        _Sweep.of(self)

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in self.cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.taken += len(data)
        self.not_body += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except httptools.HttpParserUpgrade as upgrade:
            if self.head is not None:
                self._read_anew(data[upgrade.args[0] :])
            elif self._should_upgrade():
                self.handle_websocket_upgrade()
        else:
            if self.not_body > MOST_HEAD_BYTES:
                if self.since is not None:
                    self.transport.write(_TOO_LARGE)
                self.transport.close()

    def _read_anew(self, rest: bytes) -> None:
        """A request that asked for another protocol, as if it had not; `rest`: what came after its first lines."""
        head, self.head = self.head, None
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(head + rest)  # type: ignore[operator]

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.idle_since = 0.0
        if self.since is None:
            self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            method = self.parser.get_method()
            if method == b"GET" and self._should_upgrade():
                super().on_headers_complete()
                return
            if method != b"CONNECT":
                self.head = self._without_upgrade(method)
                return
        self.since, self.taken, self.not_body = None, 0, 0
        self.body_since = self.idle_since = 0.0
        super().on_headers_complete()
        cycle = self.cycle
        if cycle.scope["http_version"] == "1.0":
            cycle.__class__ = _OldCycle
            cycle.waiting_for_100_continue = False
        else:
            self.scope["extensions"] = {EXTENSION: Wire(cycle)}  # type: ignore[typeddict-unknown-key]
        self.headers = []  # what stands after the body is no header of the request
        if len(self.cycles) == 1 and self.cycles[0].response_complete:
            self.cycles[0] = cycle
        else:
            self.cycles = [one for one in self.cycles if not one.response_complete]
            self.cycles.append(cycle)

    def _without_upgrade(self, method: bytes) -> bytes:
        lines = [b"%b: %b\r\n" % one for one in self.headers if one[0] not in _OF_UPGRADES]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            lines.append(b"connection: close\r\n")
        version = self.parser.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))

    def on_body(self, body: bytes) -> None:
        self.not_body = 0
        if self.idle_since:  # answered early; who still sends is not idle, and reads the answer after that
            self.idle_since = self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.head is None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, but that the sweep ends idle connections: a timer of its own for each request, set and taken
        back, costs more than all that it is for."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.idle_since = self.loop.time()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stuck_since = 0.0

    def look(self, now: float) -> None:
        """Hangs up on a client that is too slow, and on one that has asked nothing for a while."""
        if self._is_too_slow(now):
            self.transport.abort()
        elif self.idle_since and now - self.idle_since > self.timeout_keep_alive:
            self.timeout_keep_alive_handler()

    def _is_too_slow(self, now: float) -> bool:
        if self.stuck_since and now - self.stuck_since > STUCK_SECONDS:
            return True
        if self.since is not None:
            if self.flow.read_paused:  # what is missing may lie there, unread
                self.since = now
            return now - self.since > HEAD_SECONDS
        cycle = self.cycle
        if cycle is None or not cycle.more_body or cycle.response_complete or self.flow.read_paused:
            self.body_since = 0.0
            return False
        if not self.body_since:
            self.body_since, self.taken = now, 0
        spent = now - self.body_since
        return spent > BODY_SECONDS and self.taken < LEAST_RATE * spent


class _OldCycle(RequestResponseCycle):
    """For HTTP/1.0: an answer of unknown length ends with its connection."""

    unframed = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if not any(name.lower() == b"content-length" for name, _ in message.get("headers", ())):
                self.unframed, self.chunked_encoding = True, False
        elif self.unframed:
            # uvicorn counts down to the length that was announced.
            self.expected_content_length = len(message.get("body", b"")) + bool(message.get("more_body"))
        await super().send(message)


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
            if isinstance(connection, PatientProtocol):
                connection.look(now)
        self._next = self._loop.call_later(SWEEP_SECONDS, self._look) if self._connections else None


def taken_out(scope: Scope) -> Wire | None:
    """The way out that stands in `scope`, and no more after: it leads back to the scope, and such a ring of objects
    stays until the garbage collector finds it, which took a twelfth of each request."""
    extensions = scope.get("extensions")
    return extensions.pop(EXTENSION, None) if extensions else None


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
