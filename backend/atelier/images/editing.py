"""What their owner thinks of pictures: favourites, ratings, notes, tags; and one change to many at once.

Every change is one transaction: all of it or nothing. Other tabs hear of it after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.clock import now
from atelier.db import Database, after_commit
from atelier.errors import BadRequest, ImageNotFound
from atelier.events import CollectionsChanged, EventBus, ImagesChanged, ImagesRemoved, ImagesRestored
from atelier.images import store
from atelier.images.collections import find_collection
from atelier.images.gallery import TRASH_SECONDS
from atelier.images.gallery_schemas import MAX_TAGS, BulkEditIn, BulkEditOut, ImageEditIn
from atelier.said import Said
from atelier.shapes import ImageOut
from atelier.tables import ImageRow

# One event for so many pictures: a frame stays small enough for every listener's queue.
EVENT_IMAGES = 100


class Editor:
    """Changes to pictures for users."""

    def __init__(self, database: Database, bus: EventBus) -> None:
        self._database, self._bus = database, bus

    async def change(self, actor: Actor, image_id: str, wanted: ImageEditIn) -> ImageOut:
        async with self._database.write() as session:
            [row] = await self._rows(session, actor, [image_id])
            values = wanted.model_dump(exclude={"tags"}, exclude_none=True)
            await store.change(session, [row.seq], values)
            if wanted.tags is not None:
                await store.remove_tags(session, [row.seq], None)
                await store.add_tags(session, [row.seq], set(wanted.tags))
            [image] = await self._tell(session, [row])
        return image

    async def change_many(self, actor: Actor, wanted: BulkEditIn) -> BulkEditOut:
        """Raises ImageNotFound, CollectionNotFound, BadRequest; then nothing was changed."""
        ids = list(dict.fromkeys(wanted.ids))
        async with self._database.write() as session:
            rows = await self._rows(session, actor, ids, deleted=wanted.restore)
            if wanted.delete:
                return await self._delete(session, rows)
            if wanted.restore:
                return await self._restore(session, rows)
            seqs = [row.seq for row in rows]
            await store.change(session, seqs, wanted.model_dump(include={"favourite", "rating"}, exclude_none=True))
            await self._retag(session, rows, wanted)
            await self._move(session, actor, rows, wanted)
            return BulkEditOut(images=await self._tell(session, rows))

    async def _rows(
        self, session: AsyncSession, actor: Actor, ids: Sequence[str], *, deleted: bool = False
    ) -> list[ImageRow]:
        found = {row.id: row for row in await store.find_many(session, actor, ids, deleted=deleted)}
        missing = [image_id for image_id in ids if image_id not in found]
        if not missing:
            return [found[image_id] for image_id in ids]
        if deleted:
            words = Said(
                f"{len(missing)} of these pictures are not in the trash.", "image.many_not_in_trash", count=len(missing)
            )
            hint = "They were restored already, or are gone. Leave them out."
        elif len(ids) == 1:
            raise ImageNotFound(
                f"There is no picture {ids[0][:80]!r} in the gallery.",
                hint="It may have been deleted. GET /api/gallery lists what there is.",
            )
        else:
            words = Said(
                f"{len(missing)} of these pictures are not in the gallery.", "image.many_missing", count=len(missing)
            )
            hint = "They may have been deleted. Leave them out."
        raise ImageNotFound(words, hint=hint, fields={f"ids.{ids.index(one)}": words for one in missing})

    async def _retag(self, session: AsyncSession, rows: list[ImageRow], wanted: BulkEditIn) -> None:
        seqs, added, removed = [row.seq for row in rows], set(wanted.add_tags), set(wanted.remove_tags)
        full = [at for at, row in enumerate(rows) if len((set(row.tags) | added) - removed) > MAX_TAGS]
        if full:
            words = Said(f"A picture can have {MAX_TAGS} tags at most.", "image.too_many_tags", limit=MAX_TAGS)
            raise BadRequest(words, hint="Take other tags off first.", fields={f"ids.{at}": words for at in full})
        if removed:
            await store.remove_tags(session, seqs, removed)
        await store.add_tags(session, seqs, added - removed)

    async def _move(self, session: AsyncSession, actor: Actor, rows: list[ImageRow], wanted: BulkEditIn) -> None:
        seqs = [row.seq for row in rows]
        for field, collection_id in (("add_to", wanted.add_to), ("remove_from", wanted.remove_from)):
            if collection_id is None:
                continue
            collection = await find_collection(session, actor, collection_id, field=field)
            foreign = [at for at, row in enumerate(rows) if row.owner_id != collection.owner_id]
            if foreign:
                words = Said("The picture and the collection belong to different people.", "collection.other_owner")
                fields = {f"ids.{at}": words for at in foreign}
                raise BadRequest(words, hint="Choose a collection of the picture's owner.", fields=fields)
            if field == "add_to":
                await store.add_to_collection(session, collection.id, seqs)
            else:
                await store.remove_from_collection(session, collection.id, seqs)
            owner = collection.owner_id
            after_commit(session, lambda owner=owner: self._bus.publish(CollectionsChanged(), owner=owner))

    async def _delete(self, session: AsyncSession, rows: list[ImageRow]) -> BulkEditOut:
        at = now()
        await store.change(session, [row.seq for row in rows], {"deleted_at": at})
        for owner, some in _by_owner(rows):
            event = ImagesRemoved(ids=[row.id for row in some])
            after_commit(session, lambda event=event, owner=owner: self._bus.publish(event, owner=owner))
        return BulkEditOut(images=[], restorable_until=at + timedelta(seconds=TRASH_SECONDS))

    async def _restore(self, session: AsyncSession, rows: list[ImageRow]) -> BulkEditOut:
        await store.change(session, [row.seq for row in rows], {"deleted_at": None})
        for owner, some in _by_owner(rows):
            event = ImagesRestored(images=[ImageOut.of(row) for row in some])
            after_commit(session, lambda event=event, owner=owner: self._bus.publish(event, owner=owner))
        return BulkEditOut(images=[ImageOut.of(row) for row in rows])

    async def _tell(self, session: AsyncSession, rows: list[ImageRow]) -> list[ImageOut]:
        """The pictures as they are now, to the caller and to other tabs."""
        fresh = {row.seq: row for row in await store.reread(session, [row.seq for row in rows])}
        rows = [fresh[row.seq] for row in rows]
        for owner, some in _by_owner(rows):
            event = ImagesChanged(images=[ImageOut.of(row) for row in some])
            after_commit(session, lambda event=event, owner=owner: self._bus.publish(event, owner=owner))
        return [ImageOut.of(row) for row in rows]


def _by_owner(rows: list[ImageRow]) -> Iterable[tuple[str, list[ImageRow]]]:
    """The rows of each owner, at most EVENT_IMAGES together."""
    for owner in dict.fromkeys(row.owner_id for row in rows):
        ours = [row for row in rows if row.owner_id == owner]
        for begin in range(0, len(ours), EVENT_IMAGES):
            yield owner, ours[begin : begin + EVENT_IMAGES]
