"""The job list as its users see it: rows, plus what only the runner's memory knows (progress, why a job waits)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.clock import now
from atelier.db import Database
from atelier.errors import BadRequest, JobNotFound
from atelier.events import EventBus, JobChanged, JobRemoved
from atelier.jobs import store
from atelier.jobs.attempt import Attempt
from atelier.jobs.queue import NOT_FOUND_HINT, JobQueue
from atelier.jobs.runner import JobRunner
from atelier.jobs.schemas import JobPage
from atelier.said import Said
from atelier.shapes import ErrorOut, ImageOut, JobOut, PreviewOut, SaidOut, WaitingOut, job_out
from atelier.tables import Job, JobKind, JobStatus

RECENT = 30
ANNOUNCED = 20
ANNOUNCE_SECONDS = 0.5
TWICE_SECONDS = 2.0


class JobService:
    """Reads for pages and the live socket; actions go to the queue. Announces every change after its commit."""

    def __init__(self, database: Database, queue: JobQueue, runner: JobRunner, bus: EventBus) -> None:
        self._database, self._queue, self._runner, self._bus = database, queue, runner, bus
        self._announcing: asyncio.Task[None] | None = None
        self._images: dict[str, list[ImageOut]] = {}
        queue.changed = self._changed
        queue.removed = lambda row: bus.publish(JobRemoved(id=row.id), owner=row.owner_id)

    async def close(self) -> None:
        if self._announcing:
            self._announcing.cancel()
            await asyncio.gather(self._announcing, return_exceptions=True)

    # ── reads ──

    async def get(self, actor: Actor, job_id: str, kind: JobKind | None = None) -> JobOut:
        """One job. Raises JobNotFound, also for somebody else's and for another `kind`."""
        live = self._live()
        async with self._database.read() as session:
            row = await store.find(session, actor, job_id)
            if row is None or (kind is not None and row.kind != kind):
                raise JobNotFound(f"There is no job {job_id!r}.", hint=NOT_FOUND_HINT)
            return (await self._present(session, [row], live))[0]

    async def request_of(self, job_id: str) -> dict[str, Any] | None:
        """What a job was asked with, also when it was taken off the list. For callers who may see what it made."""
        async with self._database.read() as session:
            found = await store.by_ids(session, [job_id])
        return found[job_id].request if job_id in found else None

    async def outcome(self, job_id: str) -> tuple[JobStatus, ErrorOut | None] | None:
        """How a job stands, also when it was taken off the list; None when there is none. For rows that name it."""
        async with self._database.read() as session:
            found = (await store.by_ids(session, [job_id])).get(job_id)
        return found and (JobStatus(found.status), ErrorOut(**found.error) if found.error else None)

    async def page(
        self, actor: Actor, statuses: Sequence[JobStatus], kinds: Sequence[JobKind], cursor: str | None, limit: int
    ) -> JobPage:
        before, live = read_cursor(cursor), self._live()
        async with self._database.read() as session:
            rows = await store.page(session, actor, statuses=statuses, kinds=kinds, before_seq=before, limit=limit)
            more = len(rows) > limit
            items = await self._present(session, rows[:limit], live)
        return JobPage(items=items, next_cursor=str(rows[limit - 1].seq) if more else None)

    async def active_and_recent(self, actor: Actor) -> list[JobOut]:
        live = self._live()
        async with self._database.read() as session:
            return await self._present(session, await store.active_and_recent(session, actor, RECENT), live)

    def previews(self, actor: Actor) -> dict[str, list[PreviewOut]]:
        """The latest preview of each picture of the jobs that run, by job."""
        running = (attempt for attempt in self._runner.live.values() if actor.owns(attempt.job.owner_id))
        return {attempt.job.id: list(attempt.shown.values()) for attempt in running if attempt.shown}

    # ── actions ──

    async def cancel_or_remove(self, actor: Actor, job_id: str) -> JobOut:
        """Cancel what waits or runs; take what ended off the list."""
        job = await self.get(actor, job_id)
        if job.status.ended:
            # Whoever cancels twice in a row means the cancelling, not the list.
            just_cancelled = job.status is JobStatus.CANCELLED and job.finished_at is not None
            if not (just_cancelled and (now() - job.finished_at).total_seconds() < TWICE_SECONDS):
                await self._queue.remove(actor, job_id)
            return job
        await self._queue.cancel(actor, job_id)
        return await self.get(actor, job_id)

    async def cancel(self, actor: Actor, job_id: str) -> None:
        """Cancel what waits or runs; nothing happens to a job that ended. Raises JobNotFound."""
        await self._queue.cancel(actor, job_id)

    async def retry(self, actor: Actor, job_id: str) -> JobOut:
        await self._queue.retry(actor, job_id)
        return await self.get(actor, job_id)

    async def position(self, job_id: str) -> int | None:
        """Place in the line, 1 = next; None when the job does not wait."""
        async with self._database.read() as session:
            order = await store.waiting_order(session)
        return order.index(job_id) + 1 if job_id in order else None

    async def ended(self, session: AsyncSession, job_ids: Collection[str]) -> set[str]:
        """Those of these jobs that are over or unknown: nobody will write their files, as long as `session` is open."""
        return await store.ended_ids(session, job_ids)

    def publish_images(self, job_id: str, images: list[ImageOut]) -> None:
        """Remember what a job just published, for the event that says it has ended."""
        self._images[job_id] = images

    # ── inside ──

    def _live(self) -> dict[str, Attempt]:
        """The attempts under way, as they are before a read: one that ends while its row is read would leave a row that
        says it runs and nobody who knows how far it is; its progress would step back."""
        return dict(self._runner.live)

    async def _present(self, session: AsyncSession, rows: Sequence[Job], live: dict[str, Attempt]) -> list[JobOut]:
        images = await store.images_of(session, [row.id for row in rows if row.status == JobStatus.COMPLETED])
        waiting = any(row.status == JobStatus.QUEUED for row in rows)
        order = {job_id: at + 1 for at, job_id in enumerate(await store.waiting_order(session))} if waiting else {}
        return [
            self._out(
                row,
                position=order.get(row.id),
                images=[ImageOut.of(image) for image in images.get(row.id, [])],
                attempt=live.get(row.id),
            )
            for row in rows
        ]

    def _out(self, row: Job, *, position: int | None, images: list[ImageOut], attempt: Attempt | None = None) -> JobOut:
        """`attempt`: the one that was under way before the row was read, unless the row tells of another."""
        if attempt is None or attempt.job.attempt != row.attempt:
            attempt = self._runner.live.get(row.id)
        if attempt is None or row.status != JobStatus.RUNNING:
            waiting = self._why_waiting(row, position) if row.status == JobStatus.QUEUED else None
            return job_out(row, images=images, position=position, waiting=waiting)
        out = job_out(row, images=images, waiting=attempt.waiting, eta_seconds=attempt.eta_seconds)
        out.step, out.total_steps = attempt.step, attempt.total_steps
        out.message, out.said = attempt.message, SaidOut.of(attempt.message)
        out.progress = min(1.0, attempt.step / attempt.total_steps) if attempt.total_steps else 0.0
        return out

    def _why_waiting(self, row: Job, position: int | None) -> WaitingOut:
        blocked = self._runner.blocked(JobKind(row.kind))
        if blocked:
            return blocked
        ahead = max(0, (position or 1) - 1)
        words = Said(f"{ahead} before it in the line.", "waiting.before", count=ahead)
        if not ahead:
            words = Said("Next in line.", "waiting.next")
        return WaitingOut.told("queue", words, ahead + 1, self._runner.seconds_until(JobKind(row.kind), ahead))

    def _changed(self, row: Job) -> None:
        images = self._images.pop(row.id, []) if row.status == JobStatus.COMPLETED else []
        self._bus.publish(
            JobChanged(job=self._out(row, position=None, images=images)), owner=row.owner_id, key=f"job:{row.id}"
        )
        self.announce_waiting()

    def announce_waiting(self) -> None:
        """Tell, soon and not too often, where the first of the line now stand."""
        if self._announcing is None or self._announcing.done():
            self._announcing = asyncio.create_task(self._announce(), name="jobs.announce")

    async def _announce(self) -> None:
        await asyncio.sleep(ANNOUNCE_SECONDS)
        async with self._database.read() as session:
            rows = await store.waiting_rows(session, ANNOUNCED)
        for at, row in enumerate(rows):
            job = self._out(row, position=at + 1, images=[])
            self._bus.publish(JobChanged(job=job), owner=row.owner_id, key=f"job:{row.id}")


def read_cursor(cursor: str | None) -> int | None:
    """The row that a page continues after. Raises BadRequest for what no page ever handed out."""
    if cursor is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", cursor):
        raise BadRequest(
            Said("This cursor was not handed out by a page.", "request.cursor_unknown"),
            field="query.cursor",
            hint="Leave it out for the first page, then send back next_cursor.",
        )
    return int(cursor)
