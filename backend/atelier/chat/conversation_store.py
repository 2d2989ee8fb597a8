"""The only queries on conversations, their messages and presets. Each is its owner's alone: not even an administrator
reads what others talk about."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, column, delete, or_, select, table, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from atelier.access.actor import Actor
from atelier.chat.conversation_schemas import Looked
from atelier.errors import BadRequest
from atelier.said import Said
from atelier.tables import AnswerState, ChatPresetRow, ConversationRow, MessageRow

# The indexes of words, kept by triggers: every run of three characters, so parts of words are found as well.
_TITLES = table("conversations_words", column("rowid"), column("conversations_words"))
_WORDS = table("chat_messages_words", column("rowid"), column("chat_messages_words"))
INDEXED_LENGTH = 3
_CURSOR = re.compile(r"([01])\.([0-9]{1,18})\.([0-9]{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BESIDE = aliased(ConversationRow)
_WITH_PICTURES = text("chat_messages.pictures <> '[]'")  # as the index has it
_LISTED = text("conversations.deleted_at IS NULL AND conversations.beside_of IS NULL")

# ── conversations ──


async def page(
    session: AsyncSession, actor: Actor, looked: Looked, *, cursor: str | None, limit: int
) -> tuple[list[ConversationRow], str | None]:
    """The pinned ones first, then what was last spoken in; and where the next page begins. Raises BadRequest for a
    foreign cursor."""
    order = (ConversationRow.pinned, ConversationRow.updated_at, ConversationRow.seq)
    query = select(ConversationRow).where(
        ConversationRow.owner_id == actor.id, ConversationRow.archived.is_(looked.archived), _LISTED
    )
    for word in set((looked.words or "").replace("\0", " ").split()):
        query = query.where(_says(word))
    if looked.picture:
        shown = cast(MessageRow.pictures, String).contains(f'"{looked.picture}"', autoescape=True)
        query = query.where(_holds(and_(_WITH_PICTURES, shown)))
    if cursor is not None:
        query = query.where(tuple_(*order) < _after(cursor))
    query = query.order_by(*(one.desc() for one in order)).limit(limit + 1)
    rows = list(await session.scalars(query))
    return rows[:limit], _cursor_of(rows[limit - 1]) if len(rows) > limit else None


def _says(word: str) -> ColumnElement[bool]:
    """That the title or a message holds the word: of the conversation, or of the one that is shown beside it."""
    if len(word) >= INDEXED_LENGTH:
        match = '"' + word.replace('"', '""') + '"'
        titled: Any = select(_TITLES.c.rowid).where(_TITLES.c.conversations_words.op("MATCH")(match))
        saying: Any = select(_WORDS.c.rowid).where(_WORDS.c.chat_messages_words.op("MATCH")(match))
        title, said = ConversationRow.seq.in_(titled), MessageRow.seq.in_(saying)
    else:
        title = ConversationRow.title.icontains(word, autoescape=True)
        said = MessageRow.content.icontains(word, autoescape=True)
    return or_(title, _holds(said))


def _holds(message: ColumnElement[bool]) -> ColumnElement[bool]:
    """That such a message is in the conversation, or in the one that is shown beside it."""
    holding = select(MessageRow.conversation_id).where(message)
    beside_it = select(_BESIDE.beside_of).where(_BESIDE.beside_of.is_not(None), _BESIDE.id.in_(holding))
    return or_(ConversationRow.id.in_(holding), ConversationRow.id.in_(beside_it))


def _after(cursor: str) -> Any:
    found = _CURSOR.fullmatch(cursor)
    if not found or not cursor.isascii():
        raise BadRequest(
            Said("This cursor was not handed out by a page.", "request.cursor_unknown"),
            field="query.cursor",
            hint="Leave it out for the first page, then send back next_cursor.",
        )
    moment = min(_EPOCH + timedelta(microseconds=min(int(found[2]), 10**17)), datetime(9999, 1, 1, tzinfo=UTC))
    types = [ConversationRow.pinned.type, ConversationRow.updated_at.type, ConversationRow.seq.type]
    return tuple_(found[1] == "1", moment, int(found[3]), types=types)


def _cursor_of(row: ConversationRow) -> str:
    return f"{int(row.pinned)}.{(row.updated_at - _EPOCH) // timedelta(microseconds=1)}.{row.seq}"


async def find(
    session: AsyncSession, actor: Actor, conversation_id: str, *, deleted: bool = False
) -> ConversationRow | None:
    gone = ConversationRow.deleted_at.is_not(None) if deleted else ConversationRow.deleted_at.is_(None)
    query = select(ConversationRow).where(
        ConversationRow.owner_id == actor.id, ConversationRow.id == conversation_id, gone
    )
    return (await session.scalars(query)).one_or_none()


async def beside(session: AsyncSession, conversation_ids: Collection[str]) -> dict[str, ConversationRow]:
    """The conversations that are shown beside these, by the id of those."""
    query = select(ConversationRow).where(ConversationRow.beside_of.in_(conversation_ids))
    return {row.beside_of or "": row for row in await session.scalars(query.order_by(ConversationRow.seq))}


async def drop_expired(session: AsyncSession, before: datetime) -> int:
    """Conversations that have been in the trash since `before`, with their messages."""
    gone = select(ConversationRow.id).where(ConversationRow.deleted_at < before).limit(100)
    ids = list(await session.scalars(gone))
    if ids:
        await session.execute(delete(MessageRow).where(MessageRow.conversation_id.in_(ids)))
        await session.execute(delete(ConversationRow).where(ConversationRow.id.in_(ids)))
    return len(ids)


# ── messages ──


async def messages(session: AsyncSession, conversation_id: str) -> list[MessageRow]:
    """All of a conversation, every branch, in the order in which they were said."""
    query = select(MessageRow).where(MessageRow.conversation_id == conversation_id).order_by(MessageRow.seq)
    return list(await session.scalars(query))


async def add_all(session: AsyncSession, conversation: ConversationRow, rows: Sequence[MessageRow]) -> None:
    """A whole conversation, its messages in their order."""
    session.add(conversation)
    await session.flush()
    for row in rows:
        session.add(row)
    await session.flush()


async def find_message(session: AsyncSession, conversation_id: str, message_id: str) -> MessageRow | None:
    query = select(MessageRow).where(MessageRow.conversation_id == conversation_id, MessageRow.id == message_id)
    return (await session.scalars(query)).one_or_none()


async def write_answer(session: AsyncSession, message_id: str, values: dict[str, Any]) -> None:
    """Put down how far an answer is. One that has ended already is left as it is."""
    growing = (MessageRow.id == message_id, MessageRow.state == AnswerState.GROWING)
    await session.execute(update(MessageRow).where(*growing).values(**values))


async def interrupt_growing(session: AsyncSession, moment: datetime) -> int:
    """Answers that an earlier server did not end."""
    query = update(MessageRow).where(text("state = 'growing'"))
    done = await session.execute(query.values(state=AnswerState.INTERRUPTED, finished_at=moment))
    return done.rowcount  # type: ignore[attr-defined]


# ── presets ──


async def presets(session: AsyncSession, actor: Actor) -> list[ChatPresetRow]:
    query = select(ChatPresetRow).where(ChatPresetRow.owner_id == actor.id).order_by(ChatPresetRow.name)
    return list(await session.scalars(query))


async def find_preset(session: AsyncSession, actor: Actor, preset_id: str) -> ChatPresetRow | None:
    query = select(ChatPresetRow).where(ChatPresetRow.owner_id == actor.id, ChatPresetRow.id == preset_id)
    return (await session.scalars(query)).one_or_none()
