"""The durable line of work: ask, cancel, try again, remove. `runner.JobRunner` does what stands here.

What was accepted is committed and fsynced before the caller hears of it. The same idempotency key of the same owner
gives the same job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.clock import new_id, now
from atelier.config import JobSettings
from atelier.db import Database, after_commit
from atelier.errors import Conflict, JobNotFound, TooManyJobs
from atelier.failpoints import failpoint
from atelier.jobs import direct, store
from atelier.jobs.batch import Batch
from atelier.said import Said
from atelier.tables import Job, JobKind, JobStatus, Row

if TYPE_CHECKING:
    from atelier.jobs.attempt import Attempt

Choose = Callable[[list[Job]], list[Job]]
Bring = Callable[[str, Choose, Any], Awaitable[list["Attempt"]]]

NOT_FOUND_HINT = "It may have been removed. GET /api/jobs lists what there is."

DECIDED = ("resolved", "cells")
"""Parts of a request that nobody asked for: what it left open, of a grid once for each cell."""


@dataclass(frozen=True)
class NewJob:
    """What someone asks for. `request` is kept as posted; its `resolved` holds what was decided for them."""

    kind: JobKind
    owner_id: str
    title: str
    request: dict[str, Any]
    priority: int = 0
    idempotency_key: str | None = None
    id: str = field(default_factory=lambda: new_id("job"))


class JobQueue:
    """`changed(row)` is called after every commit that changed a job, `wake()` when there may be work."""

    def __init__(self, database: Database, settings: JobSettings) -> None:
        self._database, self._settings = database, settings
        self._submit = Batch(self._commit_new)
        self.wake: Callable[[], None] = lambda: None
        self.changed: Callable[[Job], None] = lambda _row: None
        self.removed: Callable[[Job], None] = lambda _row: None
        self.bring: Bring = _nobody
        self.stop_attempt: Callable[[str], None] = lambda _job_id: None

    async def submit(self, job: NewJob) -> Job:
        """The accepted job, durable. Raises TooManyJobs when the line is full, Conflict when an idempotency key
        comes back with another request."""
        return await self._submit(job)

    async def submit_beside(self, row: Row, job: NewJob, forget: Callable[[AsyncSession], Awaitable[None]]) -> Job:
        """Submit a job that has a row of its own: the row comes first, so that no job is without, and goes again
        (`forget`) when the job is refused. Raises as `submit`."""
        async with self._database.write() as session:
            session.add(row)
        try:
            return await self.submit(job)
        except BaseException:
            async with self._database.write() as session:
                await forget(session)
            raise

    async def accepted(self, owner_id: str, key: str | None, kind: JobKind, posted: dict[str, Any]) -> Job | None:
        """What was accepted before under this idempotency key. Raises Conflict when it was another request."""
        if key is None:
            return None
        async with self._database.read() as session:
            row = (await store.find_by_key(session, owner_id, [key])).get(key)
        if row is None:
            return None
        same = _same_or_conflict(row, NewJob(kind, owner_id, "", posted))
        if isinstance(same, Exception):
            raise same
        return same

    async def active(self, kind: JobKind) -> list[Job]:
        """The jobs of a kind that wait or run, oldest first."""
        async with self._database.read() as session:
            return await store.active_of(session, kind)

    async def cancel(self, actor: Actor, job_id: str) -> Job:
        """Cancel a waiting job at once; ask a running one to stop. Nothing happens to a job that ended."""
        async with self._database.write() as session:
            row = await self._find(session, actor, job_id)
            if row.status == JobStatus.QUEUED:
                await store.change(session, row, status=JobStatus.CANCELLED, finished_at=now())
                after_commit(session, lambda: self.changed(row))
                after_commit(session, self.wake)
            elif row.status == JobStatus.RUNNING:
                await store.change(session, row, cancel_requested=True)
                after_commit(session, lambda: self.changed(row))
        failpoint("jobs.after_cancel_mark")
        if row.status == JobStatus.RUNNING:
            self.stop_attempt(row.id)
        return row

    async def remove(self, actor: Actor, job_id: str) -> Job:
        """Take an ended job off the list. Its pictures stay in the gallery."""
        async with self._database.write() as session:
            row = await self._find(session, actor, job_id)
            await store.change(session, row, hidden=True)
            after_commit(session, lambda: self.removed(row))
        return row

    async def retry(self, actor: Actor, job_id: str) -> Job:
        """Put a failed or cancelled job back in the line, as the same job."""
        async with self._database.write() as session:
            row = await self._find(session, actor, job_id)
            if row.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
                raise Conflict(
                    Said(
                        f"This job is {row.status}; only a failed or cancelled one can be tried again.",
                        "job.not_to_retry",
                        status=row.status,
                    ),
                    hint="Ask for the same thing as a new job instead.",
                )
            await store.change(
                session,
                row,
                status=JobStatus.QUEUED,
                crashes=0,
                cancel_requested=False,
                step=0,
                total_steps=0,
                message=None,
                error=None,
                started_at=None,
                finished_at=None,
            )
            after_commit(session, lambda: self.changed(row))
            after_commit(session, self.wake)
        return row

    async def _find(self, session: AsyncSession, actor: Actor, job_id: str) -> Job:
        row = await store.find(session, actor, job_id)
        if row is None:
            raise JobNotFound(f"There is no job {job_id!r}.", hint=NOT_FOUND_HINT)
        return row

    async def _commit_new(self, jobs: list[NewJob]) -> list[Job | Exception]:
        results: list[Job | Exception] = []
        added: list[Job] = []
        known = await self._known(jobs)
        async with self._database.write_directly() as connection:
            room = self._settings.queue_limit - direct.count_waiting(connection)
            moment = now()
            for job in jobs:
                slot = (job.owner_id, job.idempotency_key)
                if job.idempotency_key and slot in known:
                    results.append(_same_or_conflict(known[slot], job))
                elif len(added) >= room:
                    results.append(self._full())
                else:
                    row = _accepted(job, moment)
                    added.append(row)
                    results.append(row)
                    if job.idempotency_key:
                        known[slot] = row
            direct.add(connection, added)
            failpoint("jobs.before_commit")
        failpoint("jobs.after_commit")
        for row in added:
            self.changed(row)
        self.wake()
        return results

    async def _known(self, jobs: list[NewJob]) -> dict[tuple[str, str | None], Job]:
        """What was accepted before under one of these keys. Only `_commit_new` adds keys, and one call of it at a time:
        reading before its transaction is reading within it."""
        keys: dict[str, set[str]] = {}
        for job in jobs:
            if job.idempotency_key:
                keys.setdefault(job.owner_id, set()).add(job.idempotency_key)
        if not keys:
            return {}
        async with self._database.read() as session:
            return {
                (owner_id, key): row
                for owner_id, wanted in keys.items()
                for key, row in (await store.find_by_key(session, owner_id, wanted)).items()
            }

    def _full(self) -> TooManyJobs:
        hint = "Try again in a few seconds, or cancel jobs that are no longer wanted."
        return queue_full(self._settings.queue_limit, hint)


def queue_full(limit: int, hint: str) -> TooManyJobs:
    words = Said(f"The queue is full: {limit} jobs wait already.", "queue_full", count=limit)
    return TooManyJobs(words, retry_after=5, hint=hint)


async def _nobody(_lane: str, _choose: Choose, _joins: Any) -> list[Attempt]:
    return []


def _same_or_conflict(row: Job, job: NewJob) -> Job | Exception:
    (task, fields), (other, others) = _asked(row.request), _asked(job.request)
    if row.kind == job.kind and fields == others and (None in (task, other) or task == other):
        return row
    return key_used()


def key_used() -> Conflict:
    """An idempotency key came back with another request."""
    return Conflict(
        Said("This idempotency key was already used for a different request.", "request.key_used"),
        field="header.idempotency-key",
        hint="Use a new key for every new request.",
    )


def _asked(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What somebody asked for: the task, since two of them may take the same fields, and the fields; not what was
    decided for them, a seed among it. A request that is not resolved yet has no task: its kind says enough."""
    task = (request.get("resolved") or {}).get("task")
    return task, {key: value for key, value in request.items() if key not in DECIDED}


def _accepted(job: NewJob, moment: datetime) -> Job:
    return Job(
        seq=0,
        id=job.id,
        kind=job.kind.value,
        owner_id=job.owner_id,
        title=job.title[:200],
        status=JobStatus.QUEUED.value,
        priority=job.priority,
        request=job.request,
        idempotency_key=job.idempotency_key,
        attempt=0,
        crashes=0,
        lease_until=None,
        cancel_requested=False,
        step=0,
        total_steps=0,
        message=None,
        error=None,
        hidden=False,
        created_at=moment,
        started_at=None,
        finished_at=None,
    )
