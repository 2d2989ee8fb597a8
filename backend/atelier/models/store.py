"""The only queries on the models table."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import ModelRow


async def visible(session: AsyncSession, actor: Actor) -> list[ModelRow]:
    """The models that an actor may use: their own, and those shared with everyone."""
    query = select(ModelRow).order_by(ModelRow.created_at, ModelRow.key)
    if not actor.is_admin:
        query = query.where(or_(ModelRow.owner_id == actor.id, ModelRow.shared.is_(True)))
    return list(await session.scalars(query))


async def embedded(session: AsyncSession) -> dict[str, ModelRow]:
    return {row.key: row for row in await session.scalars(select(ModelRow).where(ModelRow.source == "embedded"))}


async def keys_by_path(session: AsyncSession) -> dict[str, str]:
    return {row.path: row.key for row in await session.execute(select(ModelRow.path, ModelRow.key))}


async def at_path(session: AsyncSession, path: str) -> ModelRow | None:
    return (await session.scalars(select(ModelRow).where(ModelRow.path == path))).first()
