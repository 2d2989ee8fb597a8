"""`/v1` for clients: a plain ASGI application in front of FastAPI, for the routes whose bytes go to an engine.

One lean pass: Host and Origin, who is calling, whether there is room, the body (parsed once), the model, and then the
engine's bytes as they come. What `front` promises for every route (request ids, security headers, one log line) is done
here too. Errors are told in the words of the API that was called; the rest is `chat.serving`'s.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from typing import TYPE_CHECKING

import orjson
import structlog
from starlette.types import Message, Receive, Scope, Send

from atelier.access.actor import Actor
from atelier.chat import answers
from atelier.chat.caps import Caps
from atelier.chat.keys import Keys
from atelier.chat.serving import ChatServing, Order, TooLongAWait, whole
from atelier.chat.upstream import Line
from atelier.chat.watching import Call
from atelier.errors import AtelierError, TooManyJobs, Unauthorized, Unavailable
from atelier.front import REQUEST_ID, IncomingBody
from atelier.hosts import Hosts, Refusal
from atelier.said import Said

if TYPE_CHECKING:
    from atelier.runtime.waiting import Waiting

log = structlog.get_logger("atelier.http")

MOST_BODY_BYTES = 64 * 1024 * 1024
SMALL = 1024 * 1024
PATHS = {
    "/v1/chat/completions": "/v1/chat/completions",
    "/v1/completions": "/v1/completions",
    "/v1/responses": "/v1/responses",
    "/v1/embeddings": "/v1/embeddings",
    "/v1/messages": "/v1/messages",
    "/v1/messages/count_tokens": "/v1/messages/count_tokens",
    "/tokenize": "/tokenize",
    "/detokenize": "/detokenize",
    "/v1/tokenize": "/tokenize",
    "/v1/detokenize": "/detokenize",
}
"""What clients call, and what an engine calls it."""
IN_VAIN = {409, 500, 507}

_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-cache"),
]
_JSON, _EVENTS = (b"content-type", b"application/json"), (b"content-type", b"text/event-stream; charset=utf-8")


class TooLarge(AtelierError):
    status = 413
    code = "body_too_large"


class ChatDoor:
    """Made with the application; `open` brings what the lifespan makes."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._serving: ChatServing | None = None
        self._keys: Keys | None = None
        self._caps = Caps()
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def open(self, serving: ChatServing, keys: Keys, caps: Caps) -> None:
        self._serving, self._keys, self._caps = serving, keys, caps

    def takes(self, scope: Scope) -> bool:
        return scope["path"] in PATHS and scope["method"] == "POST"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = _Visit(scope, receive, send)
        credential = origin = None
        host, hosts, length = b"", 0, 0
        for name, value in scope["headers"]:
            if name == b"host":
                host, hosts = value, hosts + 1
            elif name == b"authorization":
                credential = value or credential
            elif name == b"x-api-key":
                credential = credential or b"Bearer " + value
            elif name == b"content-length":
                length = int(value)
            elif name == b"origin":
                origin = value
            elif name == b"x-request-id" and REQUEST_ID.fullmatch(value.decode("latin-1")):
                visit.request_id = value
        if not visit.request_id:
            visit.request_id = f"{self._prefix}{next(self._numbers):08x}".encode()
        try:
            if refusal := self._hosts.refuse(hosts, host, origin, checked=True):
                await visit.refuse(refused(refusal))
            else:
                await self._answer(visit, credential or b"", length)
        except AtelierError as error:
            await visit.refuse(error)
        except asyncio.CancelledError:
            if not visit.hung_up:
                raise
            visit.status = 499
        except Exception as error:  # the edge of this loop: one request's fault stays its own
            log.error("http.unexpected", path=scope["path"], request_id=visit.request_id.decode(), exc_info=error)
            await visit.refuse(_unexpected())
        finally:
            visit.log()

    async def _answer(self, visit: _Visit, credential: bytes, length: int) -> None:
        serving, keys, caps = self._serving, self._keys, self._caps
        if serving is None or keys is None:
            raise Unavailable(Said("The server is starting.", "server_starting"), hint="Try again in a moment.")
        actor = keys.known(credential)
        if actor is None:
            client = visit.scope.get("client")
            actor = await keys.of(visit.scope["headers"], credential, client[0] if client else "")
        if actor is None:
            serving.meter.refuse("unauthorized")
            words = Said("This needs a valid API key.", "access.needs_key")
            raise Unauthorized(words, hint="Send it as `Authorization: Bearer …`.")
        try:
            caps.enter(actor)
        except TooManyJobs as error:
            serving.meter.refuse(error.code)
            visit.limits = caps.together, 0
            raise
        held = 0
        try:
            if length > SMALL:
                _check_size(length)
                caps.hold(length)
                held = length
            visit.call = Call(visit.receive, serving.watch.now())
            raw = await visit.body()
            order = await serving.order(actor, PATHS[visit.scope["path"]], raw)
            serving.watch.begin(visit.call)
            try:
                await self._pass_on(visit, serving, actor, order)
            finally:
                serving.watch.over(visit.call)
        finally:
            caps.let_go(held)
            caps.leave(actor)

    async def _pass_on(self, visit: _Visit, serving: ChatServing, actor: Actor, order: Order) -> None:
        count = serving.meter.begin(actor, order)
        status, tail = 500, b""
        visit.model = order.target.name
        try:
            if order.streams:
                visit.waits()
                async with serving.asked(order, 0, visit.hear) as line:
                    visit.arrived()
                    status = line.status
                    if status < 400:
                        serving.meter.first(count)
                        tail = await visit.stream(line, order)
                    else:
                        _, raw = await whole(line)
                        await visit.refuse_as(status, answers.openai_error(status, answers.parsed(raw)))
                return
            status, tail = await self._whole(visit, serving, order)
        except AtelierError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = 499
            raise
        finally:
            serving.meter.end(count, status, tail)

    async def _whole(self, visit: _Visit, serving: ChatServing, order: Order) -> tuple[int, bytes]:
        """An answer that is no stream; its model has a while to be loaded."""
        limit = asyncio.get_running_loop().call_later(serving.wait_seconds, visit.give_up)
        try:
            async with serving.asked(order, 0, visit.hear, limit.cancel) as line:
                status, raw = await whole(line)
        except asyncio.CancelledError:
            if visit.gave_up and not visit.hung_up:
                raise too_long(order) from None
            raise
        finally:
            limit.cancel()
        if status >= 400:
            await visit.refuse_as(status, answers.openai_error(status, answers.parsed(raw)))
        else:
            if order.target.reasons and b'"reasoning' in raw:
                raw = orjson.dumps(answers.both_spellings(answers.parsed(raw)))
            await visit.answer(status, raw, _JSON)
        return status, raw


