"""The queries on the jobs table; those that every job passes through are in `direct`. Calls for a user take the actor;
calls of the runner are fenced by attempt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import CursorResult, Select, TextClause, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import ImageRow, Job, JobKind, JobRow, JobStatus

_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
_COLUMNS = tuple(JobRow.__table__.columns)


class Fence(NamedTuple):
    """The right of one attempt to write: void once the job was taken back."""

    job_id: str
    attempt: int


async def _all(session: AsyncSession, query: Select[Any]) -> list[Job]:
    return [Job(*row) for row in await session.execute(query)]


def _visible(actor: Actor) -> Select[Any]:
    query = select(*_COLUMNS).where(JobRow.hidden.is_(False))
    return query if actor.is_admin else query.where(JobRow.owner_id == actor.id)


async def find(session: AsyncSession, actor: Actor, job_id: str) -> Job | None:
    return next(iter(await _all(session, _visible(actor).where(JobRow.id == job_id))), None)


async def find_by_key(session: AsyncSession, owner_id: str, keys: Collection[str]) -> dict[str, Job]:
    query = select(*_COLUMNS).where(JobRow.owner_id == owner_id, JobRow.idempotency_key.in_(keys))
    return {job.idempotency_key: job for job in await _all(session, query) if job.idempotency_key}


async def by_ids(session: AsyncSession, job_ids: Collection[str]) -> dict[str, Job]:
    """These jobs, those taken off the list too. For rows that name their job."""
    if not job_ids:
        return {}
    return {job.id: job for job in await _all(session, select(*_COLUMNS).where(JobRow.id.in_(job_ids)))}


async def change(session: AsyncSession, job: Job, **values: Any) -> None:
    """Write columns of a row, and of its record."""
    await session.execute(update(JobRow.__table__).where(JobRow.seq == job.seq).values(values))
    for name, value in values.items():
        setattr(job, name, value)


async def page(
    session: AsyncSession,
    actor: Actor,
    *,
    statuses: Sequence[JobStatus] = (),
    kinds: Sequence[JobKind] = (),
    before_seq: int | None = None,
    limit: int = 50,
) -> list[Job]:
    """Newest first; `limit` + 1 rows at most, so that the caller sees whether there are more."""
    query = _visible(actor).order_by(JobRow.seq.desc()).limit(limit + 1)
    if statuses:
        query = query.where(JobRow.status.in_(statuses), *_indexed(statuses))
    if kinds:
        query = query.where(JobRow.kind.in_(kinds))
        if JobKind.IMAGE_GENERATE not in kinds:
            query = query.where(text("kind <> 'image.generate'"))
    if before_seq is not None:
        query = query.where(JobRow.seq < before_seq)
    return await _all(session, query)


def _indexed(statuses: Sequence[JobStatus]) -> list[TextClause]:
    """The condition of the partial index that holds all these statuses: SQLite takes such an index only when it finds
    its condition, to the letter, in the query."""
    if set(statuses) <= set(_ACTIVE):
        return [text("status IN ('queued', 'running')")]
    rare = {JobStatus.FAILED: "status = 'failed'", JobStatus.CANCELLED: "status = 'cancelled'"}
    return [text(rare[status]) for status in set(statuses) & set(rare)] if len(set(statuses)) == 1 else []


async def active_and_recent(session: AsyncSession, actor: Actor, recent: int) -> list[Job]:
    """Everything that waits or runs, and the newest that ended. Newest first."""
    newest_first = _visible(actor).order_by(JobRow.seq.desc())
    active = await _all(session, newest_first.where(JobRow.status.in_(_ACTIVE)))
    ended = await _all(session, newest_first.where(JobRow.status.not_in(_ACTIVE)).limit(recent))
    return sorted([*active, *ended], key=lambda job: job.seq, reverse=True)


async def images_of(session: AsyncSession, job_ids: Collection[str]) -> dict[str, list[ImageRow]]:
    """The pictures that jobs published and that are still in the gallery."""
    found: dict[str, list[ImageRow]] = {}
    if job_ids:
        query = (
            select(ImageRow).where(ImageRow.job_id.in_(job_ids), ImageRow.deleted_at.is_(None)).order_by(ImageRow.index)
        )
        for row in await session.scalars(query):
            found.setdefault(row.job_id, []).append(row)
    return found


async def waiting_order(session: AsyncSession) -> list[str]:
    """Ids of all waiting jobs in the order in which they will be claimed."""
    query = (
        select(JobRow.id).where(JobRow.status == JobStatus.QUEUED.value).order_by(JobRow.priority.desc(), JobRow.seq)
    )
    return list(await session.scalars(query))


async def waiting_rows(session: AsyncSession, limit: int) -> list[Job]:
    """The first of the line."""
    query = select(*_COLUMNS).where(JobRow.status == JobStatus.QUEUED.value)
    return await _all(session, query.order_by(JobRow.priority.desc(), JobRow.seq).limit(limit))


async def recent_seconds(session: AsyncSession, kind: str, limit: int) -> list[float]:
    """How long the last completed jobs of a kind ran, oldest first."""
    query = select(JobRow.started_at, JobRow.finished_at).where(
        JobRow.kind == kind, JobRow.status == JobStatus.COMPLETED.value, JobRow.started_at.is_not(None)
    )
    rows = (await session.execute(query.order_by(JobRow.seq.desc()).limit(limit))).all()
    return [(end - start).total_seconds() for start, end in reversed(rows) if end is not None]


async def count_waiting(session: AsyncSession) -> int:
    return (await session.scalar(select(func.count()).where(JobRow.status == JobStatus.QUEUED.value))) or 0


def _fenced(fence: Fence) -> Any:
    return update(JobRow.__table__).where(
        JobRow.id == fence.job_id, JobRow.attempt == fence.attempt, JobRow.status == JobStatus.RUNNING.value
    )


_HEARTBEAT = (
    update(JobRow.__table__)
    .where(
        JobRow.id == bindparam("job"), JobRow.attempt == bindparam("fence"), JobRow.status == JobStatus.RUNNING.value
    )
    .values(
        lease_until=bindparam("until"),
        step=bindparam("at_step"),
        total_steps=bindparam("of_steps"),
        message=bindparam("words"),
    )
)


async def heartbeat(session: AsyncSession, beats: list[dict[str, Any]]) -> None:
    """Prolong leases and note progress, many attempts at once."""
    connection = await session.connection()
    await connection.execute(_HEARTBEAT, beats)


async def finish(session: AsyncSession, fence: Fence, now: datetime, status: JobStatus, values: dict[str, Any]) -> bool:
    """End an attempt's job. False when the attempt no longer holds it: then nothing may be published."""
    result: CursorResult[Any] = await session.execute(
        _fenced(fence).values(status=status, finished_at=now, lease_until=None, **values)
    )
    return result.rowcount == 1


