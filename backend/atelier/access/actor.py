"""The actor: who a request speaks for. Every store call takes one, every route says which it needs.

A route declares its access by a parameter: `actor: User`, `actor: Admin` or `caller: Anyone`, and at the doors of other
APIs `ApiUser`, `BasicUser`, `TokenUser` or `CreaturesUser`. `check_declared` refuses to start an application in which a
route declares none, so a forgotten declaration can never mean "open".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Depends as DependsParam
from fastapi.routing import APIRoute

from atelier.errors import Forbidden, Unauthorized
from atelier.said import Said

SESSION_COOKIE = "atelier_session"
LOCAL_USER_ID = "local"


class Role(StrEnum):
    ADMIN = "admin"
    USER = "user"


class Door(StrEnum):
    """Whose clients come in, and so which credentials are looked at: see the table of `access.gate`."""

    OWN = "own"
    OPENAI = "openai"
    BASIC = "basic"
    TOKEN = "token"  # noqa: S105 - no secret
    CREATURES = "creatures"


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


class Require:
    """The dependency behind the declarations: identifies the caller, and refuses who may not. Role None: anyone."""

    def __init__(self, role: Role | None, door: Door = Door.OWN) -> None:
        self.role, self.door = role, door

    async def __call__(self, request: Request) -> Actor | None:
        gate = request.app.state.services.gate
        actor = await gate.identify(request.headers, self.door, address_of(request))
        if self.role is None:
            return actor
        if actor is None:
            raise _unauthorized(self.door)
        if self.role is Role.ADMIN and not actor.is_admin:
            raise Forbidden("Only an administrator may do this.", hint="Ask one of the administrators of this Atelier.")
        return actor


User = Annotated[Actor, Depends(Require(Role.USER))]
Admin = Annotated[Actor, Depends(Require(Role.ADMIN))]
Anyone = Annotated[Actor | None, Depends(Require(None))]
# The doors: OpenAI's (`/v1`), Automatic1111's (`/sdapi`), the Spanish API's, the creature service's.
ApiUser = Annotated[Actor, Depends(Require(Role.USER, Door.OPENAI))]
BasicAdmin = Annotated[Actor, Depends(Require(Role.ADMIN, Door.BASIC))]
BasicUser = Annotated[Actor, Depends(Require(Role.USER, Door.BASIC))]
TokenUser = Annotated[Actor, Depends(Require(Role.USER, Door.TOKEN))]
CreaturesUser = Annotated[Actor, Depends(Require(Role.USER, Door.CREATURES))]


def address_of(request: Request) -> str:
    """Where a request comes from, for limits."""
    return request.client.host if request.client else ""


def _unauthorized(door: Door) -> Unauthorized:
    match door:
        case Door.BASIC:
            words = Said("This needs a name and a password.", "access.needs_password")
            hint = "Send those of an account as HTTP Basic; the access token is a password too."
            return Unauthorized(words, hint=hint, scheme='Basic realm="Atelier"')
        case Door.TOKEN:
            words = Said("This needs a valid token.", "access.needs_sign_in")
            return Unauthorized(words, hint="Get one from POST /token, and send it as `Authorization: Bearer …`.")
        case Door.OPENAI | Door.CREATURES:
            words = Said("This needs a valid API key.", "access.needs_key")
            return Unauthorized(words, hint="Send it as `Authorization: Bearer …`.")
        case _:
            return Unauthorized(
                "This Atelier asks for its access token.",
                hint="Send it as `Authorization: Bearer …`, or unlock the dashboard with the padlock.",
            )


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
    """Raise for the first route whose endpoint does not say, in its own signature, who may call it.

    Looks at the annotations alone, which `from __future__ import annotations` leaves as words: to build every route
    takes longer than all else that a start does. The tests hold that both ways find the same.
    """
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute) or len(_declarations(route.endpoint)) != 1:
                raise RuntimeError(f"route {getattr(route, 'path', route)!r} does not declare who may call it")


def _declarations(endpoint: Callable[..., object]) -> list[Require]:
    found: list[Require] = []
    names = getattr(endpoint, "__globals__", {})
    for annotation in getattr(endpoint, "__annotations__", {}).values():
        kind = names.get(annotation) if isinstance(annotation, str) else annotation
        depends = [one for one in getattr(kind, "__metadata__", ()) if isinstance(one, DependsParam)]
        found += [one.dependency for one in depends if isinstance(one.dependency, Require)]
    return found
