"""Uploaded pictures that requests start from: taken in, opened for an engine, let go.

an upload ──streamed, capped──> inputs/<id>.part ──decoded in a limited child──> <id>.new.png ──> <id>.png and its row

What is kept is never what was sent: it is a PNG that we wrote ourselves. A crash at any point leaves files without a
row, which the sweep removes. An input that nothing names goes a day after it was last used.
"""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from engines import protocol
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.clock import new_id, now
from atelier.db import Database
from atelier.errors import AtelierError, BadRequest, Conflict, ImageNotFound, InputNotFound, InputRefused, NotFound
from atelier.images import input_rows, store
from atelier.images.reader import PictureReader
from atelier.images.schemas import InputOut
from atelier.images.written_pictures import decoded, is_address
from atelier.jobs.queue import JobQueue
from atelier.remote import RemoteImages, RemoteRefused
from atelier.said import Said
from atelier.storage import Storage, drop, is_older, place
from atelier.tables import InputRow, JobKind

log = structlog.get_logger("atelier.inputs")

MIB = 1024 * 1024
MAX_INPUT_BYTES = 25 * MIB
MAX_UPLOAD_BYTES = MAX_INPUT_BYTES + 256 * 1024
"""Of a request that carries one file, the form around it included."""
MAX_JSON_BYTES = 32 * MIB
"""Of a JSON request that may hold pictures as data URLs: for a route's `max_body_size`."""

KEPT = timedelta(days=1)
SWEEP_SECONDS = 600
PART_SECONDS = 3600
_COMPLETE = re.compile(r"inp_[0-9a-f]{20}\.png")


