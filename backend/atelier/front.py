"""What every request passes first: a plain ASGI application in front of FastAPI.

In this order: a request id; the Host allow-list (against DNS rebinding); the Origin check (against pages of other
sites); then the live socket or FastAPI; security headers and one log line on the way out. Decisions use
`scope["path"]`, never a reassembled URL.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from http import HTTPStatus
from typing import Protocol

import orjson
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atelier.config import BadSetting
from atelier.dialects import Envelopes, dialect_of
from atelier.hosts import SAFE_METHODS, Hosts, Refusal, guest_headers, preflight_headers, without_cookie
from atelier.wire import taken_out

log = structlog.get_logger("atelier.http")

LIVE_PATH = "/api/live"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PROBLEM_TYPE = "application/problem+json"
_TOO_LARGE = (
    413,
    "body_too_large",
    "The body of the request is larger than {most:g} MiB.",
    "Send less at once.",
    "body",
)
_UPGRADE = (
    426,
    "upgrade_required",
    "This is the live socket: it answers to a WebSocket alone.",
    "Connect with a WebSocket client; over plain HTTP the same is told by GET /api/jobs, /api/gallery and /api/system.",
)
_MIB = 1024 * 1024
_QUIET = ("/assets/", "/health", "/docs-assets/")

# No page needs an inline script. Styles may stand inline: browsers apply some of their own to what they show as it is.
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class HotDoor(Protocol):
    """Routes that are answered past FastAPI, and do what is done here themselves."""

    def takes(self, scope: Scope) -> bool: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Front:
    """The outermost application; also passes on lifespan events."""

    def __init__(
        self, app: ASGIApp, live: ASGIApp, hosts: Hosts, envelopes: Envelopes, door: HotDoor | None = None
    ) -> None:
        self.app, self._live, self._envelopes = app, live, envelopes
        self._hosts, self._door = hosts, door
        self._packed: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if self._door is not None and scope["type"] == "http" and self._door.takes(scope):
            await self._door(scope, receive, send)
            return
        taken_out(scope)
        guest = self._guest(scope)
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["atelier.request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        refused = self._refuse(scope, headers, guest)
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, refused)
        else:
            await self._http(scope, receive, send, refused, request_id, guest)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A setting that cannot be used is told in its own words, anything else with its traceback."""
        failures: list[Message] = []

        async def hold_back(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failures.append(message)
            else:
                await send(message)

        try:
            await self.app(scope, receive, hold_back)
        except BadSetting as problem:
            await send({"type": "lifespan.startup.failed", "message": f"atelier: {problem}"})
        except BaseException:
            for message in failures:
                await send(message)
            raise

    def _guest(self, scope: Scope) -> bytes | None:
        """The page of another site that may ask this."""
        if not self._hosts.origins or scope["type"] != "http":
            return None
        origin = next((value for name, value in scope["headers"] if name == b"origin"), b"").lower()
        if not self._hosts.is_guest(scope["path"], origin):
            return None
        scope["headers"] = without_cookie(scope["headers"])
        return origin

    def _refuse(self, scope: Scope, headers: Headers, guest: bytes | None) -> Refusal | None:
        names = headers.getlist("host")
        origin = None if guest else headers.get("origin")
        checked = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        return self._hosts.refuse(
            len(names),
            names[0].encode("latin-1") if names else b"",
            None if origin is None else origin.encode("latin-1"),
            checked=checked,
        )

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, refused: Refusal | None) -> None:
        if refused or scope["path"] != LIVE_PATH:
            await receive()
            code = 4403 if refused else 4404
            await send({"type": "websocket.close", "code": code, "reason": refused[1] if refused else "not_found"})
            return
        await self._live(scope, receive, send)

    async def _http(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        refused: Refusal | None,
        request_id: str,
        guest: bytes | None,
    ) -> None:
        begun = time.perf_counter()
        body = IncomingBody(scope, receive)
        answer = _Answer(self, scope, body, send, request_id, guest)
        try:
            if refused is None and scope["path"] == LIVE_PATH and scope["method"] in SAFE_METHODS:
                refused = _UPGRADE
            if not refused and guest and (allowed := self._preflight(scope, guest)):
                await send({"type": "http.response.start", "status": 204, "headers": allowed})
                await send({"type": "http.response.body", "body": b""})
                answer.status = 204
            elif refused:
                await self.send_problem(scope, answer.send, request_id, *refused)
            else:
                app = self._packing() if _is_text(scope) else self.app
                await app(scope, body.receive, answer.send)
        finally:
            if not scope["path"].startswith(_QUIET):
                took = round((time.perf_counter() - begun) * 1000, 1)
                log.info("http.response", method=scope["method"], path=scope["path"], status=answer.status, ms=took)

    def _preflight(self, scope: Scope, guest: bytes) -> list[tuple[bytes, bytes]] | None:
        return preflight_headers(guest, scope["headers"]) if scope["method"] == "OPTIONS" else None

    def _packing(self) -> ASGIApp:
        """The application with its answers compressed, made when somebody first opens the dashboard."""
        if self._packed is None:
            from starlette.middleware.gzip import GZipMiddleware

            self._packed = GZipMiddleware(self.app, compresslevel=6)
        return self._packed

    async def send_problem(
        self,
        scope: Scope,
        send: Send,
        request_id: str,
        status: int,
        code: str,
        words: str,
        hint: str,
        field: str | None = None,
    ) -> None:
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": words,
            "code": code,
            "hint": hint,
            "errors": [{"field": field, "message": words}] if field else [],
            "request_id": request_id,
        }
        envelope, kind, more = self._envelopes.get(dialect_of(scope["path"])), PROBLEM_TYPE, {}
        if envelope:
            kind, status, more = "application/json", envelope.status(problem), envelope.headers(problem)
        body = orjson.dumps(envelope.body(problem) if envelope else problem)
        if status == HTTPStatus.UPGRADE_REQUIRED:
            more = {"upgrade": "websocket", "connection": "upgrade"}
        named = {"content-type": kind, "content-length": str(len(body)), **more}
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _is_text(scope: Scope) -> bool:
    """Scripts and styles of the dashboard: a third of the bytes, once for each browser. Nothing else is compressed:
    pictures are, and what belongs to somebody must not tell by its length what stands in it."""
    path = scope["path"]
    return path.startswith("/assets/") and path.endswith((".js", ".css")) and b"range" not in dict(scope["headers"])


