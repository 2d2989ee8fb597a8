"""The only queries on the batches table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import BatchRow


async def find(session: AsyncSession, actor: Actor, batch_id: str) -> BatchRow | None:
    query = select(BatchRow).where(BatchRow.id == batch_id)
    query = query if actor.is_admin else query.where(BatchRow.owner_id == actor.id)
    return (await session.scalars(query)).one_or_none()


async def page(session: AsyncSession, actor: Actor, *, before_seq: int | None, limit: int) -> list[BatchRow]:
    """Newest first; `limit` + 1 rows at most, so that the caller sees whether there are more."""
    query = select(BatchRow).order_by(BatchRow.seq.desc()).limit(limit + 1)
    query = query if actor.is_admin else query.where(BatchRow.owner_id == actor.id)
    if before_seq is not None:
        query = query.where(BatchRow.seq < before_seq)
    return list(await session.scalars(query))


async def by_id(session: AsyncSession, batch_id: str) -> BatchRow | None:
    """For the job that answers it."""
    return (await session.scalars(select(BatchRow).where(BatchRow.id == batch_id))).one_or_none()


async def unended(session: AsyncSession) -> list[BatchRow]:
    return list(await session.scalars(select(BatchRow).where(BatchRow.ended.is_(None)).order_by(BatchRow.seq)))


async def ended(session: AsyncSession, batch_ids: list[str]) -> dict[str, BatchRow]:
    """Of these batches those that have ended."""
    query = select(BatchRow).where(BatchRow.id.in_(batch_ids), BatchRow.ended.is_not(None))
    return {row.id: row for row in await session.scalars(query)} if batch_ids else {}


async def change(session: AsyncSession, batch_id: str, **values: Any) -> None:
    await session.execute(update(BatchRow.__table__).where(BatchRow.id == batch_id).values(values))


async def forget(session: AsyncSession, batch_id: str) -> None:
    await session.execute(delete(BatchRow.__table__).where(BatchRow.id == batch_id))


async def needs(session: AsyncSession, file_id: str) -> bool:
    """Whether a batch that has not ended reads this file."""
    query = select(BatchRow.id).where(BatchRow.ended.is_(None), BatchRow.input_file_id == file_id)
    return (await session.scalars(query.limit(1))).first() is not None
