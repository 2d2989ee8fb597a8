"""Collections: pictures that belong together, by name. A picture may be in several; deleting one deletes no picture."""

from __future__ import annotations

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.clock import new_id, now
from atelier.db import Database, after_commit
from atelier.errors import CollectionNotFound, Conflict
from atelier.events import CollectionsChanged, EventBus, ImagesChanged
from atelier.images import search, store
from atelier.images.gallery_schemas import CollectionIn, CollectionList, CollectionOut
from atelier.said import Said
from atelier.shapes import ImageOut
from atelier.tables import CollectionImageRow, CollectionRow

MOST = 200


class Collections:
    """Makes, renames, deletes and lists collections for users."""

    def __init__(self, database: Database, bus: EventBus) -> None:
        self._database, self._bus = database, bus

    async def list(self, actor: Actor) -> CollectionList:
        """By name."""
        async with self._database.read() as session:
            rows = list(await session.scalars(_owned(actor).order_by(func.lower(CollectionRow.name))))
            beside = (CollectionImageRow.collection_id, CollectionImageRow.image_seq)
            counts = await search.counted_beside(session, actor, *beside)
            covers = await search.covers(session, [row.id for row in rows])
        return CollectionList(items=[_out(row, counts.get(row.id, 0), covers[row.id]) for row in rows])

    async def add(self, actor: Actor, wanted: CollectionIn) -> CollectionOut:
        async with self._database.write() as session:
            await self._check_name(session, actor.id, wanted.name)
            row = CollectionRow(id=new_id("col"), owner_id=actor.id, name=wanted.name, created_at=now())
            session.add(row)
            self._tell(session, row.owner_id)
        return _out(row, 0, [])

    async def change(self, actor: Actor, collection_id: str, wanted: CollectionIn) -> CollectionOut:
        async with self._database.write() as session:
            row = await find_collection(session, actor, collection_id)
            await self._check_name(session, row.owner_id, wanted.name, but=row.id)
            row.name = wanted.name
            self._tell(session, row.owner_id)
            return await self._shown(session, row)

    async def remove(self, actor: Actor, collection_id: str) -> CollectionOut:
        """As it was. Its pictures stay in the gallery."""
        async with self._database.write() as session:
            row = await find_collection(session, actor, collection_id)
            shown = await self._shown(session, row)
            images = [image.seq for image in await store.of_collection(session, row.id)]
            await session.execute(delete(CollectionImageRow).where(CollectionImageRow.collection_id == row.id))
            await session.execute(delete(CollectionRow).where(CollectionRow.id == row.id))
            self._tell(session, row.owner_id)
            for begin in range(0, len(images), 100):
                changed = await store.reread(session, images[begin : begin + 100])
                event = ImagesChanged(images=[ImageOut.of(image) for image in changed])
                after_commit(session, lambda event=event: self._bus.publish(event, owner=row.owner_id))
        return shown

    async def _shown(self, session: AsyncSession, row: CollectionRow) -> CollectionOut:
        covers = await search.covers(session, [row.id])
        return _out(row, await store.count_of_collection(session, row.id), covers[row.id])

    def _tell(self, session: AsyncSession, owner: str) -> None:
        after_commit(session, lambda: self._bus.publish(CollectionsChanged(), owner=owner))

    async def _check_name(self, session: AsyncSession, owner: str, name: str, but: str = "") -> None:
        """Raises Conflict for a name that is taken (in any letters), and for one collection too many."""
        query = select(CollectionRow.id, CollectionRow.name).where(CollectionRow.owner_id == owner)
        others = [known for key, known in await session.execute(query) if key != but]
        if name.casefold() in {known.casefold() for known in others}:
            words = Said(f"There is a collection {name!r} already.", "collection.name_taken", name=name)
            raise Conflict(words, field="name", hint="Choose another name.")
        if len(others) >= MOST:
            words = Said(f"There can be {MOST} collections at most.", "collection.too_many", limit=MOST)
            raise Conflict(words, hint="Delete one that is no longer needed; its pictures stay.")


async def find_collection(
    session: AsyncSession, actor: Actor, collection_id: str, *, field: str | None = None
) -> CollectionRow:
    row = (await session.scalars(_owned(actor).where(CollectionRow.id == collection_id))).one_or_none()
    if row is None:
        raise CollectionNotFound(
            f"There is no collection {collection_id[:80]!r}.",
            field=field,
            hint="It may have been deleted. GET /api/collections lists what there is.",
        )
    return row


def _owned(actor: Actor) -> Select[tuple[CollectionRow]]:
    query = select(CollectionRow)
    return query if actor.is_admin else query.where(CollectionRow.owner_id == actor.id)


def _out(row: CollectionRow, count: int, images: list[str]) -> CollectionOut:
    covers = [f"/api/gallery/{image_id}/thumbnail" for image_id in images]
    return CollectionOut(id=row.id, name=row.name, count=count, covers=covers, created_at=row.created_at)
