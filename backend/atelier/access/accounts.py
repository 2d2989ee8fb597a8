"""Accounts: who may sign in with a name and a password. Rows of `users`, all of them in memory as well.

    add ──> can sign in ──set_password──> every token of theirs is worthless ──remove──> nobody can sign in as them

What somebody made outlives their account: the row stays, without its password. Only the running server writes here, or
`atelier user` while none runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from atelier.access import store
from atelier.access.actor import Actor, Role
from atelier.clock import new_id, now
from atelier.db import Database
from atelier.errors import BadRequest, Conflict, NotFound
from atelier.said import Said
from atelier.tables import UserRow

MIN_PASSWORD, MAX_PASSWORD = 8, 1024
MAX_NAME = 64
VERIFIED = 256


class AccountNotFound(NotFound):
    code = "account_not_found"


@dataclass(frozen=True)
class Account:
    """A row of `users`. `password_hash` None: nobody can sign in as them."""

    id: str
    name: str
    role: Role
    password_hash: str | None
    created_at: datetime

    @property
    def actor(self) -> Actor:
        return Actor(self.id, self.name, self.role)

    @property
    def version(self) -> str:
        """Changes with the password; stands in every token."""
        return hashlib.sha256((self.password_hash or "").encode()).hexdigest()[:16]


class Accounts:
    """The one writer of accounts. Passwords are hashed with argon2, one at a time (each takes 64 MiB and 50 ms), in a
    thread. What was verified is remembered under a key of this process, so that a client that sends its password with
    every request pays once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_id: dict[str, Account] = {}
        self._verified: OrderedDict[bytes, tuple[str, str]] = OrderedDict()
        self._process_key = secrets.token_bytes(32)
        self._hashing, self._hasher = asyncio.Lock(), None
        self._decoy = ""

    async def start(self) -> None:
        async with self._database.read() as session:
            rows = await store.everybody(session)
        self._by_id = {row.id: _account(row) for row in rows}

    async def ensure(self, actors: Iterable[Actor]) -> None:
        """Rows for those who act through a key of the settings, so that they can own things."""
        rows = [UserRow(id=one.id, name=one.name, role=one.role.value, created_at=now()) for one in actors]
        missing = [row for row in rows if row.id not in self._by_id]
        if missing:
            async with self._database.write() as session:
                await store.add_missing(session, missing)
            await self.start()

    # ── who ──

    def all(self) -> list[Account]:
        """Those who can sign in."""
        return [account for account in self._by_id.values() if account.password_hash]

    def row(self, user_id: str) -> Account | None:
        """Also of somebody who cannot sign in."""
        return self._by_id.get(user_id)

    def find(self, user_id: str) -> Account | None:
        account = self._by_id.get(user_id)
        return account if account and account.password_hash else None

    def named(self, name: str) -> Account | None:
        wanted = _same(name)
        return next((account for account in self.all() if _same(account.name) == wanted), None)

    # ── changing ──

    async def add(self, name: str, password: str, role: Role) -> Account:
        """A new account. Raises BadRequest for a name or password that cannot be, Conflict for a name that is taken."""
        name = _checked_name(name)
        self._check_free(name)
        password_hash = await self._hash(_checked_password(password))
        self._check_free(name)
        row = UserRow(id=new_id("user"), name=name, role=role.value, password_hash=password_hash, created_at=now())
        account = self._by_id[row.id] = _account(row)
        try:
            async with self._database.write() as session:
                session.add(row)
        except BaseException:
            del self._by_id[account.id]
            raise
        return account

    async def set_password(self, name: str, password: str) -> Account:
        self._require(name)
        password_hash = await self._hash(_checked_password(password))
        return await self._write(self._require(name), password_hash)

    async def remove(self, name: str) -> Account:
        return await self._write(self._require(name), None)

    async def _write(self, account: Account, password_hash: str | None) -> Account:
        async with self._database.write() as session:
            await store.set_password(session, account.id, password_hash)
        changed = Account(account.id, account.name, account.role, password_hash, account.created_at)
        self._by_id[account.id] = changed
        return changed

    def _check_free(self, name: str) -> None:
        if self.named(name):
            words = Said(f"There is an account {name!r} already.", "account.name_taken", name=name)
            raise Conflict(words, field="name", hint="Take another name.")

    def _require(self, name: str) -> Account:
        if (account := self.named(name)) is None:
            words = Said(f"There is no account {name!r}.", "account_not_found", name=name)
            raise AccountNotFound(words, field="name", hint="GET /api/users lists those there are.")
        return account

    # ── checking ──

    def remembered(self, name: str, password: str) -> Account | None:
        """The account, when this very pair was verified before and the password is still the same."""
        known = self._verified.get(self._mark(name, password))
        account = known and self.find(known[0])
        return account if account and known and account.version == known[1] else None

    async def check(self, name: str, password: str) -> Account | None:
        """The account whose name and password these are. An unknown name takes as long as a wrong password."""
        async with self._hashing:
            if account := self.remembered(name, password):
                return account
            account = self.named(name)
            expected = account.password_hash if account else self._decoy
            right = await asyncio.to_thread(self._verify, password[:MAX_PASSWORD], expected or "")
            if not right or account is None or self.find(account.id) != account:
                return None
            self._verified[self._mark(name, password)] = (account.id, account.version)
            if len(self._verified) > VERIFIED:
                self._verified.popitem(last=False)
            return account

    def _mark(self, name: str, password: str) -> bytes:
        pair = f"{_same(name)}\0{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._process_key, pair, "sha256")

    async def _hash(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(lambda: self._argon2().hash(password))

    def _verify(self, password: str, expected: str) -> bool:
        from pwdlib.exceptions import UnknownHashError

        if not expected:
            expected = self._decoy = self._argon2().hash(secrets.token_hex(16))
            self._argon2().verify(password, expected)
            return False
        try:
            return self._argon2().verify(password, expected)
        except (UnknownHashError, UnicodeEncodeError):
            return False

    def _argon2(self) -> Any:
        if self._hasher is None:
            from pwdlib import PasswordHash

            self._hasher = PasswordHash.recommended()
        return self._hasher


def _account(row: UserRow) -> Account:
    return Account(row.id, row.name, Role(row.role), row.password_hash, row.created_at)


def _same(name: str) -> str:
    """Names that look alike are one name."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _checked_name(name: str) -> str:
    name = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(name) <= MAX_NAME or ":" in name or not name.isprintable():
        words = Said(
            f"A name has 1 to {MAX_NAME} characters that can be seen, and no colon.", "account.name_unfit", max=MAX_NAME
        )
        raise BadRequest(words, field="name", hint="Take another name.")
    return name


def _checked_password(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        words = Said(
            f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.",
            "account.password_unfit",
            min=MIN_PASSWORD,
            max=MAX_PASSWORD,
        )
        raise BadRequest(words, field="password", hint="Take a longer one: several words are easy to keep.")
    return password
