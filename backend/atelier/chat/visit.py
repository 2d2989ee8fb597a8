"""One request of a client on its way through the door: its body, and what was said to it so far.

An answer goes out by the short way where the server has it (`atelier.wire`), else by ASGI's `send`.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import orjson
from starlette.types import Message, Receive, Scope, Send

from atelier.chat import answers
from atelier.chat.order import Order
from atelier.chat.serving import TooLongAWait
from atelier.chat.upstream import Line
from atelier.chat.watching import Call
from atelier.errors import AtelierError, TooManyJobs, Unauthorized
from atelier.front import IncomingBody
from atelier.hosts import guest_headers
from atelier.said import Said
from atelier.wire import Wire, taken_out

if TYPE_CHECKING:
    from atelier.runtime.waiting import Waiting

MOST_BODY_BYTES = 64 * 1024 * 1024
IN_VAIN = {409, 500, 507}
IN_VAIN_CODES = {"not_enough_memory", "out_of_memory"}

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
}
"""As `front` sends them; nothing that is answered here is a page."""
JSON, EVENTS = b"application/json", b"text/event-stream; charset=utf-8"
_ALWAYS = [(name.encode(), value.encode()) for name, value in SECURITY.items()]
_LINES = b"".join(name + b": " + value + b"\r\n" for name, value in _ALWAYS)
_HEADS = {kind: b"HTTP/1.1 200 OK\r\n" + _LINES + b"content-type: " + kind + b"\r\n" for kind in (JSON, EVENTS)}

Header = tuple[bytes, bytes]


class TooLarge(AtelierError):
    status = 413
    code = "body_too_large"


class Visit:
    """Made for each request."""

    __slots__ = (
        "begun", "call", "first", "guest", "has_cookie", "limits", "model", "request_id", "scope", "send", "started",
        "status", "told", "_ended", "_receive", "_wire",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.send, self._receive = scope, send, receive
        self.begun = time.perf_counter()
        self.request_id, self.model, self.told, self.first = b"", "", b"waiting", b""
        self.status, self.started, self._ended = 500, False, False
        self.has_cookie = False
        self.guest: bytes | None = None
        """The page of another site that asks, and may read the answer."""
        self.limits: tuple[int, int] | None = None
        self.call: Call | None = None
        self._wire: Wire | None = taken_out(scope)

    @property
    def hung_up(self) -> bool:
        return self.call is not None and self.call.hung_up

    # ── the request ──

    async def receive(self) -> Message:
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def body(self) -> bytes:
        """The whole body. Raises TooLarge, and CancelledError when the client hangs up first."""
        message = await self._receive()
        if not message.get("more_body"):
            if message["type"] == "http.disconnect":
                self._left()
            self._ended = True
            return message["body"]
        pieces, size = [message["body"]], len(message["body"])
        while message.get("more_body"):
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self._left()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            check_size(size)
        return b"".join(pieces)

    def _left(self) -> None:
        assert self.call is not None
        self.call.hung_up = True
        raise asyncio.CancelledError

    # ── answers ──

    def _head(self, kind: bytes) -> bytes:
        took = int((time.perf_counter() - self.begun) * 1000)
        head = b"%bx-request-id: %b\r\nopenai-processing-ms: %d\r\n" % (_HEADS[kind], self.request_id, took)
        if self.guest is not None:
            head += b"".join(b"%b: %b\r\n" % one for one in guest_headers(self.guest))
        return head

    def _headers(self, kind: bytes, *more: Header) -> list[Header]:
        took = b"%d" % int((time.perf_counter() - self.begun) * 1000)
        named = [(b"content-type", kind), (b"x-request-id", self.request_id), (b"openai-processing-ms", took)]
        if self.guest is not None:
            named += guest_headers(self.guest)
        if self.limits is not None:
            named.append((b"x-ratelimit-limit-requests", b"%d" % self.limits[0]))
            named.append((b"x-ratelimit-remaining-requests", b"%d" % self.limits[1]))
        return [*named, *more, *_ALWAYS]

    async def answer(self, status: int, raw: bytes, *more: Header) -> None:
        """A whole answer, JSON."""
        self.status, self.started = status, True
        if self._wire is not None and status == 200 and not more:
            head = b"%bcontent-length: %d\r\n" % (self._head(JSON), len(raw))
            if self._wire.answer(head, raw):
                return
        headers = self._headers(JSON, (b"content-length", b"%d" % len(raw)), *more)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": raw})

    async def start(self) -> None:
        """A stream begins, for better or worse."""
        if not self.started:
            self.status, self.started = 200, True
            if self._wire is None or not self._wire.begin(self._head(EVENTS)):
                await self.send({"type": "http.response.start", "status": 200, "headers": self._headers(EVENTS)})

    async def piece(self, raw: bytes) -> None:
        if self._wire is None or not self._wire.piece(raw):
            await self.send({"type": "http.response.body", "body": raw, "more_body": True})

    async def end(self, raw: bytes) -> None:
        if raw:
            await self.piece(raw)
        if self._wire is None or not self._wire.end():
            await self.send({"type": "http.response.body", "body": b""})

    async def stream(self, line: Line, order: Order) -> bytes:
        """The engine's events, as they come; the end of them, for the meter."""
        tail, wire = b"", self._wire
        await self.start()
        edit = answers.Edit(order)
        changes = edit.is_needed
        try:
            while piece := await line.read():
                if not tail:
                    self.first = piece[:1024]
                tail = piece if len(piece) > 2048 else tail[-2048:] + piece
                if changes:
                    piece = edit(piece)
                if piece and (wire is None or not wire.piece(piece)):
                    await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        except Exception:
            if rest := edit.last():
                await self.piece(rest)
            raise
        await self.end(edit.last())
        return tail

    async def refuse(self, error: AtelierError) -> None:
        """An error of ours."""
        more = [(b"retry-after", b"%d" % error.retry_after)] if isinstance(error, TooManyJobs | TooLongAWait) else []
        if isinstance(error, Unauthorized):
            more.append((b"www-authenticate", error.scheme.encode()))
        status = 400 if error.status == 422 else error.status
        await self.refuse_as(status, answers.from_error(error), *more, code=error.code)

    async def refuse_as(self, status: int, body: answers.Body, *more: Header, code: str = "") -> None:
        """`body` is OpenAI's error object. In a stream it becomes the last event."""
        path = self.scope["path"]
        if self.started:
            self.status = status
            await self.end(answers.error_event(path, body, status))
            return
        if status in IN_VAIN or code in IN_VAIN_CODES:
            more = (*more, (b"x-should-retry", b"false"))
        if answers.is_anthropic(path):
            body = {**answers.anthropic_error(status, body), "request_id": self.request_id.decode()}
        body_in = IncomingBody(self.scope, self._receive, ended=self._ended)
        if body_in.goes_on():
            await self._refuse_early(status, orjson.dumps(body), body_in, more)
        else:
            await self.answer(status, orjson.dumps(body), *more)

    async def _refuse_early(self, status: int, raw: bytes, body_in: IncomingBody, more: tuple[Header, ...]) -> None:
        """While the body still comes in: a client reads the answer once it has sent everything."""
        self.status, self.started = status, True
        headers = self._headers(JSON, (b"content-length", b"%d" % len(raw)), (b"connection", b"close"), *more)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": raw, "more_body": True})
        await body_in.linger()
        await self.send({"type": "http.response.body", "body": b""})

    # ── waiting ──

    def hear(self, waiting: Waiting) -> None:
        self.told = re.sub(r"[\r\n]+", " ", str(waiting.words)).encode()

    async def breathe(self) -> None:
        """A comment, while a stream waits for its model or its first word."""
        await self.start()
        if self.call is not None and self.call.breathe is not None:
            await self.piece(b": " + self.told + b"\n\n")

    def told_of(self) -> dict[str, Any]:
        """For the log."""
        return {
            "method": self.scope["method"],
            "path": self.scope["path"],
            "status": self.status,
            "ms": round((time.perf_counter() - self.begun) * 1000, 1),
            "model": self.model,
            "request_id": self.request_id.decode(),
        }


def check_size(size: int) -> None:
    """Raises TooLarge."""
    if size > MOST_BODY_BYTES:
        most = MOST_BODY_BYTES // 1024**2
        words = Said(f"The body of the request is larger than {most} MiB.", "chat.body_too_large", most=most)
        raise TooLarge(words, field="body", hint="Send less at once.")
