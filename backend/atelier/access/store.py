"""The only queries on the users table."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.tables import UserRow


async def everybody(session: AsyncSession) -> list[UserRow]:
    return list(await session.scalars(select(UserRow).order_by(UserRow.created_at, UserRow.id)))


async def add_missing(session: AsyncSession, rows: Iterable[UserRow]) -> None:
    for row in rows:
        if await session.get(UserRow, row.id) is None:
            session.add(row)


async def set_password(session: AsyncSession, user_id: str, password_hash: str | None) -> None:
    await session.execute(update(UserRow).where(UserRow.id == user_id).values(password_hash=password_hash))
