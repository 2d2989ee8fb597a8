"""Unlocking the dashboard: a token becomes an HttpOnly cookie, so that no script ever holds it. Accounts, and their
tokens for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Form, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from atelier.access.accounts import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD, Account
from atelier.access.actor import SESSION_COOKIE, Admin, Anyone, Role, address_of
from atelier.access.tokens import VALID_SECONDS
from atelier.deps import ServicesDep
from atelier.errors import Unauthorized
from atelier.routing import Router
from atelier.said import Said

UserName = Annotated[str, Path(description="Name of an account, from `GET /api/users`.")]

router = Router(tags=["access"])

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, description="What they sign in as.")]
Password = Annotated[str, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]


class SessionIn(BaseModel):
    token: Annotated[
        str, Field(min_length=1, max_length=1024, description="The access token; with a name, that account's password.")
    ]
    username: Annotated[str, Field(max_length=MAX_NAME, description="Name of an account, or nothing.")] = ""


class MeOut(BaseModel):
    id: str | None
    name: str | None
    role: Literal["admin", "user"] | None
    open: bool = Field(
        description="True when no credential is configured: everyone on this machine is the administrator."
    )


class TokenGrantOut(BaseModel):
    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - no secret
    expires_in: int = Field(description="Seconds.")


class UserIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    password: Password
    role: Literal["admin", "user"] = "user"


class PasswordIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: Password


class UserOut(BaseModel):
    """Someone who can sign in."""

    id: str
    name: str
    role: Literal["admin", "user"]
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> UserOut:
        return cls(id=account.id, name=account.name, role=account.role.value, created_at=account.created_at)


class UserList(BaseModel):
    items: list[UserOut]


@router.get("/api/access/me", summary="Who am I?")
async def me(actor: Anyone, services: ServicesDep) -> MeOut:
    if actor is None:
        return MeOut(id=None, name=None, role=None, open=False)
    return MeOut(id=actor.id, name=actor.name, role=actor.role.value, open=services.gate.is_open)


@router.post("/api/access/session", status_code=204, summary="Unlock the dashboard in this browser")
async def unlock(_caller: Anyone, body: SessionIn, services: ServicesDep, request: Request, response: Response) -> None:
    gate, name = services.gate, body.username.strip()
    if name or not gate.accepts(body.token):
        account = await gate.sign_in(name, body.token, address_of(request))
        if account is None:
            words = Said("That token is not this Atelier's.", "access.wrong_token")
            raise Unauthorized(words, field="token", hint="It is the value of ATELIER_TOKEN.")
        session, seconds = await gate.token_for(account), VALID_SECONDS
    else:
        services.sign_in_limit.pass_or_raise(address_of(request))
        session, seconds = gate.session, 30 * 86400
    secure = request.url.scheme == "https"
    response.set_cookie(
        SESSION_COOKIE, session, max_age=seconds, httponly=True, samesite="strict", secure=secure, path="/"
    )


@router.delete("/api/access/session", status_code=204, summary="Lock the dashboard in this browser")
async def lock(_caller: Anyone, response: Response) -> None:
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.post("/token", summary="Sign in with a name and a password")
async def sign_in(
    _caller: Anyone,
    services: ServicesDep,
    request: Request,
    username: Annotated[str, Form(max_length=MAX_NAME)],
    password: Annotated[str, Form(max_length=MAX_PASSWORD)],
) -> TokenGrantOut:
    """A token for 12 hours, or until the password changes. The access token signs in the local administrator, under
    any name."""
    account = await services.gate.sign_in(username, password, address_of(request))
    if account is None:
        words = Said("Name or password is wrong.", "access.wrong_password")
        raise Unauthorized(words, field="password", hint="An administrator makes accounts: `atelier user add NAME`.")
    return TokenGrantOut(access_token=await services.gate.token_for(account), expires_in=VALID_SECONDS)


@router.get("/api/users", summary="Who can sign in")
async def list_users(_actor: Admin, services: ServicesDep) -> UserList:
    return UserList(items=[UserOut.of(account) for account in services.accounts.all()])


@router.post("/api/users", status_code=201, summary="Make an account")
async def add_user(_actor: Admin, body: UserIn, services: ServicesDep) -> UserOut:
    return UserOut.of(await services.accounts.add(body.name, body.password, Role(body.role)))


@router.put("/api/users/{name}/password", summary="Give an account another password")
async def set_user_password(name: UserName, _actor: Admin, body: PasswordIn, services: ServicesDep) -> UserOut:
    """Ends every session and token of that account."""
    return UserOut.of(await services.accounts.set_password(name, body.password))


@router.delete("/api/users/{name}", summary="Remove an account")
async def remove_user(name: UserName, _actor: Admin, services: ServicesDep) -> UserOut:
    """Nobody can sign in as them any more. What they made stays; administrators see it."""
    return UserOut.of(await services.accounts.remove(name))
