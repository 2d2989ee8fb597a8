"""The only queries on the inputs table."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import ImageRow, InputRow, MessageRow


async def find(session: AsyncSession, actor: Actor, input_id: str) -> InputRow | None:
    query = select(InputRow).where(InputRow.id == input_id)
    query = query if actor.is_admin else query.where(InputRow.owner_id == actor.id)
    return (await session.scalars(query)).one_or_none()


async def same(session: AsyncSession, actor: Actor, sha256: str) -> InputRow | None:
    """The actor's own input with this very file."""
    query = select(InputRow).where(InputRow.owner_id == actor.id, InputRow.sha256 == sha256)
    return (await session.scalars(query.limit(1))).one_or_none()


async def unused_since(session: AsyncSession, before: datetime, limit: int = 200) -> list[InputRow]:
    query = select(InputRow).where(InputRow.used_at < before).order_by(InputRow.used_at).limit(limit)
    return list(await session.scalars(query))


async def named(session: AsyncSession, input_ids: Collection[str]) -> set[str]:
    """Which of these inputs the recipe of a picture names, or a message of a chat. Looks at every one: only where there
    are candidates."""
    if not input_ids:
        return set()
    names = [ImageRow.recipe[name].as_string() for name in ("image", "mask")]
    query = select(*names).where(or_(*(name.in_(input_ids) for name in names)))
    found = {name for row in await session.execute(query) for name in row if name}
    shown = func.json_each(MessageRow.pictures).table_valued("value")
    said = select(shown.c.value).select_from(MessageRow).join(shown, true())
    return found | set(await session.scalars(said.where(text("pictures <> '[]'"), shown.c.value.in_(input_ids))))


async def known(session: AsyncSession, input_ids: Collection[str]) -> set[str]:
    return set(await session.scalars(select(InputRow.id).where(InputRow.id.in_(input_ids)))) if input_ids else set()