class InputStore:
    """Every call takes the actor: an input is its owner's alone (and the administrators')."""

    def __init__(
        self, database: Database, storage: Storage, queue: JobQueue, reader: PictureReader, remote: RemoteImages
    ) -> None:
        self._database, self._storage, self._queue, self.reader = database, storage, queue, reader
        self._remote = remote
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        # What an earlier server was taking in.
        files = await asyncio.to_thread(self._storage.stored_inputs)
        await asyncio.to_thread(drop, *(file for file in files if not _COMPLETE.fullmatch(file.name)))
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="inputs.sweep")

    async def close(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    # ── taking in ──

    async def add(
        self, actor: Actor, data: bytes, *, mask: bool = False, alpha: bool = False, field: str = "file"
    ) -> InputOut:
        """Take in a picture that is in memory. `mask`: as grey values, black where it is transparent. `alpha`: as the
        mask of its transparency, white where it is transparent. Raises InputRefused, which names the `field`."""
        return await self.take(actor, once(data), mask=mask, alpha=alpha, field=field)

    async def add_text(
        self, actor: Actor, text: str, *, field: str = "image", mask: bool = False, alpha: bool = False
    ) -> InputOut:
        """Take in a picture that is written down (see `bytes_of`). Raises RemoteRefused, BadRequest and InputRefused,
        which name the request's `field`."""
        return await self.add(actor, await self.bytes_of(text, field), mask=mask, alpha=alpha, field=field)

    async def bytes_of(self, text: str, field: str) -> bytes:
        """The picture that a text is: base64, a `data:` URL, or an address, where those are switched on. Raises
        RemoteRefused and BadRequest, which name the request's `field`."""
        if not is_address(text):
            return decoded(text, field)
        try:
            return await self._remote.fetch(text, MAX_INPUT_BYTES)
        except RemoteRefused as error:
            error.blame(field)
            raise

    async def take(
        self,
        actor: Actor,
        chunks: AsyncIterator[bytes],
        *,
        mask: bool = False,
        alpha: bool = False,
        field: str = "file",
    ) -> InputOut:
        """Take in a picture that arrives in pieces; no more of it than a cap is ever kept. Raises InputRefused."""
        input_id = new_id("inp")
        part, fresh = self._storage.input_file(input_id, "part"), self._storage.input_file(input_id, "new.png")
        try:
            await _spool(chunks, part)
            written = await self.reader.read(part, fresh, mode="A" if alpha else "L" if mask else "RGB")
            return await self._keep(actor, input_id, fresh, written)
        except InputRefused as error:
            error.blame(field)
            raise
        except OSError as error:
            raise _refused(error) from error
        finally:
            await asyncio.to_thread(drop, part, fresh)

    async def rewritten(self, data: bytes, **how: Any) -> bytes:
        """A picture that is in memory, written anew (`how`: fields of `protocol.ReadPicture`). Nothing of it is kept.
        Raises InputRefused."""
        name = new_id("inp")
        part, fresh = self._storage.input_file(name, "part"), self._storage.input_file(name, "new.png")
        try:
            await asyncio.to_thread(part.write_bytes, data)
            await self.reader.read(part, fresh, **how)
            return await asyncio.to_thread(fresh.read_bytes)
        except OSError as error:
            raise _refused(error) from error
        finally:
            await asyncio.to_thread(drop, part, fresh)

    async def made_anew(self, data: bytes, make: Callable[[Path, Path], Awaitable[None]]) -> bytes:
        """What `make` makes of a picture that is in memory: from one file to another, both PNGs. Nothing
        of it is kept. Raises InputRefused, and what `make` raises."""
        name = new_id("inp")
        part, fresh, made = (self._storage.input_file(name, kind) for kind in ("part", "new.png", "made.png"))
        try:
            await asyncio.to_thread(part.write_bytes, data)
            await self.reader.read(part, fresh)
            await make(fresh, made)
            return await asyncio.to_thread(made.read_bytes)
        except OSError as error:
            raise _refused(error) from error
        finally:
            await asyncio.to_thread(drop, part, fresh, made)

    async def size_of(self, data: bytes) -> tuple[int, int]:
        """Width and height of a picture that is in memory. Raises InputRefused."""
        part = self._storage.input_file(new_id("inp"), "part")
        try:
            await asyncio.to_thread(part.write_bytes, data)
            seen = await self.reader.read(part)
            return seen["width"], seen["height"]
        except OSError as error:
            raise _refused(error) from error
        finally:
            await asyncio.to_thread(drop, part)

    async def read_metadata(self, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
        """What a file says of itself (`protocol.ReadMetadata`). Nothing of it is kept. Raises InputRefused."""
        part = self._storage.input_file(new_id("inp"), "part")
        try:
            await _spool(chunks, part)
            return await self.reader.metadata(part)
        except InputRefused as error:
            error.blame("file")
            raise
        except OSError as error:
            raise _refused(error) from error
        finally:
            await asyncio.to_thread(drop, part)

    async def _keep(self, actor: Actor, input_id: str, fresh: Path, written: dict[str, Any]) -> InputOut:
        """Give a decoded file its place and its row; or answer the owner's same picture from before."""
        # Before the row: one never names a file that is not there.
        await asyncio.to_thread(place, fresh, self._storage.input_file(input_id))
        async with self._database.write() as session:
            row = await input_rows.same(session, actor, written["sha256"])
            if row is None:
                sizes = {name: written[name] for name in ("sha256", "width", "height", "bytes")}
                row = InputRow(id=input_id, owner_id=actor.id, created_at=now(), used_at=now(), **sizes)
                session.add(row)
            row.used_at = now()
        if row.id != input_id:
            # A row whose file was lost gets it back this way.
            await asyncio.to_thread(place, self._storage.input_file(input_id), self._storage.input_file(row.id))
        return InputOut.of(row)

    # ── looking and opening ──

    async def get(self, actor: Actor, input_id: str) -> InputOut:
        """Raises InputNotFound, also for somebody else's."""
        async with self._database.read() as session:
            return InputOut.of(await _find(session, actor, input_id))

    async def file(self, actor: Actor, input_id: str) -> Path:
        return self._storage.input_file((await self.get(actor, input_id)).id)

    async def use(self, actor: Actor, ref: str, field: str = "image") -> Source:
        """A picture that a request is to start from; for a day from now it stays, whatever happens. Raises
        ImageNotFound and InputNotFound, which name the request's `field`, and BadRequest for a video."""
        try:
            if ref.startswith("img_"):
                return await self._image(actor, ref, field)
            async with self._database.write() as session:
                row = await _find(session, actor, ref)
                row.used_at = now()
                return Source(ref, row.width, row.height, self._storage.input_file(ref))
        except NotFound as error:
            error.blame(field)
            raise

    async def _image(self, actor: Actor, ref: str, field: str) -> Source:
        async with self._database.read() as session:
            row = await store.find(session, actor, ref)
        if row is None:
            raise ImageNotFound(f"There is no picture {ref!r} in the gallery.", hint="It may have been deleted.")
        if row.kind == "video":
            words = Said("This is a video; a picture is needed.", "input.is_video")
            raise BadRequest(words, field=field, hint="Choose a picture of the gallery, or upload one.")
        path = self._storage.image_file(row.job_id, f"{row.index}.{row.format}")
        return Source(ref, row.width, row.height, path, row.prompt)

    async def open(self, actor: Actor, ref: str, *, folder: Path | None = None, **how: Any) -> protocol.InputImage:
        """A PNG that an engine can read. What is no PNG, and what is wanted differently (`how`: fields of
        `protocol.ReadPicture`), is written anew into `folder`, a job's own. Raises ImageNotFound, InputNotFound."""
        async with self._database.read() as session:
            if ref.startswith("img_"):
                # What was accepted is made, even if somebody put the picture into the trash meanwhile.
                image = await store.find(session, actor, ref) or await store.find(session, actor, ref, deleted=True)
                if image is None:
                    raise _gone()
                path, digest = self._storage.image_file(image.job_id, f"{image.index}.{image.format}"), image.sha256
            else:
                row = await _find(session, actor, ref)
                path, digest = self._storage.input_file(ref), row.sha256
        if not await asyncio.to_thread(path.is_file):
            raise _gone()
        if folder is not None and (how or path.suffix != ".png"):
            fresh = folder / f"{how.get('mode', 'RGB')}-{ref}.png"
            written = await self.reader.read(path, fresh, **how)
            path, digest = fresh, written["sha256"]
        return protocol.InputImage(path=str(path), key=ref, sha256=digest)

    async def delete(self, actor: Actor, input_id: str) -> None:
        """Raises InputNotFound, Conflict while a job needs it."""
        async with self._database.write() as session:
            row = await _find(session, actor, input_id)
            if input_id in await self._named_by_jobs():
                words = Said("A job that has not ended starts from this picture.", "input.needed")
                raise Conflict(words, hint="Wait for it, or cancel it first.")
            await session.delete(row)
        await asyncio.to_thread(drop, self._storage.input_file(input_id))

    # ── letting go ──

    async def sweep(self) -> None:
        """Drop what was not used for a day and is named by no picture and no unfinished job, then files without a
        row. What is still named is not looked at again for a day."""
        before = now() - KEPT
        async with self._database.write() as session:
            rows = await input_rows.unused_since(session, before)
            needed = await self._named_by_jobs() | await input_rows.named(session, [row.id for row in rows])
            for row in rows:
                if row.id in needed:
                    row.used_at = now()
                else:
                    await session.delete(row)
        await asyncio.to_thread(drop, *(self._storage.input_file(row.id) for row in rows if row.id not in needed))
        await self._drop_rowless()

    async def _drop_rowless(self) -> None:
        old = time.time() - PART_SECONDS
        files = await asyncio.to_thread(lambda: [one for one in self._storage.stored_inputs() if is_older(one, old)])
        async with self._database.read() as session:
            known = await input_rows.known(session, [file.name.partition(".")[0] for file in files])
        strays = [file for file in files if file.name.removesuffix(".png") not in known]
        await asyncio.to_thread(drop, *strays)
        if strays:
            log.info("inputs.swept", files=len(strays))

    async def _named_by_jobs(self) -> set[str]:
        kinds = (JobKind.IMAGE_GENERATE, JobKind.IMAGE_GRID, JobKind.IMAGE_VERIFY)
        jobs = [job for kind in kinds for job in await self._queue.active(kind)]
        return {job.request["resolved"].get(name) for job in jobs for name in ("image", "mask")}

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # loop edge: an unreadable file must not end the sweeping
                log.exception("inputs.sweep_failed")
            await asyncio.sleep(SWEEP_SECONDS)


@dataclass(frozen=True)
class Source:
    """A picture that a request starts from: its size in pixels, its file, and of one of the gallery its prompt."""

    ref: str
    width: int
    height: int
    path: Path
    prompt: str = ""

    @property
    def parent_id(self) -> str | None:
        return self.ref if self.ref.startswith("img_") else None


async def once(data: bytes) -> AsyncIterator[bytes]:
    """A picture in memory, as `InputStore.take` wants it."""
    yield data


# ── files and rows ──


async def _find(session: AsyncSession, actor: Actor, input_id: str) -> InputRow:
    row = await input_rows.find(session, actor, input_id)
    if row is None:
        raise InputNotFound(
            f"There is no uploaded picture {input_id[:80]!r}.",
            hint="It may have been removed: one that is not used goes after a day. Upload it again.",
        )
    return row


def _gone() -> NotFound:
    words = Said("The picture that this starts from is gone.", "input.gone")
    return NotFound(words, hint="Choose another, and ask again.")


async def _spool(chunks: AsyncIterator[bytes], part: Path) -> None:
    """Write what arrives to `part`, as far as the cap. Raises InputRefused beyond it, OSError."""
    size = 0
    file = await asyncio.to_thread(part.open, "xb")
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > MAX_INPUT_BYTES:
                most = MAX_INPUT_BYTES // MIB
                raise InputRefused(
                    Said(f"The file is larger than {most} MiB.", "input.too_large", mebibytes=most),
                    code="upload_too_large",
                    hint="Save it as a JPEG, or make it smaller.",
                )
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.flush)
    finally:
        await asyncio.to_thread(file.close)


def _refused(error: OSError) -> AtelierError | OSError:
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    words = Said("There is no room on the server's disk for the picture.", "engine.picture_no_room")
    return InputRefused(words, code="insufficient_storage", hint="Free some space, then try again.")
