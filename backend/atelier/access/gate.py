"""The gate: tells from a request's headers who is calling.

| credential                                     | opens            | acts as                          |
|------------------------------------------------|------------------|----------------------------------|
| `Bearer <ATELIER_TOKEN>`, the dashboard's cookie | every door       | the local administrator          |
| `Bearer <token of POST /token>`                | every door       | the account that signed in       |
| `Bearer <one of OPENAI_API_KEYS>`              | `/v1`            | a user of its own for each key   |
| `x-api-key: …`, any of the above               | `/v1`            | as `Bearer …`                    |
| `Bearer <POKEMON_BEARER_TOKEN>`                | `/v1/generate`   | a user of its own                |
| `Basic name:password`                          | `/sdapi`         | the account                      |
| `Basic anything:<ATELIER_TOKEN>`               | `/sdapi`         | the local administrator          |

On loopback, without ATELIER_TOKEN and ATELIER_SIGN_IN, whoever shows nothing (or something unknown: clients have to
send some key) is the local administrator, except where a door has a credential of its own: OPENAI_API_KEYS closes
`/v1`, POKEMON_BEARER_TOKEN closes `/v1/generate`, and `Door.TOKEN` is always closed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from atelier.access.accounts import Account, Accounts
from atelier.access.actor import LOCAL_ADMIN, LOCAL_USER_ID, SESSION_COOKIE, Actor, Door, Role
from atelier.access.limit import SignInLimit, TooManyAttempts
from atelier.access.tokens import Tokens
from atelier.config import AccessSettings


class Gate:
    """Every decision about a credential is made here."""

    def __init__(self, settings: AccessSettings, accounts: Accounts, tokens: Tokens, limit: SignInLimit) -> None:
        self._accounts, self._tokens, self._limit = accounts, tokens, limit
        self._digest = _digest(settings.token) if settings.token else None
        self.is_open = not settings.token and not settings.sign_in
        # What the cookie holds is derived, so that reading a browser's cookie store does not reveal the token.
        self.session = hashlib.sha256(b"session:" + settings.token.encode()).hexdigest() if settings.token else ""
        self._keys = {
            Door.OPENAI: [_holder(key, f"API key {at}") for at, key in enumerate(settings.api_keys, 1)],
            Door.CREATURES: [_holder(key, "Creature service") for key in [settings.creatures_token] if key],
        }

    def key_holders(self) -> Iterable[Actor]:
        return (actor for keys in self._keys.values() for _, actor in keys)

    def opens(self, door: Door) -> bool:
        """Whether this door is open to everyone who reaches the server."""
        return self.is_open and door is not Door.TOKEN and not self._keys.get(door)

    def accepts(self, token: str) -> bool:
        """Whether this is the access token; on an open Atelier anything is."""
        return self.is_open or self._is_token(token)

    async def identify(self, headers: Headers, door: Door = Door.OWN, address: str = "") -> Actor | None:
        """Who is calling, None for nobody we know. Raises TooManyAttempts on a closed door."""
        scheme, credential = _authorization(headers, door)
        actor: Actor | None = None
        try:
            if scheme == "bearer":
                actor = await self._bearer(credential, door)
            elif scheme == "basic" and door is Door.BASIC:
                actor = await self._basic(credential, address)
        except TooManyAttempts:
            if not self.opens(door):
                raise
        if actor is None and door is not Door.TOKEN:
            actor = await self._cookie(headers)
        if actor is None and self.opens(door):
            return LOCAL_ADMIN
        return actor

    # ── signing in ──

    async def sign_in(self, name: str, password: str, address: str) -> Account | None:
        """The account, or the local administrator for the access token. Counts failures; raises TooManyAttempts."""
        if account := self._accounts.remembered(name, password):
            return account
        self._limit.pass_or_raise(address)
        if self._is_token(password):
            return self._administrator()
        account = await self._accounts.check(name, password) if name else None
        if account is None:
            self._limit.count(address)
        return account

    async def token_for(self, account: Account) -> str:
        return await self._tokens.issue(account.id, account.version)

    # ── credentials ──

    async def _bearer(self, credential: str, door: Door) -> Actor | None:
        if self._is_token(credential):
            return LOCAL_ADMIN
        given = _digest(credential)
        for doors in (door, Door.OPENAI) if door is Door.CREATURES else (door,):
            for digest, actor in self._keys.get(doors, []):
                if hmac.compare_digest(given, digest):
                    return actor
        return await self._signed_in(credential)

    async def _signed_in(self, token: str) -> Actor | None:
        if (read := await self._tokens.read(token)) is None:
            return None
        user_id, version = read
        account = self._administrator() if user_id == LOCAL_USER_ID else self._accounts.find(user_id)
        return account.actor if account and account.version == version else None

    async def _basic(self, credential: str, address: str) -> Actor | None:
        try:
            name, _, password = base64.b64decode(credential, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not password or (self.opens(Door.BASIC) and self._accounts.named(name) is None):
            return None
        account = await self.sign_in(name, password, address)
        return account and account.actor

    async def _cookie(self, headers: Headers) -> Actor | None:
        given = _session_of(headers)
        if not given:
            return None
        if self.session and hmac.compare_digest(given.encode(), self.session.encode()):
            return LOCAL_ADMIN
        return await self._signed_in(given)

    def _is_token(self, given: str) -> bool:
        return self._digest is not None and hmac.compare_digest(_digest(given), self._digest)

    def _administrator(self) -> Account | None:
        """The local administrator as an account whose password is the access token."""
        row = self._accounts.row(LOCAL_USER_ID)
        if self._digest is None or row is None:
            return None
        return Account(row.id, LOCAL_ADMIN.name, Role.ADMIN, self._digest.hex(), row.created_at)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def holder_id(key: str) -> str:
    """The id of who acts through a key."""
    return _holder(key, "")[1].id


def _holder(key: str, name: str) -> tuple[bytes, Actor]:
    """Who acts through a key: named by its hash, so that the key may move in the list and keeps what it made."""
    digest = _digest(key)
    return digest, Actor(f"key_{digest.hex()[:20]}", name, Role.USER)


def _authorization(headers: Headers, door: Door) -> tuple[str, str]:
    scheme, _, credential = headers.get("authorization", "").strip().partition(" ")
    if not scheme and door is Door.OPENAI and (key := headers.get("x-api-key", "").strip()):
        return "bearer", key  # as Anthropic's clients send it
    return scheme.lower(), credential.strip()


def _session_of(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    morsel = cookie.get(SESSION_COOKIE)
    return morsel.value if morsel else ""
