"""The gallery: looking, deleting with a way back, and keeping files and rows in step.

in the gallery ──delete──> trash (restorable for TRASH_SECONDS) ──sweep──> gone, files too
      ^────────restore───────┘
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import structlog

from atelier.access.actor import Actor
from atelier.clock import now
from atelier.db import Database, after_commit
from atelier.errors import ImageNotFound
from atelier.events import Envelope, EventBus, ImagesRemoved, ImagesRestored
from atelier.images import search, store
from atelier.images.gallery_schemas import CountOut, FacetsOut, LineageOut, MarksOut, MarksPage, SizeCountOut
from atelier.images.schemas import GalleryPage, ImageDeletedOut
from atelier.images.search import Look
from atelier.jobs.service import JobService
from atelier.shapes import ImageOut
from atelier.storage import Storage
from atelier.tables import ImageLoraRow, ImageRow, ImageTagRow

log = structlog.get_logger("atelier.gallery")

TRASH_SECONDS = 3600
SWEEP_SECONDS = 600
SWEEP_JOBS = 100
MOST_ABOVE = 20
MOST_BELOW = 60


class Gallery:
    """Reads and deletions for users; a sweeper for what nobody needs any more."""

    def __init__(self, database: Database, storage: Storage, jobs: JobService, bus: EventBus) -> None:
        self._database, self._storage, self._jobs, self._bus = database, storage, jobs, bus
        self._sweeper: asyncio.Task[None] | None = None
        self._facets: dict[Actor, FacetsOut] = {}
        bus.listen(self._hear)

    async def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="gallery.sweep")

    async def close(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    async def page(self, actor: Actor, look: Look, *, cursor: str | None, limit: int) -> GalleryPage:
        async with self._database.read() as session:
            rows, following = await search.page(session, actor, look, cursor=cursor, limit=limit)
            # Of the whole gallery only: to count what a search finds would be to search all of it.
            total = await store.count(session, actor) if cursor is None and look.is_everything else None
        return GalleryPage(items=[ImageOut.of(row) for row in rows], next_cursor=following, total=total)

    async def marks(self, actor: Actor, look: Look, *, cursor: str | None, limit: int) -> MarksPage:
        async with self._database.read() as session:
            rows, following = await search.marks(session, actor, look, cursor=cursor, limit=limit)
        items = [
            MarksOut(
                id=row.id,
                favourite=row.favourite,
                rating=row.rating,
                tags=sorted(json.loads(row.tags_json)),
                collections=sorted(json.loads(row.collections_json)),
            )
            for row in rows
        ]
        return MarksPage(items=items, next_cursor=following)

    def _hear(self, event: Envelope) -> None:
        if event.body.startswith(b'{"type":"images.'):
            self._facets = {}

    async def facets(self, actor: Actor) -> FacetsOut:
        """Counted anew after every change to any picture."""
        known = self._facets
        if actor not in known:
            # Into the counts of before the reading: a change in the meantime has put others in their place.
            known[actor] = await self._count(actor)
        return known[actor]

    async def _count(self, actor: Actor) -> FacetsOut:
        async with self._database.read() as session:
            models = await search.counted(session, actor, ImageRow.model)
            sizes = await search.counted(session, actor, (ImageRow.width, ImageRow.height))
            loras = await search.counted_beside(session, actor, ImageLoraRow.lora, ImageLoraRow.image_seq)
            tags = await search.counted_beside(session, actor, ImageTagRow.tag, ImageTagRow.image_seq)
            videos = await search.has_any(session, actor, "kind = 'video'")
            favourites = await search.has_any(session, actor, "favourite = 1")
        return FacetsOut(
            models=[CountOut(name=name, count=count) for name, count in models],
            sizes=[SizeCountOut(width=width, height=height, count=count) for width, height, count in sizes],
            loras=_counts(loras),
            tags=_counts(tags),
            has_videos=videos,
            has_favourites=favourites,
        )

    async def lineage(self, actor: Actor, image_id: str) -> LineageOut:
        above: list[ImageOut] = []
        async with self._database.read() as session:
            row = await store.find(session, actor, image_id)
            if row is None:
                raise no_picture(image_id)
            below = await store.made_from(session, actor, image_id, MOST_BELOW)
            seen = {row.id}
            while row and row.parent_id and row.parent_id not in seen and len(above) < MOST_ABOVE:
                seen.add(row.parent_id)
                row = await store.find(session, actor, row.parent_id)
                above += [ImageOut.of(row)] if row else []
        return LineageOut(made_from=above, became=[ImageOut.of(child) for child in below])

    async def get(self, actor: Actor, image_id: str) -> ImageOut:
        async with self._database.read() as session:
            row = await store.find(session, actor, image_id)
        if row is None:
            raise no_picture(image_id)
        return ImageOut.of(row)

    async def file(self, actor: Actor, image_id: str, *, thumbnail: bool) -> tuple[Path, ImageOut]:
        """The picture's file on disk, or its thumbnail's (WebP, longer side 384 pixels at most)."""
        image = await self.get(actor, image_id)
        name = f"{image.index}.thumb.webp" if thumbnail else f"{image.index}.{image.format}"
        return self._storage.image_file(image.job_id, name), image

    async def delete(self, actor: Actor, image_id: str) -> ImageDeletedOut:
        async with self._database.write() as session:
            row = await store.find(session, actor, image_id)
            if row is None:
                raise no_picture(image_id)
            row.deleted_at = now()
            event = ImagesRemoved(ids=[row.id])
            after_commit(session, lambda: self._bus.publish(event, owner=row.owner_id))
        until = row.deleted_at + timedelta(seconds=TRASH_SECONDS)
        return ImageDeletedOut(id=row.id, deleted_at=row.deleted_at, restorable_until=until)

    async def restore(self, actor: Actor, image_id: str) -> ImageOut:
        async with self._database.write() as session:
            row = await store.find(session, actor, image_id, deleted=True)
            if row is None:
                raise no_picture(image_id)
            row.deleted_at = None
            image = ImageOut.of(row)
            after_commit(session, lambda: self._bus.publish(ImagesRestored(images=[image]), owner=row.owner_id))
        return image

    # ── keeping files and rows in step ──

    async def sweep(self) -> None:
        """Empty the trash that is past its time, then drop files that no row and no active job speaks for."""
        await self._empty_trash()
        staged = await asyncio.to_thread(self._storage.staged_jobs)
        published = await asyncio.to_thread(self._storage.image_jobs)
        job_ids = sorted({*staged, *published})
        for begin in range(0, len(job_ids), SWEEP_JOBS):
            await self._drop_rowless(job_ids[begin : begin + SWEEP_JOBS])

    async def _empty_trash(self) -> None:
        before = now() - timedelta(seconds=TRASH_SECONDS)
        async with self._database.write() as session:
            rows = await store.expired_trash(session, before)
            await store.drop(session, [row.id for row in rows])
        # A crash in between leaves files without a row: the next sweep finds them.
        await self.drop_files(rows)

    async def drop_files(self, rows: list[ImageRow]) -> None:
        """The files of pictures that have no row any more."""
        await asyncio.to_thread(self._drop_pictures, rows)

    def _drop_pictures(self, rows: list[ImageRow]) -> None:
        for row in rows:
            for name in (f"{row.index}.{row.format}", f"{row.index}.thumb.webp"):
                self._storage.image_file(row.job_id, name).unlink(missing_ok=True)

    async def _drop_rowless(self, job_ids: list[str]) -> None:
        # A job that ended may be tried again at any moment, but not while the writer is ours: it cannot be claimed.
        async with self._database.write() as session:
            over = sorted(await self._jobs.ended(session, job_ids))
            rows = await store.files_of(session, over)
            kept = {(job_id, f"{index}.{form}") for job_id, index, form in rows}
            kept |= {(job_id, f"{index}.thumb.webp") for job_id, index, _ in rows}
            dropped = await asyncio.to_thread(self._drop_files, over, kept)
        if dropped:
            log.info("gallery.swept", files=dropped)

    def _drop_files(self, job_ids: list[str], kept: set[tuple[str, str]]) -> int:
        for job_id in job_ids:
            self._storage.drop_staging(job_id)
        return self._storage.keep_only(job_ids, kept)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # loop edge: an unreadable file must not end the sweeping
                log.exception("gallery.sweep_failed")
            await asyncio.sleep(SWEEP_SECONDS)


def _counts(found: dict[str, int]) -> list[CountOut]:
    return [CountOut(name=name, count=count) for name, count in list(found.items())[: search.MOST_NAMES]]


def no_picture(image_id: str) -> ImageNotFound:
    return ImageNotFound(
        f"There is no picture {image_id[:80]!r} in the gallery.",
        hint="It may have been deleted. GET /api/gallery lists what there is.",
    )