class _Answer:
    """One answer on its way out, with the headers that belong on each. (As a function inside of `_http` it would have
    to know itself, for `send_problem`: a ring of objects that only the garbage collector finds.)"""

    def __init__(
        self, front: Front, scope: Scope, body: IncomingBody, send: Send, request_id: str, guest: bytes | None
    ) -> None:
        self._front, self._scope, self._body, self._send = front, scope, body, send
        self._request_id, self._guest = request_id, guest
        self.status = 500
        self._replaced = False

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            # The body limit below FastAPI does not say what the limit is; a route may have one of its own.
            if self.status == 413 and Headers(raw=message["headers"])["content-type"].startswith("text/plain"):
                await self._say_the_limit()
                return
            self._add_headers(message)
        elif self.status >= 400 and not message.get("more_body") and self._body.goes_on():
            await self._send({**message, "more_body": True})
            await self._body.linger()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _say_the_limit(self) -> None:
        _, code, words, *rest = _TOO_LARGE
        words = words.format(most=self._scope[MAX_BODY_SIZE_SCOPE_KEY] / _MIB)
        await self._front.send_problem(self._scope, self.send, self._request_id, self.status, code, words, *rest)
        self._replaced = True

    def _add_headers(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers["x-request-id"] = self._request_id
        if self._guest:
            headers.raw.extend(guest_headers(self._guest))
        if "cache-control" not in headers:
            # Built files carry their content's hash in their name; everything else is asked for again.
            is_built = self.status == 200 and self._scope["path"].startswith("/assets/")
            headers["cache-control"] = "public, max-age=31536000, immutable" if is_built else "no-cache"
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if self.status >= 400 and self._body.goes_on():
            headers["connection"] = "close"


class IncomingBody:
    """A request's body, for the case that it is refused while it still comes in. A client reads the answer once it has
    sent everything, so a while of that is taken and thrown away; then the connection ends."""

    LINGER_BYTES, LINGER_SECONDS, SMALL = 64 * _MIB, 10.0, _MIB

    def __init__(self, scope: Scope, receive: Receive, *, ended: bool = False) -> None:
        self._scope, self._receive, self._ended = scope, receive, ended

    async def receive(self) -> Message:
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    def goes_on(self) -> bool:
        """Whether more of it may come than is worth waiting for."""
        if self._ended or self._scope["method"] in SAFE_METHODS:
            return False
        headers = Headers(scope=self._scope)
        length = headers.get("content-length", "")
        return "transfer-encoding" in headers or (length.isdigit() and int(length) > self.SMALL)

    async def linger(self) -> None:
        taken = 0
        try:
            async with asyncio.timeout(self.LINGER_SECONDS):
                while not self._ended and taken < self.LINGER_BYTES:
                    taken += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass
