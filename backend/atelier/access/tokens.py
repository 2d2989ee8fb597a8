"""Tokens of people who signed in: JWTs, signed with a secret of this data folder.

    DATA_DIR/secrets/sign-in.key      64 random bytes, made when the first token is handed out; 0600

A token says who (`sub`), since when (`iat`), until when (`exp`) and with which password (`ver`): another password makes
it worthless. Nothing about it is stored.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
from pathlib import Path
from typing import Any

from atelier.clock import now
from atelier.storage import write_secret

VALID_SECONDS = 12 * 3600
ALGORITHM = "HS256"
MAX_LENGTH = 2048


class Tokens:
    """Hands tokens out and reads them. `folder` is where the server's secrets lie."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sign-in.key"
        self._secret = b""
        self._making = asyncio.Lock()
        self._jwt: Any = None

    async def issue(self, user_id: str, version: str, seconds: int = VALID_SECONDS) -> str:
        async with self._making:
            if not await self._ready():
                self._secret = secrets.token_bytes(64)
                await asyncio.to_thread(write_secret, self._path, self._secret)
        issued = int(now().timestamp())
        claims = {"sub": user_id, "iat": issued, "exp": issued + seconds, "ver": version}
        return self._jwt.encode(claims, self._secret, ALGORITHM)

    async def read(self, token: str) -> tuple[str, str] | None:
        """Whose it is and of which version; None for what was not handed out here, and for what has expired."""
        if len(token) > MAX_LENGTH or token.count(".") != 2 or not await self._ready():
            return None
        try:
            claims = self._jwt.decode(
                token, self._secret, algorithms=[ALGORITHM], options={"require": ["sub", "iat", "exp", "ver"]}
            )
        except (self._jwt.InvalidTokenError, ValueError):
            return None
        return str(claims["sub"]), str(claims["ver"])

    async def _ready(self) -> bool:
        """The library and the secret, if there is one: read when they are first needed."""
        if self._jwt is None:
            self._jwt = await asyncio.to_thread(importlib.import_module, "jwt")
        if not self._secret:
            self._secret = await asyncio.to_thread(self._read_secret)
        return bool(self._secret)

    def _read_secret(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
