"""Looking through the gallery: filters, orders, pages; and what there is to filter by.

A page is found by its rows' places alone, along one index where there is one for what is asked; the rows themselves
are read afterwards. SQLite takes a partial index only when it finds its condition, to the letter, in the query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, column, func, select, table, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.errors import BadRequest
from atelier.said import Said
from atelier.tables import CollectionImageRow, ImageLoraRow, ImageRow, ImageTagRow

# The index of the prompts' words, kept by triggers: every run of three characters, so parts of words are found as well.
_WORDS = table("images_words", column("rowid"), column("images_words"))
INDEXED_LENGTH = 3
MOST_NAMES = 200
_CURSOR = re.compile(r"(?:(-?[0-9]{1,18})\.)?([0-9]{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Sort = Literal["newest", "oldest", "rating"]
BEST = 5
"""Stars at most."""
Aspect = Literal["landscape", "portrait", "square"]
_ASPECTS = {
    "landscape": text("(width > height) - (width < height) = 1"),
    "portrait": text("(width > height) - (width < height) = -1"),
    "square": text("(width > height) - (width < height) = 0"),
}


@dataclass(frozen=True)
class Look:
    """What to show of the gallery, and in which order. None: whatever it is."""

    words: str | None = None
    model: str | None = None
    lora: str | None = None
    size: tuple[int, int] | None = None
    aspect: Aspect | None = None
    since: datetime | None = None
    until: datetime | None = None
    kind: Literal["image", "video"] | None = None
    favourite: bool | None = None
    rating: int | None = None
    unrated: bool | None = None
    tags: tuple[str, ...] = field(default=())
    collection: str | None = None
    parent: str | None = None
    sort: Sort = "newest"

    @property
    def is_everything(self) -> bool:
        return self == Look(sort=self.sort)


async def page(
    session: AsyncSession, actor: Actor, look: Look, *, cursor: str | None, limit: int
) -> tuple[list[ImageRow], str | None]:
    """The rows of one page, in order, and where the next one begins. Raises BadRequest for a foreign cursor."""
    seqs, goes_on = await _places(session, actor, look, cursor, limit)
    rows = {row.seq: row for row in await session.scalars(select(ImageRow).where(ImageRow.seq.in_(seqs)))}
    found = [rows[seq] for seq in seqs]
    return found, _cursor_of(found[-1], look) if goes_on else None


async def marks(
    session: AsyncSession, actor: Actor, look: Look, *, cursor: str | None, limit: int
) -> tuple[list[Any], str | None]:
    """As `page`, with no more of each picture than its `id` and what its owner said of it."""
    seqs, goes_on = await _places(session, actor, look, cursor, limit)
    columns = (ImageRow.seq, ImageRow.id, ImageRow.favourite, ImageRow.rating, ImageRow.created_at)
    query = select(*columns, ImageRow.tags_json, ImageRow.collections_json).where(ImageRow.seq.in_(seqs))
    rows = {row.seq: row for row in await session.execute(query)}
    found = [rows[seq] for seq in seqs]
    return found, _cursor_of(found[-1], look) if goes_on else None


async def _places(
    session: AsyncSession, actor: Actor, look: Look, cursor: str | None, limit: int
) -> tuple[list[int], bool]:
    """The places of one page, in order, and whether there are more."""
    query, place = _narrowed(actor, look)
    key, backwards = _order(look)
    if cursor is not None:
        query = query.where(_after(cursor, key, place, backwards))
    for one in (key, place):
        if one is not None:
            query = query.order_by(one.desc() if backwards else one.asc())
    seqs = list(await session.scalars(query.limit(limit + 1)))
    return seqs[:limit], len(seqs) > limit


def _narrowed(actor: Actor, look: Look) -> tuple[Select[Any], ColumnElement[int]]:
    """The places (`seq`) of what is wanted, and the column that they are read from."""
    place: Any = ImageRow.seq
    joined: list[tuple[Any, ColumnElement[bool]]] = []
    conditions = [ImageRow.deleted_at.is_(None), *_conditions(look)]
    words = set((look.words or "").replace("\0", " ").split())
    if indexed := {word for word in words if len(word) >= INDEXED_LENGTH}:
        match = " ".join('"' + word.replace('"', '""') + '"' for word in sorted(indexed))
        joined.append((_WORDS.c.rowid, _WORDS.c.images_words.op("MATCH")(match)))
    conditions += [ImageRow.prompt.icontains(word, autoescape=True) for word in words - indexed]
    if look.collection is not None:
        joined.append((CollectionImageRow.image_seq, CollectionImageRow.collection_id == look.collection))
    if look.lora is not None:
        joined.append((ImageLoraRow.image_seq, ImageLoraRow.lora == look.lora))
    if look.tags:
        joined.append((ImageTagRow.image_seq, ImageTagRow.tag == look.tags[0]))
    for tag in look.tags[1:]:
        tagged = select(ImageTagRow.image_seq).where(ImageTagRow.tag == tag, ImageTagRow.image_seq == ImageRow.seq)
        conditions.append(tagged.correlate(ImageRow).exists())
    if not actor.is_admin:
        conditions.append(ImageRow.owner_id == actor.id)
    if joined and _order(look)[0] is None:
        place = joined[0][0]
    query = select(place).select_from(ImageRow)
    for other, condition in joined:
        query = query.join(other.table, other == ImageRow.seq).where(condition)
    return query.where(*conditions), place


def _conditions(look: Look) -> list[ColumnElement[bool]]:
    """What stands in the picture's own row."""
    found: list[Any] = []
    if look.model is not None:
        found.append(ImageRow.model == look.model)
    if look.size is not None:
        found += [ImageRow.width == look.size[0], ImageRow.height == look.size[1]]
    if look.aspect is not None:
        found.append(_ASPECTS[look.aspect])
    if look.since is not None:
        found.append(ImageRow.created_at >= look.since)
    if look.until is not None:
        found.append(ImageRow.created_at < look.until)
    if look.kind is not None:
        found.append(text("kind = 'video'") if look.kind == "video" else text("kind = 'image'"))
    if look.favourite is not None:
        found.append(text("favourite = 1") if look.favourite else text("favourite = 0"))
    if look.rating:
        # Of equals the index says the order as well; of a range it would have to be sorted.
        found.append(ImageRow.rating == BEST if look.rating == BEST else ImageRow.rating >= look.rating)
    if look.unrated:
        found.append(ImageRow.rating == 0)
    if look.parent is not None:
        found += [ImageRow.parent_id == look.parent]
    return found


