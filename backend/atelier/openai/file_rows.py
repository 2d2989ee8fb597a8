"""The only queries on the files table."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import FileRow


async def find(session: AsyncSession, actor: Actor, file_id: str, moment: datetime) -> FileRow | None:
    """A file that has not expired."""
    query = select(FileRow).where(FileRow.id == file_id)
    query = query.where(or_(FileRow.expires_at.is_(None), FileRow.expires_at > moment))
    query = query if actor.is_admin else query.where(FileRow.owner_id == actor.id)
    return (await session.scalars(query)).one_or_none()


async def page(
    session: AsyncSession,
    actor: Actor,
    moment: datetime,
    *,
    after: int | None,
    purpose: str | None,
    newest_first: bool,
    limit: int,
) -> list[FileRow]:
    """`limit` + 1 rows at most, so that the caller sees whether there are more."""
    query = select(FileRow).where(or_(FileRow.expires_at.is_(None), FileRow.expires_at > moment))
    query = query if actor.is_admin else query.where(FileRow.owner_id == actor.id)
    query = query.order_by(FileRow.seq.desc() if newest_first else FileRow.seq).limit(limit + 1)
    if purpose is not None:
        query = query.where(FileRow.purpose == purpose)
    if after is not None:
        query = query.where(FileRow.seq < after if newest_first else FileRow.seq > after)
    return list(await session.scalars(query))


async def known(session: AsyncSession, file_ids: Collection[str]) -> set[str]:
    return set(await session.scalars(select(FileRow.id).where(FileRow.id.in_(file_ids)))) if file_ids else set()


async def expired(session: AsyncSession, moment: datetime) -> list[FileRow]:
    return list(await session.scalars(select(FileRow).where(FileRow.expires_at <= moment)))


async def by_id(session: AsyncSession, file_id: str) -> FileRow | None:
    return (await session.scalars(select(FileRow).where(FileRow.id == file_id))).one_or_none()
