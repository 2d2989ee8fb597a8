"""Unlocking the dashboard: a token becomes an HttpOnly cookie, so that no script ever holds it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from atelier.access.actor import SESSION_COOKIE, Anyone
from atelier.deps import ServicesDep
from atelier.errors import Unauthorized
from atelier.said import Said

router = APIRouter(prefix="/api/access", tags=["access"])


class SessionIn(BaseModel):
    token: Annotated[str, Field(min_length=1, max_length=512, description="The access token of this Atelier.")]


class MeOut(BaseModel):
    id: str | None
    name: str | None
    role: Literal["admin", "user"] | None
    open: bool = Field(
        description="True when no credential is configured: everyone on this machine is the administrator."
    )


@router.get("/me", summary="Who am I?")
async def me(actor: Anyone, services: ServicesDep) -> MeOut:
    if actor is None:
        return MeOut(id=None, name=None, role=None, open=False)
    return MeOut(id=actor.id, name=actor.name, role=actor.role.value, open=services.gate.is_open)


@router.post("/session", status_code=204, summary="Unlock the dashboard in this browser")
async def unlock(_caller: Anyone, body: SessionIn, services: ServicesDep, response: Response) -> None:
    await services.sign_in_limit.pass_or_raise()
    if not services.gate.accepts(body.token):
        services.sign_in_limit.count()
        words = Said("That token is not this Atelier's.", "access.wrong_token")
        raise Unauthorized(words, field="token", hint="It is the value of ATELIER_TOKEN.")
    response.set_cookie(
        SESSION_COOKIE, services.gate.session, max_age=30 * 86400, httponly=True, samesite="strict", path="/"
    )


@router.delete("/session", status_code=204, summary="Lock the dashboard in this browser")
async def lock(_caller: Anyone, response: Response) -> None:
    response.delete_cookie(SESSION_COOKIE, path="/")