async def requeue(session: AsyncSession, fence: Fence, *, crashed: bool, message: str | None) -> bool:
    """Put an attempt's job back in the line."""
    result: CursorResult[Any] = await session.execute(
        _fenced(fence).values(
            status=JobStatus.QUEUED,
            lease_until=None,
            crashes=JobRow.crashes + (1 if crashed else 0),
            step=0,
            total_steps=0,
            message=message,
        )
    )
    return result.rowcount == 1


async def running(session: AsyncSession) -> list[Job]:
    return await _all(session, select(*_COLUMNS).where(JobRow.status == JobStatus.RUNNING.value))


async def expired(session: AsyncSession, now: datetime) -> list[Job]:
    query = select(*_COLUMNS).where(JobRow.status == JobStatus.RUNNING.value, JobRow.lease_until < now)
    return await _all(session, query)


async def ended_ids(session: AsyncSession, job_ids: Collection[str]) -> set[str]:
    """Which of these jobs are over, or are not known at all: nobody will write their files any more."""
    query = select(JobRow.id).where(JobRow.id.in_(job_ids), JobRow.status.in_(_ACTIVE))
    return set(job_ids) - set(await session.scalars(query))


async def active_of(session: AsyncSession, kind: JobKind) -> list[Job]:
    query = select(*_COLUMNS).where(JobRow.kind == kind.value, JobRow.status.in_(_ACTIVE))
    return await _all(session, query.order_by(JobRow.seq))
