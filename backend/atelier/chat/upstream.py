"""Connections to an engine's own OpenAI server, over its Unix socket.

    lines = Lines(socket_path)
    line = lines.kept() or await lines.open()
    line.ask(head_of(path), body)
    status = await line.head()          # or: status, answer = await line.whole(most)
    while piece := await line.read(): ...
    lines.give_back(line)               # kept for the next request; `line.close()` where the answer was not read

Bytes are handed on as they came: several pieces that arrived together are one, and no event is looked at. A reader that
is slower than the engine stops the socket being read. Time is nobody's business here: `chat.watching` looks at `heard`
and ends a line with `fail`.
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

import httptools
from engines.protocol import KEEP_ALIVE_SECONDS

IDLE_SECONDS = KEEP_ALIVE_SECONDS - 10.0
"""Before the engine hangs up. A new connection costs a third of a request, and many streams that begin at once wait for
each other's."""
CONNECT_SECONDS = 5.0
MOST_WAITING = 256 * 1024
MOST_IDLE = 256


class EngineGone(Exception):
    """The connection ended before the answer did. `early`: before its first byte, so that asking again is no repeat."""

    def __init__(self, *, early: bool = False) -> None:
        super().__init__("the engine hung up")
        self.early = early


class EngineSilent(Exception):
    """The engine is there and says nothing."""


class AnswerTooLong(Exception):
    """More than the caller is willing to hold."""


def head_of(path: str, length: int, method: str = "POST") -> bytes:
    """A request's first lines. Nothing of what the client sent is in it, but its body's length."""
    return b"%b%d\r\n\r\n" % (_first_lines(path, method), length)


@functools.lru_cache(maxsize=64)
def _first_lines(path: str, method: str) -> bytes:
    kind = "host: engine\r\ncontent-type: application/json\r\n"
    return f"{method} {path} HTTP/1.1\r\n{kind}content-length: ".encode()


class Line(asyncio.Protocol):
    """One connection; one request at a time."""

    __slots__ = (
        "asked",
        "began",
        "content_type",
        "heard",
        "status",
        "used",
        "_done",
        "_failure",
        "_keep",
        "_loop",
        "_parser",
        "_paused",
        "_pieces",
        "_transport",
        "_waiter",
        "_waits_for",
        "_waiting_bytes",
        "_writable",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._failure: Exception | None = None
        self._writable: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.used = False
        self.asked = self.heard = 0.0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.began = self._done = self._keep = self._paused = False
        self.content_type = b""
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._waits_for = _HEAD

    # ── the request's side ──

    def ask(self, head: bytes, body: bytes) -> None:
        """Send a request; what is left of the one before is forgotten."""
        assert self._transport is not None
        self._reset()
        self.asked = self.heard = self._loop.time()
        if len(body) < 65536:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    async def head(self) -> int:
        """The answer's status. Raises EngineGone, EngineSilent."""
        if not self.status:
            await self._wait(_HEAD)
        return self.status

    async def read(self) -> bytes:
        """What came since the last call; b"" at the end. Raises EngineGone, EngineSilent."""
        if not self._pieces:
            if self._done:
                return b""
            await self._wait(_PIECE)
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces, self._waiting_bytes = [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def whole(self, most: int) -> tuple[int, bytes]:
        """Status and body of an answer that is no stream. Raises EngineGone, EngineSilent, AnswerTooLong."""
        while not self._done:
            if self._waiting_bytes > most:
                raise AnswerTooLong
            await self._wait(_END if most > MOST_WAITING else _PIECE)
        pieces = self._pieces
        return self.status, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def can_be_kept(self) -> bool:
        return self._done and self._keep and self._failure is None

    @property
    def is_unread(self) -> bool:
        """Whether something came that nobody has taken yet: then it is not the engine that is slow."""
        return bool(self._pieces) or self._done

    @property
    def is_closed(self) -> bool:
        return self._failure is not None or self._transport is None or self._transport.is_closing()

    def fail(self, failure: Exception) -> None:
        """End it: whoever reads from it gets `failure`."""
        if self._failure is None:
            self._failure = failure
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def close(self) -> None:
        """Hang up; the engine stops what it was doing."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self, what: int) -> None:
        if self._failure is not None and not self._done:
            raise self._failure
        self._waits_for = what
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._failure is not None and not self._done and not self._pieces:
            raise self._failure

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # ── the socket's side ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # uvloop's is none of asyncio's classes

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        self.began = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail(EngineGone())
            return
        waits_for = self._waits_for
        if self._done or (self._pieces and waits_for is _PIECE) or (self.status and waits_for is _HEAD):
            self._wake()
        if self._waiting_bytes > MOST_WAITING and waits_for is not _END and not self._paused and not self._done:
            self._paused = True
            assert self._transport is not None
            self._transport.pause_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._failure is None:
            self._failure = EngineGone(early=not self.began)
        self._transport = None
        self._wake()

    # ── the parser's side ──

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 12 and name.lower() == b"content-type":
            self.content_type = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)

    def on_message_complete(self) -> None:
        self._done = True
        self._keep = self._parser.should_keep_alive()


_HEAD, _PIECE, _END = 0, 1, 2


class Lines:
    """The connections to one engine: those in use, and those kept for the next request."""

    def __init__(self, socket_path: Path) -> None:
        self._path = str(socket_path)
        self._loop = asyncio.get_running_loop()
        self._idle: list[tuple[Line, float]] = []
        self.busy: set[Line] = set()
        self.heard = 0.0
        """When the last of those that were given back heard something."""

    def kept(self) -> Line | None:
        """A connection that was kept, to ask on again."""
        limit = self._loop.time() - IDLE_SECONDS
        while self._idle:
            line, since = self._idle.pop()
            if since > limit and not line.is_closed:
                line.used = True
                self.busy.add(line)
                return line
            line.close()
        return None

    async def open(self) -> Line:
        """A new connection to ask on. Raises EngineGone when nobody listens, EngineSilent when nobody answers."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                line = await self._connected()
        except TimeoutError:
            raise EngineSilent from None
        except OSError:
            raise EngineGone(early=True) from None
        self.busy.add(line)
        return line

    async def _connected(self) -> Line:
        """So many may ask at once that the engine's line of new connections is full for a moment."""
        while True:
            try:
                _, line = await self._loop.create_unix_connection(Line, self._path)
                return line
            except BlockingIOError:
                await asyncio.sleep(0.005)

    def give_back(self, line: Line) -> None:
        """Keep it where its answer was read to the end; else hang up."""
        self.busy.discard(line)
        if line.began and line.heard > self.heard:
            self.heard = line.heard
        if line.can_be_kept and not line.is_closed and len(self._idle) < MOST_IDLE:
            self._idle.append((line, self._loop.time()))
        else:
            line.close()

    def close(self, failure: Exception | None = None) -> None:
        """Hang up on everything; who reads gets `failure`."""
        for line, _ in self._idle:
            line.close()
        self._idle.clear()
        for line in tuple(self.busy):
            line.fail(failure or EngineGone())
