"""The only queries on the jobs table. Calls for a user take the actor; calls of the runner are fenced by attempt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Select, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import ImageRow, JobKind, JobRow, JobStatus

_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Fence:
    """The right of one attempt to write: void once the job was taken back."""

    job_id: str
    attempt: int


def _visible(actor: Actor) -> Select[tuple[JobRow]]:
    query = select(JobRow).where(JobRow.hidden.is_(False))
    return query if actor.is_admin else query.where(JobRow.owner_id == actor.id)


async def find(session: AsyncSession, actor: Actor, job_id: str) -> JobRow | None:
    return (await session.scalars(_visible(actor).where(JobRow.id == job_id))).one_or_none()


async def find_by_key(session: AsyncSession, owner_id: str, keys: Collection[str]) -> dict[str, JobRow]:
    rows = await session.scalars(select(JobRow).where(JobRow.owner_id == owner_id, JobRow.idempotency_key.in_(keys)))
    return {row.idempotency_key: row for row in rows if row.idempotency_key}


async def page(
    session: AsyncSession,
    actor: Actor,
    *,
    statuses: Sequence[JobStatus] = (),
    kinds: Sequence[JobKind] = (),
    before_seq: int | None = None,
    limit: int = 50,
) -> list[JobRow]:
    """Newest first; `limit` + 1 rows at most, so that the caller sees whether there are more."""
    query = _visible(actor).order_by(JobRow.seq.desc()).limit(limit + 1)
    if statuses:
        query = query.where(JobRow.status.in_(statuses))
    if kinds:
        query = query.where(JobRow.kind.in_(kinds))
    if before_seq is not None:
        query = query.where(JobRow.seq < before_seq)
    return list(await session.scalars(query))


async def active_and_recent(session: AsyncSession, actor: Actor, recent: int) -> list[JobRow]:
    """Everything that waits or runs, and the newest that ended. Newest first."""
    active = list(await session.scalars(_visible(actor).where(JobRow.status.in_(_ACTIVE)).order_by(JobRow.seq.desc())))
    ended = await session.scalars(
        _visible(actor).where(JobRow.status.not_in(_ACTIVE)).order_by(JobRow.seq.desc()).limit(recent)
    )
    return sorted([*active, *ended], key=lambda row: row.seq, reverse=True)


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


async def waiting_rows(session: AsyncSession, limit: int) -> list[JobRow]:
    """The first of the line."""
    query = select(JobRow).where(JobRow.status == JobStatus.QUEUED.value).order_by(JobRow.priority.desc(), JobRow.seq)
    return list(await session.scalars(query.limit(limit)))


async def count_waiting(session: AsyncSession) -> int:
    return (await session.scalar(select(func.count()).where(JobRow.status == JobStatus.QUEUED.value))) or 0


async def add(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """Insert many rows with one statement, below the ORM: a long list of accepted jobs is what must be quick."""
    connection = await session.connection()
    await connection.execute(insert(JobRow.__table__), rows)


async def claim(
    session: AsyncSession, kinds: Collection[JobKind], count: int, now: datetime, lease_until: datetime
) -> list[JobRow]:
    """Take up to `count` waiting jobs of `kinds`: highest priority first, then oldest. Each gets its next attempt."""
    query = select(JobRow.seq).where(JobRow.status == JobStatus.QUEUED.value)
    query = query.where(JobRow.kind.in_(kinds)).order_by(JobRow.priority.desc(), JobRow.seq).limit(count)
    taken = await session.scalars(
        update(JobRow)
        .where(JobRow.seq.in_(query), JobRow.status == JobStatus.QUEUED.value)
        .values(
            status=JobStatus.RUNNING,
            attempt=JobRow.attempt + 1,
            lease_until=lease_until,
            started_at=now,
            step=0,
            total_steps=0,
            message=None,
            error=None,
        )
        .returning(JobRow)
        .execution_options(synchronize_session=False)
    )
    return sorted(taken, key=lambda row: (-row.priority, row.seq))


def _fenced(fence: Fence) -> Any:
    return update(JobRow).where(
        JobRow.id == fence.job_id, JobRow.attempt == fence.attempt, JobRow.status == JobStatus.RUNNING.value
    )


_HEARTBEAT = (
    update(JobRow)
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


_COMPLETE = (
    update(JobRow)
    .where(
        JobRow.id == bindparam("job"), JobRow.attempt == bindparam("fence"), JobRow.status == JobStatus.RUNNING.value
    )
    .values(status=JobStatus.COMPLETED, finished_at=bindparam("now"), lease_until=None, message=None)
)


async def complete_many(session: AsyncSession, fences: list[Fence], now: datetime) -> set[str]:
    """End many attempts that publish nothing; the ids of those that still held their job."""
    connection = await session.connection()
    beats = [{"job": fence.job_id, "fence": fence.attempt, "now": now} for fence in fences]
    await connection.execute(_COMPLETE, beats)
    # A job that another attempt has taken back is not running under ours: it cannot have been completed by us.
    pairs = {(fence.job_id, fence.attempt) for fence in fences}
    query = select(JobRow.id, JobRow.attempt).where(
        JobRow.id.in_([fence.job_id for fence in fences]), JobRow.status == JobStatus.COMPLETED.value
    )
    return {job_id for job_id, attempt in await session.execute(query) if (job_id, attempt) in pairs}


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


async def running(session: AsyncSession) -> list[JobRow]:
    return list(await session.scalars(select(JobRow).where(JobRow.status == JobStatus.RUNNING.value)))


async def expired(session: AsyncSession, now: datetime) -> list[JobRow]:
    query = select(JobRow).where(JobRow.status == JobStatus.RUNNING.value, JobRow.lease_until < now)
    return list(await session.scalars(query))


async def ended_ids(session: AsyncSession, job_ids: Collection[str]) -> set[str]:
    """Which of these jobs are over, or are not known at all: nobody will write their files any more."""
    query = select(JobRow.id).where(JobRow.id.in_(job_ids), JobRow.status.in_(_ACTIVE))
    return set(job_ids) - set(await session.scalars(query))


async def active_of(session: AsyncSession, kind: JobKind) -> list[JobRow]:
    query = select(JobRow).where(JobRow.kind == kind.value, JobRow.status.in_(_ACTIVE)).order_by(JobRow.seq)
    return list(await session.scalars(query))
