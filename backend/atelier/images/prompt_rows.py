"""The only queries on the prompts table."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import PromptRow

USED, STYLE = "used", "style"


async def note(session: AsyncSession, row: dict, moment: datetime) -> None:
    """One more use of these words."""
    again = {"uses": PromptRow.uses + 1, "used_at": moment}
    statement = insert(PromptRow).values(**row).on_conflict_do_update(["owner_id", "kind", "name"], set_=again)
    await session.execute(statement)


async def page(
    session: AsyncSession, actor: Actor, kind: str, *, words: str | None, favourite: bool | None, limit: int
) -> list[PromptRow]:
    """The actor's own, the last used first; styles by name."""
    order = PromptRow.name if kind == STYLE else PromptRow.used_at.desc()
    query = select(PromptRow).where(PromptRow.owner_id == actor.id, PromptRow.kind == kind).order_by(order).limit(limit)
    for word in (words or "").split():
        query = query.where(PromptRow.prompt.icontains(word, autoescape=True))
    if favourite is not None:
        query = query.where(PromptRow.favourite.is_(favourite))
    return list(await session.scalars(query))


async def find(session: AsyncSession, actor: Actor, kind: str, prompt_id: str) -> PromptRow | None:
    query = select(PromptRow).where(PromptRow.owner_id == actor.id, PromptRow.kind == kind, PromptRow.id == prompt_id)
    return (await session.scalars(query)).one_or_none()


async def styles_named(session: AsyncSession, actor: Actor, names: Collection[str]) -> dict[str, PromptRow]:
    query = select(PromptRow).where(PromptRow.owner_id == actor.id, PromptRow.kind == STYLE, PromptRow.name.in_(names))
    return {row.name: row for row in await session.scalars(query)}


async def forget(session: AsyncSession, owner_id: str, kept: int) -> None:
    """Drop the used prompts beyond the latest `kept`; favourites stay. 0: all of them."""
    mine = (PromptRow.owner_id == owner_id, PromptRow.kind == USED, PromptRow.favourite.is_(False))
    older = select(PromptRow.id).where(*mine).order_by(PromptRow.used_at.desc()).offset(kept).limit(-1)
    await session.execute(delete(PromptRow).where(PromptRow.id.in_(older)))
