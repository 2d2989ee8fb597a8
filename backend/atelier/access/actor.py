"""The actor: who a request speaks for. Every store call takes one, every route says which it needs.

A route declares its access by a parameter: `actor: User`, `actor: Admin` or `caller: Anyone`. `check_declared` refuses
to start an application in which a route declares none, so a forgotten declaration can never mean "open".
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import Scope

from atelier.config import AccessSettings
from atelier.errors import Forbidden, Unauthorized

SESSION_COOKIE = "atelier_session"
LOCAL_USER_ID = "local"


class Role(StrEnum):
    ADMIN = "admin"
    USER = "user"


@dataclass(frozen=True)
class Actor:
    """Someone with a right to act. An administrator sees every row, a user their own."""

    id: str
    name: str
    role: Role

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def owns(self, owner_id: str) -> bool:
        return self.is_admin or owner_id == self.id


LOCAL_ADMIN = Actor(LOCAL_USER_ID, "You", Role.ADMIN)


class Gate:
    """Tells from a request's headers who is calling. Without a configured token the local user is the administrator."""

    def __init__(self, settings: AccessSettings) -> None:
        self._digest = hashlib.sha256(settings.token.encode()).digest() if settings.token else None
        # What the cookie holds is derived, so that reading a browser's cookie store does not reveal the token.
        self.session = hashlib.sha256(b"session:" + settings.token.encode()).hexdigest() if settings.token else ""

    @property
    def is_open(self) -> bool:
        return self._digest is None

    def accepts(self, token: str) -> bool:
        given = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        return self._digest is None or hmac.compare_digest(given, self._digest)

    def identify(self, headers: Headers) -> Actor | None:
        if self._digest is None:
            return LOCAL_ADMIN
        scheme, _, credential = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.accepts(credential.strip()):
            return LOCAL_ADMIN
        if hmac.compare_digest(_session_of(headers).encode(), self.session.encode()):
            return LOCAL_ADMIN
        return None

    def identify_scope(self, scope: Scope) -> Actor | None:
        return self.identify(Headers(scope=scope))


def _session_of(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    morsel = cookie.get(SESSION_COOKIE)
    return morsel.value if morsel else ""


class Require:
    """The dependency behind `User`, `Admin` and `Anyone`: identifies the caller, and refuses who may not."""

    def __init__(self, role: Role | None) -> None:
        self.role = role

    def __call__(self, request: Request) -> Actor | None:
        actor = request.app.state.services.gate.identify(request.headers)
        if self.role is None:
            return actor
        if actor is None:
            raise Unauthorized(
                "This Atelier asks for its access token.",
                hint="Send it as `Authorization: Bearer …`, or unlock the dashboard with the padlock.",
            )
        if self.role is Role.ADMIN and not actor.is_admin:
            raise Forbidden("Only an administrator may do this.", hint="Ask one of the administrators of this Atelier.")
        return actor


User = Annotated[Actor, Depends(Require(Role.USER))]
Admin = Annotated[Actor, Depends(Require(Role.ADMIN))]
Anyone = Annotated[Actor | None, Depends(Require(None))]


def declared_access(route: APIRoute) -> list[Require]:
    """The access declarations of a route (a correct one has exactly one)."""
    found: list[Require] = []

    def walk(dependant: Dependant) -> None:
        for inner in dependant.dependencies:
            if isinstance(inner.call, Require):
                found.append(inner.call)
            walk(inner)

    walk(route.dependant)
    return found


def check_declared(routers: list[APIRouter]) -> None:
    """Raise for the first route that does not say who may call it."""
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute) or len(declared_access(route)) != 1:
                raise RuntimeError(f"route {getattr(route, 'path', route)!r} does not declare who may call it")