def _order(look: Look) -> tuple[Any, bool]:
    """What goes before the place in the order, and whether the order is backwards. Of a time that is named, the time
    itself: along its index, the pictures before and after it are never looked at."""
    if look.sort == "rating":
        return ImageRow.rating, True
    timed = look.since is not None or look.until is not None
    return (ImageRow.created_at if timed else None), look.sort == "newest"


def _cursor_of(row: Any, look: Look) -> str:
    key, _ = _order(look)
    if key is None:
        return str(row.seq)
    if key is ImageRow.rating:
        return f"{row.rating}.{row.seq}"
    return f"{(row.created_at - _EPOCH) // timedelta(microseconds=1)}.{row.seq}"


def _after(cursor: str, key: Any, place: Any, backwards: bool) -> ColumnElement[bool]:
    found = _CURSOR.fullmatch(cursor)
    if not found or not cursor.isascii() or (found[1] is None) is not (key is None):
        raise BadRequest(
            Said("This cursor was not handed out by a page.", "request.cursor_unknown"),
            field="query.cursor",
            hint="Leave it out for the first page, then send back next_cursor.",
        )
    seq = int(found[2])
    if key is None:
        return place < seq if backwards else place > seq
    value: Any = int(found[1])
    if key is not ImageRow.rating:
        value = min(_EPOCH + timedelta(microseconds=max(0, min(value, 10**17))), datetime(9999, 1, 1, tzinfo=UTC))
    ours, other = tuple_(key, place), tuple_(value, seq, types=[key.type, place.type])
    return ours < other if backwards else ours > other


# ── what there is to filter by ──


async def counted(session: AsyncSession, actor: Actor, by: Any) -> list[tuple[Any, ...]]:
    """(value, …, how many pictures), most first. `by`: columns of the picture's row with which an index begins."""
    columns = by if isinstance(by, tuple) else (by,)
    query = select(*columns, func.count()).select_from(ImageRow).where(ImageRow.deleted_at.is_(None))
    if not actor.is_admin:
        query = query.where(ImageRow.owner_id == actor.id)
    query = query.group_by(*columns).order_by(func.count().desc(), *columns).limit(MOST_NAMES)
    return [tuple(row) for row in await session.execute(query)]


async def counted_beside(session: AsyncSession, actor: Actor, name: Any, image_seq: Any) -> dict[str, int]:
    """How many pictures each tag, LoRA or collection has. Of all pictures, less the few in the trash: so the pictures'
    own rows are not looked at."""
    query = select(name, func.count()).group_by(name)
    if not actor.is_admin:
        query = query.join(ImageRow, ImageRow.seq == image_seq).where(ImageRow.owner_id == actor.id)
    found: dict[str, int] = dict(list(await session.execute(query)))
    trash = list(await session.scalars(select(ImageRow.seq).where(ImageRow.deleted_at.is_not(None))))
    if trash:
        for key, count in await session.execute(query.where(image_seq.in_(trash))):
            found[key] -= count
    most = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return {key: count for key, count in most if count}


async def has_any(session: AsyncSession, actor: Actor, condition: str) -> bool:
    """Whether the gallery has a picture of a partial index, whose condition this is."""
    query = select(ImageRow.seq).where(ImageRow.deleted_at.is_(None), text(condition))
    if not actor.is_admin:
        query = query.where(ImageRow.owner_id == actor.id)
    return await session.scalar(query.order_by(ImageRow.seq.desc()).limit(1)) is not None


async def covers(session: AsyncSession, collection_ids: list[str], each: int = 4) -> dict[str, list[str]]:
    """The ids of the newest pictures of each collection."""
    found: dict[str, list[str]] = {}
    for collection_id in collection_ids:
        query = (
            select(ImageRow.id)
            .join(CollectionImageRow, CollectionImageRow.image_seq == ImageRow.seq)
            .where(CollectionImageRow.collection_id == collection_id, ImageRow.deleted_at.is_(None))
            .order_by(CollectionImageRow.image_seq.desc())
            .limit(each)
        )
        found[collection_id] = list(await session.scalars(query))
    return found
