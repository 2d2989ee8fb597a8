"""The only queries on the tables of pictures and inputs (jobs/store.py reads the former to show what a job made)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, column, delete, func, or_, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import ImageRow, InputRow

# The index of the prompts' words, kept by triggers: every run of three characters, so parts of words are found as well.
_WORDS = table("images_words", column("rowid"), column("images_words"))
INDEXED_LENGTH = 3


def _owned(actor: Actor) -> Select[tuple[ImageRow]]:
    query = select(ImageRow)
    return query if actor.is_admin else query.where(ImageRow.owner_id == actor.id)


async def find(session: AsyncSession, actor: Actor, image_id: str, *, deleted: bool = False) -> ImageRow | None:
    """One picture of the gallery, or with `deleted` one of the trash."""
    kept = ImageRow.deleted_at.is_not(None) if deleted else ImageRow.deleted_at.is_(None)
    return (await session.scalars(_owned(actor).where(ImageRow.id == image_id, kept))).one_or_none()


async def page(
    session: AsyncSession, actor: Actor, *, before_seq: int | None, limit: int, model: str | None, words: str | None
) -> list[ImageRow]:
    """Newest first; `limit` + 1 rows at most, so that the caller sees whether there are more."""
    query, place = _owned(actor).where(ImageRow.deleted_at.is_(None)).limit(limit + 1), ImageRow.seq
    wanted = set((words or "").replace("\0", " ").split())
    indexed = {word for word in wanted if len(word) >= INDEXED_LENGTH}
    if indexed:
        match = " ".join('"' + word.replace('"', '""') + '"' for word in indexed)
        place = _WORDS.c.rowid
        query = query.join(_WORDS, place == ImageRow.seq).where(_WORDS.c.images_words.op("MATCH")(match))
    query = query.order_by(place.desc())
    if before_seq is not None:
        query = query.where(place < before_seq)
    if model is not None:
        query = query.where(ImageRow.model == model)
    for word in wanted - indexed:
        query = query.where(ImageRow.prompt.icontains(word, autoescape=True))
    return list(await session.scalars(query))


async def count(session: AsyncSession, actor: Actor) -> int:
    """How many pictures the gallery holds: read off the gallery's partial index, without a look at any row."""
    query = select(func.count()).select_from(ImageRow).where(ImageRow.deleted_at.is_(None))
    return await session.scalar(query if actor.is_admin else query.where(ImageRow.owner_id == actor.id)) or 0


async def expired_trash(session: AsyncSession, before: datetime, limit: int = 500) -> list[ImageRow]:
    query = select(ImageRow).where(ImageRow.deleted_at.is_not(None), ImageRow.deleted_at < before).limit(limit)
    return list(await session.scalars(query))


async def drop(session: AsyncSession, image_ids: Collection[str]) -> None:
    await session.execute(delete(ImageRow).where(ImageRow.id.in_(image_ids)))


async def files_of(session: AsyncSession, job_ids: Collection[str]) -> set[tuple[str, int, str]]:
    """(job, index, format) of every picture of these jobs that has a row."""
    query = select(ImageRow.job_id, ImageRow.index, ImageRow.format).where(ImageRow.job_id.in_(job_ids))
    return {(job_id, index, form) for job_id, index, form in await session.execute(query)}


# ── inputs ──


async def find_input(session: AsyncSession, actor: Actor, input_id: str) -> InputRow | None:
    query = select(InputRow).where(InputRow.id == input_id)
    query = query if actor.is_admin else query.where(InputRow.owner_id == actor.id)
    return (await session.scalars(query)).one_or_none()


async def same_input(session: AsyncSession, actor: Actor, sha256: str) -> InputRow | None:
    """The actor's own input with this very file."""
    query = select(InputRow).where(InputRow.owner_id == actor.id, InputRow.sha256 == sha256)
    return (await session.scalars(query.limit(1))).one_or_none()


async def inputs_unused_since(session: AsyncSession, before: datetime, limit: int = 200) -> list[InputRow]:
    query = select(InputRow).where(InputRow.used_at < before).order_by(InputRow.used_at).limit(limit)
    return list(await session.scalars(query))


async def inputs_named(session: AsyncSession, input_ids: Collection[str]) -> set[str]:
    """Which of these inputs the recipe of a picture names. Looks at every picture: only where there are candidates."""
    if not input_ids:
        return set()
    names = [ImageRow.recipe[name].as_string() for name in ("image", "mask")]
    query = select(*names).where(or_(*(name.in_(input_ids) for name in names)))
    return {name for row in await session.execute(query) for name in row if name}


async def known_inputs(session: AsyncSession, input_ids: Collection[str]) -> set[str]:
    return set(await session.scalars(select(InputRow.id).where(InputRow.id.in_(input_ids)))) if input_ids else set()
