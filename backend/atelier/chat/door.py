"""`/v1` for clients: a plain ASGI application in front of FastAPI, for the routes whose bytes go to an engine.

One lean pass: Host and Origin, who is calling, whether there is room, the body (parsed once), the model, and then the
engine's bytes as they come. What `front` promises for every route (request ids, security headers, one log line) is done
here too. Errors are told in the words of the API that was called; the rest is `chat.serving`'s.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from atelier.access.actor import Actor
from atelier.chat import answers
from atelier.chat.caps import Caps
from atelier.chat.keys import Keys
from atelier.chat.order import Order
from atelier.chat.serving import RESPONSES, ChatServing, TooLongAWait, whole
from atelier.chat.visit import Visit, check_size
from atelier.errors import AtelierError, TooManyJobs, Unauthorized, Unavailable
from atelier.front import REQUEST_ID
from atelier.hosts import Hosts, Refusal, without_cookie
from atelier.logs import RequestLines
from atelier.said import Said

log = structlog.get_logger("atelier.http")

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
_KEPT = "/v1/responses/"


def _is_kept(path: str, method: str) -> bool:
    """Whether this asks for, or cancels, an answer that an engine keeps."""
    rest = path.removeprefix(_KEPT)
    if method == "POST":
        rest, _, verb = rest.partition("/")
        return verb == "cancel" and rest.replace("_", "").replace("-", "").isalnum()
    return method == "GET" and rest.replace("_", "").replace("-", "").isalnum()


class ChatDoor:
    """Made with the application; `open` brings what the lifespan makes."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._serving: ChatServing | None = None
        self._keys: Keys | None = None
        self._caps = Caps()
        self._lines = RequestLines("atelier.http")
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def open(self, serving: ChatServing, keys: Keys, caps: Caps) -> None:
        self._serving, self._keys, self._caps = serving, keys, caps

    def close(self) -> None:
        self._lines.write()

    def takes(self, scope: Scope) -> bool:
        path, method = scope["path"], scope["method"]
        return (path in PATHS and method == "POST") or (path.startswith(_KEPT) and _is_kept(path, method))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(scope, receive, send)
        credential = key = origin = None
        host, hosts, length = b"", 0, 0
        for name, value in scope["headers"]:
            if name == b"host":
                host, hosts = value, hosts + 1
            elif name == b"authorization":
                if credential is None:  # the first, as for the gate: remembered is what was looked at
                    credential = value
            elif name == b"x-api-key":
                key = key or value
            elif name == b"content-length":
                length = int(value)
            elif name == b"cookie":
                visit.has_cookie = True
            elif name == b"origin":
                origin = value
            elif name == b"x-request-id" and REQUEST_ID.fullmatch(value.decode("latin-1")):
                visit.request_id = value
        if origin is not None and self._hosts.is_guest(scope["path"], origin.lower()):
            visit.guest, origin = origin.lower(), None
            scope["headers"], visit.has_cookie = without_cookie(scope["headers"]), False
        if not visit.request_id:
            visit.request_id = f"{self._prefix}{next(self._numbers):08x}".encode()
        try:
            if refusal := self._hosts.refuse(hosts, host, origin, checked=True):
                await visit.refuse(refused(refusal))
            else:
                await self._answer(visit, credential or (b"Bearer " + key if key else b""), length)
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
            if self._lines.is_wanted:
                self._lines.add("http.response", visit.told_of())
            visit.call = None  # which leads back to the visit

    async def _answer(self, visit: Visit, credential: bytes, length: int) -> None:
        serving, keys, caps = self._serving, self._keys, self._caps
        if serving is None or keys is None:
            raise Unavailable(Said("The server is starting.", "server_starting"), hint="Try again in a moment.")
        actor = None if visit.has_cookie else keys.known(credential)
        if actor is None:
            client = visit.scope.get("client")
            actor = await keys.of(visit.scope["headers"], credential, client[0] if client else "")
        if actor is None:
            serving.meter.refuse("unauthorized")
            words = Said("This needs a valid API key.", "access.needs_key")
            raise Unauthorized(words, hint="Send it as `Authorization: Bearer …`.")
        visit.call = serving.watch.call(visit.receive)
        raw = None
        if 0 < length <= SMALL:
            # A client that is slow with a small body takes nobody's place while it comes in.
            raw = await visit.body()
        self._enter(visit, serving, actor)
        held = 0
        try:
            if length > SMALL:
                check_size(length)
                caps.hold(length)
                held = length
            if raw is None:
                raw = await visit.body()
            path = visit.scope["path"]
            if path in PATHS:
                order = await serving.order(actor, PATHS[path], raw)
            else:
                order = serving.of_response(actor, visit.scope["method"], path)
            serving.watch.begin(visit.call)
            try:
                await self._pass_on(visit, serving, actor, order)
            finally:
                serving.watch.over(visit.call)
        finally:
            caps.let_go(held)
            caps.leave(actor)

    def _enter(self, visit: Visit, serving: ChatServing, actor: Actor) -> None:
        """Raises TooManyRequests; else `caps.leave` ends it."""
        try:
            self._caps.enter(actor)
        except TooManyJobs as error:
            serving.meter.refuse(error.code)
            visit.limits = self._caps.together, 0
            raise

    async def _pass_on(self, visit: Visit, serving: ChatServing, actor: Actor, order: Order) -> None:
        count = serving.meter.begin(actor, order)
        status, tail = 500, b""
        visit.model = order.target.name
        try:
            if order.streams:
                visit.call.breathe = visit.breathe  # type: ignore[union-attr]
                async with serving.asked(order, 0, visit.hear) as line:
                    visit.call.breathe = None  # type: ignore[union-attr]
                    status = line.status
                    if status < 400:
                        serving.meter.first(count)
                        tail = await visit.stream(line, order)
                        if order.path == RESPONSES:
                            serving.responses.note(actor, order.target, visit.first)
                    else:
                        _, raw = await whole(line)
                        await visit.refuse_as(status, answers.openai_error(status, answers.parsed(raw)))
                return
            status, tail = await self._whole(visit, serving, order)
            if order.path == RESPONSES:
                serving.responses.note(actor, order.target, tail[:1024])
        except AtelierError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = 499
            raise
        finally:
            serving.meter.end(count, status, tail)

    async def _whole(self, visit: Visit, serving: ChatServing, order: Order) -> tuple[int, bytes]:
        """An answer that is no stream; its model has a while to be loaded."""
        call = visit.call
        assert call is not None
        call.patience = serving.wait_seconds
        try:
            async with serving.asked(order, 0, visit.hear, call.arrived) as line:
                status, raw = await whole(line)
        except asyncio.CancelledError:
            if call.gave_up and not call.hung_up:
                raise too_long(order) from None
            raise
        if status >= 400:
            await visit.refuse_as(status, answers.openai_error(status, answers.parsed(raw)))
        else:
            if order.target.reasons and b'"reasoning' in raw:
                raw = orjson.dumps(answers.both_spellings(answers.parsed(raw)))
            await visit.answer(status, raw)
        return status, raw


def refused(refusal: Refusal) -> AtelierError:
    status, code, text, hint = refusal
    words = Said(text, code)
    error = AtelierError(words, hint=hint)
    error.status, error.code = status, code
    return error


def too_long(order: Order) -> TooLongAWait:
    words = Said(f"{order.target.name} is still being loaded.", "chat.still_loading", model=order.target.name)
    return TooLongAWait(words, hint="Send it again in a moment, or as a stream: that is kept alive while it waits.")


def _unexpected() -> AtelierError:
    words = Said("Something went wrong inside Atelier.", "internal_error")
    return AtelierError(words, hint="Try again. If it stays, look for the request id in the log.")
