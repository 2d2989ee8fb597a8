"""The hub's token: kept in a file of its own that only the server's user may read, and never shown again.

    DATA_DIR/secrets/huggingface.json     {"token", "name", "checked_at"}     folder 0700, file 0600

It leaves this module only as part of a task for the `hub_download` process.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from atelier.clock import now
from atelier.errors import AtelierError, BadRequest
from atelier.models.hub import HubClient
from atelier.models.hub_schemas import RemarkOut, TokenOut
from atelier.said import Said
from atelier.storage import write_secret

REFUSED = "token_refused"


class TokenStore:
    """`given` is the setting HUGGINGFACE_TOKEN: it counts as long as none is stored."""

    def __init__(self, folder: Path, given: str) -> None:
        self._path, self._given = folder / "huggingface.json", given

    def token(self) -> str:
        """The token, or "". Blocking."""
        return str(self.read().get("token") or self._given)

    def read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, content: dict[str, Any]) -> None:
        write_secret(self._path, json.dumps(content).encode())

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def present(self, remark: RemarkOut | None = None) -> TokenOut:
        stored = self.read()
        source = "stored" if stored.get("token") else "environment" if self._given else None
        checked = stored.get("checked_at")
        return TokenOut(
            is_set=source is not None,
            source=source,
            name=stored.get("name"),
            checked_at=datetime.fromisoformat(checked) if checked else None,
            remark=remark,
        )


class HubTokens:
    """Stores, checks and forgets the token for administrators."""

    def __init__(self, store: TokenStore, hub: HubClient) -> None:
        self._store, self._hub = store, hub

    async def get(self) -> TokenOut:
        return await asyncio.to_thread(self._store.present)

    async def set(self, token: str) -> TokenOut:
        """Keep a token. One that the hub refuses is not kept (BadRequest); where the hub cannot be asked it is kept
        unchecked, and the answer says so."""
        try:
            who = await self._hub.whose(token)
        except AtelierError as error:
            if error.code == REFUSED:
                words = Said("The hub does not accept this token.", "hub.token_wrong")
                raise BadRequest(words, field="token", hint="Copy it again, or make a new one there.") from error
            await asyncio.to_thread(self._store.write, {"token": token})
            return await asyncio.to_thread(self._store.present, RemarkOut.of(error.message))
        content = {"token": token, "name": who.get("name"), "checked_at": now().isoformat()}
        await asyncio.to_thread(self._store.write, content)
        return await asyncio.to_thread(self._store.present)

    async def forget(self) -> TokenOut:
        await asyncio.to_thread(self._store.remove)
        return await asyncio.to_thread(self._store.present)
