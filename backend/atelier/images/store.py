"""The queries on the images table, but for those that look through it (`search`) and add it up (`usage`); jobs/store.py
reads it to show what a job made."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import CollectionImageRow, ImageRow, ImageTagRow


def _owned(actor: Actor) -> Select[tuple[ImageRow]]:
    query = select(ImageRow)
    return query if actor.is_admin else query.where(ImageRow.owner_id == actor.id)


async def find(session: AsyncSession, actor: Actor, image_id: str, *, deleted: bool = False) -> ImageRow | None:
    """One picture of the gallery, or with `deleted` one of the trash."""
    kept = ImageRow.deleted_at.is_not(None) if deleted else ImageRow.deleted_at.is_(None)
    return (await session.scalars(_owned(actor).where(ImageRow.id == image_id, kept))).one_or_none()


async def find_many(
    session: AsyncSession, actor: Actor, image_ids: Collection[str], *, deleted: bool = False
) -> list[ImageRow]:
    """Those of these pictures that the actor has, in no order."""
    kept = ImageRow.deleted_at.is_not(None) if deleted else ImageRow.deleted_at.is_(None)
    return list(await session.scalars(_owned(actor).where(ImageRow.id.in_(image_ids), kept)))


async def made_from(session: AsyncSession, actor: Actor, image_id: str, limit: int) -> list[ImageRow]:
    """Newest first."""
    query = _owned(actor).where(ImageRow.parent_id == image_id, ImageRow.deleted_at.is_(None))
    return list(await session.scalars(query.order_by(ImageRow.seq.desc()).limit(limit)))


async def change(session: AsyncSession, seqs: Collection[int], values: dict[str, Any]) -> None:
    """The same values for all of these rows. Rows that are in memory keep what they had: see `reread`."""
    if values:
        await session.execute(update(ImageRow.__table__).where(ImageRow.seq.in_(seqs)).values(values))


async def reread(session: AsyncSession, seqs: Collection[int]) -> list[ImageRow]:
    query = select(ImageRow).where(ImageRow.seq.in_(seqs)).order_by(ImageRow.seq.desc())
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def add_tags(session: AsyncSession, seqs: Collection[int], tags: Collection[str]) -> None:
    rows = [{"image_seq": seq, "tag": tag} for seq in seqs for tag in tags]
    if rows:
        await session.execute(insert(ImageTagRow.__table__).prefix_with("OR IGNORE"), rows)


async def remove_tags(session: AsyncSession, seqs: Collection[int], tags: Collection[str] | None) -> None:
    """These tags, or with None all."""
    query = delete(ImageTagRow.__table__).where(ImageTagRow.image_seq.in_(seqs))
    await session.execute(query if tags is None else query.where(ImageTagRow.tag.in_(tags)))


async def add_to_collection(session: AsyncSession, collection_id: str, seqs: Collection[int]) -> None:
    rows = [{"collection_id": collection_id, "image_seq": seq} for seq in seqs]
    await session.execute(insert(CollectionImageRow.__table__).prefix_with("OR IGNORE"), rows)


async def remove_from_collection(session: AsyncSession, collection_id: str, seqs: Collection[int]) -> None:
    ours = CollectionImageRow.collection_id == collection_id
    query = delete(CollectionImageRow.__table__).where(ours, CollectionImageRow.image_seq.in_(seqs))
    await session.execute(query)


def _in_collection(collection_id: str, *what: Any) -> Select[Any]:
    query = select(*what).select_from(CollectionImageRow).join(ImageRow, ImageRow.seq == CollectionImageRow.image_seq)
    return query.where(CollectionImageRow.collection_id == collection_id, ImageRow.deleted_at.is_(None))


async def of_collection(session: AsyncSession, collection_id: str) -> list[ImageRow]:
    query = _in_collection(collection_id, ImageRow).order_by(ImageRow.seq.desc())
    return list(await session.scalars(query))


async def count_of_collection(session: AsyncSession, collection_id: str) -> int:
    return await session.scalar(_in_collection(collection_id, func.count())) or 0


async def count(session: AsyncSession, actor: Actor) -> int:
    """How many pictures the gallery holds: read off the gallery's partial index, without a look at any row."""
    query = select(func.count()).select_from(ImageRow).where(ImageRow.deleted_at.is_(None))
    return await session.scalar(query if actor.is_admin else query.where(ImageRow.owner_id == actor.id)) or 0


async def expired_trash(session: AsyncSession, before: datetime, limit: int = 500) -> list[ImageRow]:
    query = select(ImageRow).where(ImageRow.deleted_at.is_not(None), ImageRow.deleted_at < before).limit(limit)
    return list(await session.scalars(query))


async def trash(session: AsyncSession, actor: Actor, limit: int = 500) -> list[ImageRow]:
    query = _owned(actor).where(ImageRow.deleted_at.is_not(None)).order_by(ImageRow.deleted_at).limit(limit)
    return list(await session.scalars(query))


async def drop(session: AsyncSession, image_ids: Collection[str]) -> None:
    await session.execute(delete(ImageRow).where(ImageRow.id.in_(image_ids)))


async def files_of(session: AsyncSession, job_ids: Collection[str]) -> set[tuple[str, int, str]]:
    """(job, index, format) of every picture of these jobs that has a row."""
    query = select(ImageRow.job_id, ImageRow.index, ImageRow.format).where(ImageRow.job_id.in_(job_ids))
    return {(job_id, index, form) for job_id, index, form in await session.execute(query)}