class _Visit:
    """One request on its way through, and what was said to its client so far."""

    __slots__ = (
        "begun", "body_in", "call", "gave_up", "limits", "model", "request_id", "scope", "send", "started", "status",
        "told",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.send = scope, send
        self.body_in = IncomingBody(scope, receive)
        self.begun = time.perf_counter()
        self.request_id, self.model, self.told = b"", "", b"waiting"
        self.status, self.started, self.gave_up = 500, False, False
        self.limits: tuple[int, int] | None = None
        self.call: Call | None = None

    @property
    def hung_up(self) -> bool:
        return self.call is not None and self.call.hung_up

    async def receive(self) -> Message:
        return await self.body_in.receive()

    async def body(self) -> bytes:
        """The whole body. Raises TooLarge, and CancelledError when the client hangs up first."""
        message = await self.body_in.receive()
        raw = message.get("body", b"")
        if not message.get("more_body"):
            return raw
        pieces, size = [raw], len(raw)
        while message.get("more_body"):
            message = await self.body_in.receive()
            if message["type"] == "http.disconnect":
                assert self.call is not None
                self.call.hung_up = True
                raise asyncio.CancelledError
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            _check_size(size)
        return b"".join(pieces)

    # ── answers ──

    def _headers(self, kind: tuple[bytes, bytes], *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        took = b"%d" % int((time.perf_counter() - self.begun) * 1000)
        named = [kind, (b"x-request-id", self.request_id), (b"openai-processing-ms", took), *more, *_SECURITY]
        if self.limits is not None:
            named.append((b"x-ratelimit-limit-requests", b"%d" % self.limits[0]))
            named.append((b"x-ratelimit-remaining-requests", b"%d" % self.limits[1]))
        return named

    async def answer(self, status: int, raw: bytes, kind: tuple[bytes, bytes], *more: tuple[bytes, bytes]) -> None:
        self.status, self.started = status, True
        headers = self._headers(kind, (b"content-length", b"%d" % len(raw)), *more)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": raw})

    async def start(self) -> None:
        """A stream begins, for better or worse."""
        if not self.started:
            self.status, self.started = 200, True
            await self.send({"type": "http.response.start", "status": 200, "headers": self._headers(_EVENTS)})

    async def stream(self, line: Line, order: Order) -> bytes:
        """The engine's events, as they come; the end of them, for the meter. A failure on the way is the last event."""
        tail = b""
        await self.start()
        edit, send = answers.Edit(order), self.send
        try:
            while piece := await line.read():
                tail = piece if len(piece) > 2048 else tail[-2048:] + piece
                if edit.is_needed:
                    piece = edit(piece)
                if piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except Exception:
            await send({"type": "http.response.body", "body": edit.last(), "more_body": True})
            raise
        await send({"type": "http.response.body", "body": edit.last()})
        return tail

    async def refuse(self, error: AtelierError) -> None:
        """An error of ours."""
        more = [(b"retry-after", b"%d" % error.retry_after)] if isinstance(error, TooManyJobs | TooLongAWait) else []
        if isinstance(error, Unauthorized):
            more.append((b"www-authenticate", error.scheme.encode()))
        status = 400 if error.status == 422 else error.status
        await self.refuse_as(status, answers.from_error(error), *more, code=error.code)

    async def refuse_as(self, status: int, body: answers.Body, *more: tuple[bytes, bytes], code: str = "") -> None:
        """`body` is OpenAI's error object."""
        path = self.scope["path"]
        if self.started:
            self.status = status
            event = answers.error_event(path, body, status)
            await self.send({"type": "http.response.body", "body": event})
            return
        if status in IN_VAIN or code in ("not_enough_memory", "out_of_memory"):
            more = (*more, (b"x-should-retry", b"false"))
        if answers.is_anthropic(path):
            body = {**answers.anthropic_error(status, body), "request_id": self.request_id.decode()}
        if self.body_in.goes_on():
            await self._refuse_early(status, orjson.dumps(body), more)
        else:
            await self.answer(status, orjson.dumps(body), _JSON, *more)

    async def _refuse_early(self, status: int, raw: bytes, more: tuple[tuple[bytes, bytes], ...]) -> None:
        """While the body still comes in: a client reads the answer once it has sent everything."""
        self.status, self.started = status, True
        headers = self._headers(_JSON, (b"content-length", b"%d" % len(raw)), (b"connection", b"close"), *more)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": raw, "more_body": True})
        await self.body_in.linger()
        await self.send({"type": "http.response.body", "body": b""})

    # ── waiting ──

    def waits(self) -> None:
        """A stream waits for its model or its first word: comments keep it alive."""
        assert self.call is not None
        self.call.breathe = self.breathe

    def arrived(self) -> None:
        assert self.call is not None
        self.call.breathe = None

    def hear(self, waiting: Waiting) -> None:
        self.told = re.sub(r"[\r\n]+", " ", str(waiting.words)).encode()

    async def breathe(self) -> None:
        await self.start()
        if self.call is not None and self.call.breathe is not None:
            await self.send({"type": "http.response.body", "body": b": " + self.told + b"\n\n", "more_body": True})

    def give_up(self) -> None:
        self.gave_up = True
        if self.call is not None and self.call.task is not None:
            self.call.task.cancel()

    def log(self) -> None:
        took = round((time.perf_counter() - self.begun) * 1000, 1)
        log.info(
            "http.response",
            method=self.scope["method"],
            path=self.scope["path"],
            status=self.status,
            ms=took,
            model=self.model,
            request_id=self.request_id.decode(),
        )


def refused(refusal: Refusal) -> AtelierError:
    status, code, text, hint = refusal
    words = Said(text, code)
    error = AtelierError(words, hint=hint)
    error.status, error.code = status, code
    return error


def too_long(order: Order) -> TooLongAWait:
    words = Said(f"{order.target.name} is still being loaded.", "chat.still_loading", model=order.target.name)
    return TooLongAWait(words, hint="Send it again in a moment, or as a stream: that is kept alive while it waits.")


def _check_size(size: int) -> None:
    if size > MOST_BODY_BYTES:
        most = MOST_BODY_BYTES // 1024**2
        words = Said(f"The body of the request is larger than {most} MiB.", "chat.body_too_large", most=most)
        raise TooLarge(words, field="body", hint="Send less at once.")


def _unexpected() -> AtelierError:
    words = Said("Something went wrong inside Atelier.", "internal_error")
    return AtelierError(words, hint="Try again. If it stays, look for the request id in the log.")
