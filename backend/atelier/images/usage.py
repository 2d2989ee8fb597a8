"""What pictures take on the disk, what could be freed, and freeing it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.clock import now
from atelier.db import Database
from atelier.images import store
from atelier.images.gallery import Gallery
from atelier.images.gallery_schemas import AmountOut, NamedAmountOut, StorageOut
from atelier.storage import Storage
from atelier.tables import CollectionImageRow, ImageRow, ImageTagRow, InputRow

OLD_DAYS = 90
_AMOUNT = (func.count(), func.coalesce(func.sum(ImageRow.bytes), 0))


class Usage:
    """Adds up, and empties the trash."""

    def __init__(self, database: Database, storage: Storage, gallery: Gallery) -> None:
        self._database, self._storage, self._gallery = database, storage, gallery

    async def get(self, actor: Actor) -> StorageOut:
        async with self._database.read() as session:
            by_model = await _by(session, actor, ImageRow.model)
            by_month = await _by(session, actor, func.substr(ImageRow.created_at, 1, 7))
            by_kind = await _by(session, actor, ImageRow.kind)
            trash = await _one(session, _seen(actor, *_AMOUNT, deleted=True))
            old = await _one(session, _unloved(actor))
            inputs = select(func.count(), func.coalesce(func.sum(InputRow.bytes), 0))
            inputs = inputs if actor.is_admin else inputs.where(InputRow.owner_id == actor.id)
            uploads = await _one(session, inputs)
        by_month.sort(key=lambda month: month.name, reverse=True)
        return StorageOut(
            total=AmountOut(count=sum(one.count for one in by_kind), bytes=sum(one.bytes for one in by_kind)),
            by_model=by_model,
            by_month=by_month,
            by_kind=by_kind,
            trash=trash,
            inputs=uploads,
            unrated_old=old,
            old_days=OLD_DAYS,
            free_bytes=await asyncio.to_thread(self._storage.free_bytes),
        )

    async def empty_trash(self, actor: Actor) -> AmountOut:
        """What was deleted is gone for good, before its hour is over. How much that was."""
        count, size = 0, 0
        while True:
            async with self._database.write() as session:
                rows = await store.trash(session, actor)
                await store.drop(session, [row.id for row in rows])
            if not rows:
                return AmountOut(count=count, bytes=size)
            await self._gallery.drop_files(rows)
            count, size = count + len(rows), size + sum(row.bytes for row in rows)


def _seen(actor: Actor, *what: Any, deleted: bool = False) -> Select[Any]:
    query = select(*what).select_from(ImageRow)
    query = query.where(ImageRow.deleted_at.is_not(None) if deleted else ImageRow.deleted_at.is_(None))
    return query if actor.is_admin else query.where(ImageRow.owner_id == actor.id)


def _unloved(actor: Actor) -> Select[Any]:
    """Old pictures of which nobody ever said anything."""
    tagged = select(ImageTagRow.image_seq).where(ImageTagRow.image_seq == ImageRow.seq).correlate(ImageRow)
    held = select(CollectionImageRow.image_seq).where(CollectionImageRow.image_seq == ImageRow.seq).correlate(ImageRow)
    before = now() - timedelta(days=OLD_DAYS)
    query = _seen(actor, *_AMOUNT).where(ImageRow.created_at < before, ImageRow.rating == 0)
    return query.where(ImageRow.favourite.is_(False), ~tagged.exists(), ~held.exists())


async def _by(session: AsyncSession, actor: Actor, name: Any) -> list[NamedAmountOut]:
    """Most bytes first."""
    query = _seen(actor, name, *_AMOUNT).group_by(name).order_by(_AMOUNT[1].desc())
    return [NamedAmountOut(name=key, count=count, bytes=size) for key, count, size in await session.execute(query)]


async def _one(session: AsyncSession, query: Select[Any]) -> AmountOut:
    count, size = (await session.execute(query)).one()
    return AmountOut(count=count, bytes=size)
