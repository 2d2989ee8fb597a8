"""Files of `/v1/files`: taken in, listed, handed out, let go.

an upload ──streamed, hashed, capped──> files/<id>.part ──fsync, rename──> files/<id>, then its row

A crash at any point leaves a file without a row, which the sweep removes; a row never names a file that is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData, Headers, UploadFile

from atelier.access.actor import Actor
from atelier.clock import id_of_key, new_id, now
from atelier.db import Database
from atelier.errors import BadRequest, Conflict, FileNotFound
from atelier.jobs.queue import key_used
from atelier.openai import file_rows
from atelier.openai.file_schemas import FileObject, FileObjects, GivenFields
from atelier.openai.uploading import Sink, UploadParser, no_room, too_large
from atelier.said import Said
from atelier.storage import Storage, drop, is_older, place
from atelier.tables import FileRow

log = structlog.get_logger("atelier.files")

SWEEP_SECONDS = 600
STRAY_SECONDS = 24 * 3600
MARGIN_BYTES = 64 * 2**20
"""So much stays free on the disk: the database needs some."""

InUse = Callable[[AsyncSession, str], Awaitable[bool]]


class FileStore:
    """Every call takes the actor: a file is its owner's alone (and the administrators'). `in_use` says whether work
    that has not ended needs a file."""

    def __init__(self, database: Database, storage: Storage, limit: int, in_use: InUse) -> None:
        self._database, self._storage, self._limit, self._in_use = database, storage, limit, in_use
        self._keyed = asyncio.Lock()
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        # What an earlier server was taking in.
        files = await asyncio.to_thread(self._storage.given_files)
        await asyncio.to_thread(drop, *(file for file in files if file.suffix == ".part"))
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="files.sweep")

    async def close(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    # ── taking in ──

    async def take(
        self, actor: Actor, headers: Headers, stream: AsyncGenerator[bytes, None], key: str | None = None
    ) -> FileObject:
        """Take in the file of a form. The same idempotency key gives the same file. Raises FileRefused, BadRequest for
        the fields beside it, HTTPException for what is no form, Conflict when the key comes back with another file."""
        length = headers.get("content-length", "")
        if length.isdigit():
            await self._refuse_early(int(length))
        own = new_id("file")
        file_id = (id_of_key("file", actor.id, key) if key else own).replace("_", "-")
        part = self._storage.given_file(own, "part")
        sink = await asyncio.to_thread(Sink, part, self._limit)
        try:
            form = await UploadParser(headers, stream, sink).form()
            fields, filename = _fields(form)
            sha256 = await asyncio.to_thread(sink.finish)
            kept = fields.expires_seconds
            row = FileRow(
                id=file_id,
                owner_id=actor.id,
                filename=filename,
                purpose=fields.purpose,
                bytes=sink.size,
                sha256=sha256,
                created_at=now(),
                expires_at=None if kept is None else now() + timedelta(seconds=kept),
            )
            async with self._keyed if key else contextlib.nullcontext():
                if key and (known := await self._accepted(row)):
                    return FileObject.of(known)
                await asyncio.to_thread(place, part, self._storage.given_file(file_id))
                async with self._database.write() as session:
                    session.add(row)
            return FileObject.of(row)
        finally:
            await asyncio.to_thread(sink.close)
            await asyncio.to_thread(drop, part)

    async def _accepted(self, wanted: FileRow) -> FileRow | None:
        """The file that came under the same key before."""
        async with self._database.read() as session:
            row = await file_rows.by_id(session, wanted.id)
        if row and (row.sha256, row.filename, row.purpose) != (wanted.sha256, wanted.filename, wanted.purpose):
            raise key_used()
        return row

    async def _refuse_early(self, length: int) -> None:
        if length > self._limit + 2**20:
            raise too_large(self._limit)
        if length + MARGIN_BYTES > await asyncio.to_thread(self._storage.free_bytes):
            raise no_room(OSError(28, ""))

    # ── looking ──

    async def get(self, actor: Actor, file_id: str) -> FileObject:
        """Raises FileNotFound, also for somebody else's."""
        async with self._database.read() as session:
            return FileObject.of(await self._find(session, actor, file_id))

    async def path(self, actor: Actor, file_id: str) -> tuple[Path, FileObject]:
        """Where a file's bytes lie. Raises FileNotFound."""
        found = await self.get(actor, file_id)
        path = self._storage.given_file(found.id)
        if not await asyncio.to_thread(path.is_file):
            raise FileNotFound(
                f"The bytes of {file_id!r} are gone.", hint="Delete the file, or restore the data folder."
            )
        return path, found

    async def page(
        self, actor: Actor, *, after: str | None, purpose: str | None, order: Literal["asc", "desc"], limit: int
    ) -> FileObjects:
        async with self._database.read() as session:
            begun = (await self._find(session, actor, after, "after")).seq if after else None
            rows = await file_rows.page(
                session, actor, now(), after=begun, purpose=purpose, newest_first=order == "desc", limit=limit
            )
        data = [FileObject.of(row) for row in rows[:limit]]
        ends = (data[0].id, data[-1].id) if data else (None, None)
        return FileObjects(data=data, first_id=ends[0], last_id=ends[1], has_more=len(rows) > limit)

    async def delete(self, actor: Actor, file_id: str) -> None:
        """Raises FileNotFound, Conflict while work that has not ended needs it."""
        async with self._database.write() as session:
            row = await self._find(session, actor, file_id)
            if await self._in_use(session, file_id):
                words = Said("A batch that has not ended needs this file.", "file.needed")
                raise Conflict(words, hint="Wait for it, or cancel it first.")
            await session.delete(row)
        await asyncio.to_thread(drop, self._storage.given_file(file_id))

    # ── letting go ──

    async def sweep(self) -> None:
        """Drop what has expired and is needed by nothing, then files without a row."""
        gone = []
        async with self._database.write() as session:
            for row in await file_rows.expired(session, now()):
                if not await self._in_use(session, row.id):
                    await session.delete(row)
                    gone.append(self._storage.given_file(row.id))
        old = time.time() - STRAY_SECONDS
        files = await asyncio.to_thread(lambda: [one for one in self._storage.given_files() if is_older(one, old)])
        async with self._database.read() as session:
            known = await file_rows.known(session, [file.name for file in files])
        strays = [file for file in files if file.name not in known]
        await asyncio.to_thread(drop, *gone, *strays)
        if gone or strays:
            log.info("files.swept", expired=len(gone), strays=len(strays))

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # loop edge: an unreadable file must not end the sweeping
                log.exception("files.sweep_failed")
            await asyncio.sleep(SWEEP_SECONDS)

    async def _find(self, session: AsyncSession, actor: Actor, file_id: str, field: str | None = None) -> FileRow:
        row = await file_rows.find(session, actor, file_id, now())
        if row is None:
            error = FileNotFound(f"There is no file {file_id[:80]!r}.", hint="GET /v1/files lists what there is.")
            if field:
                error.blame(field)
            raise error
        return row


def _fields(form: FormData) -> tuple[GivenFields, str]:
    """What stands beside the file, and its name for people. Raises BadRequest."""
    file = form.get("file")
    if not isinstance(file, UploadFile):
        words = Said("The form has no file named `file`.", "input.file_missing")
        raise BadRequest(words, field="file", hint="Send it as the form's field `file`.")
    given: Mapping[str, Any] = {
        "purpose": form.get("purpose"),
        "expires_seconds": form.get("expires_after[seconds]"),
    }
    try:
        fields = GivenFields.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors()[0]
        name = {"expires_seconds": "expires_after[seconds]"}.get(str(wrong["loc"][0]), str(wrong["loc"][0]))
        words = Said(f"{name}: {wrong['msg']}", "file.field_wrong", name=name)
        raise BadRequest(words, field=name, hint="See /docs for what it may be.") from error
    return fields, _shown(file.filename or "")


def _shown(name: str) -> str:
    """A client's file name, for people only: no path, no control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable())[:255] or "file"
