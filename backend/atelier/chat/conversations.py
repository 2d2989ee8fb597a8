"""Conversations: what is said in them, which branch is looked at, how they are found, deleted and taken back.

What a person says and the answer that is to come are committed together before anybody hears of them: what was
accepted is there after a power cut, and its answer with it, as far as it came.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.chat import conversation_store as store
from atelier.chat.answering import Answers
from atelier.chat.asking import branch_of
from atelier.chat.conversation_schemas import (
    ConversationDeletedOut,
    ConversationDetailOut,
    ConversationIn,
    ConversationOut,
    ConversationPage,
    ConversationPatchIn,
    Looked,
    MessageOut,
    SayIn,
    SentOut,
)
from atelier.clock import new_id, now
from atelier.db import Database, after_commit
from atelier.errors import BadRequest, Conflict, NotFound
from atelier.events import ConversationChanged, EventBus
from atelier.images.inputs import InputStore
from atelier.said import Said
from atelier.tables import AnswerState, ConversationRow, MessageRow

log = structlog.get_logger("atelier.chat")

TRASH_SECONDS = 3600
SWEEP_SECONDS = 600
TITLE_LETTERS = 60
MOST_MESSAGES = 5000
_COPIED = (
    *("content", "pictures", "reasoning", "tool_calls", "tool_call_id", "model", "state", "finish_reason"),
    *("usage", "timing", "error", "created_at", "finished_at"),
)


class ConversationNotFound(NotFound):
    code = "conversation_not_found"


class MessageNotFound(NotFound):
    code = "message_not_found"


class Conversations:
    """Every call takes the actor: conversations are their owner's alone."""

    def __init__(self, database: Database, bus: EventBus, inputs: InputStore, answers: Answers) -> None:
        self._database, self._bus, self._inputs, self.answers = database, bus, inputs, answers
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="chat.sweep")

    async def close(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    # ── looking ──

    async def page(self, actor: Actor, looked: Looked, *, cursor: str | None, limit: int) -> ConversationPage:
        async with self._database.read() as session:
            rows, after = await store.page(session, actor, looked, cursor=cursor, limit=limit)
            beside = await store.beside(session, [row.id for row in rows])
        return ConversationPage(items=[ConversationOut.of(row, beside.get(row.id)) for row in rows], next_cursor=after)

    async def get(self, actor: Actor, conversation_id: str) -> ConversationDetailOut:
        async with self._database.read() as session:
            row = await _find(session, actor, conversation_id)
            beside = await store.beside(session, [row.id])
            messages = [MessageOut.of(one) for one in await store.messages(session, row.id)]
        shown = ConversationOut.of(row, beside.get(row.id))
        return ConversationDetailOut(
            **shown.model_dump(), messages=[self.answers.shown(message) for message in messages]
        )

    async def message(self, actor: Actor, conversation_id: str, message_id: str) -> MessageOut:
        async with self._database.read() as session:
            row = await _find(session, actor, conversation_id)
            return MessageOut.of(await _message(session, row, message_id))

    # ── changing ──

    async def add(self, actor: Actor, wanted: ConversationIn) -> ConversationDetailOut:
        """Begin a conversation; with a message its answer begins as well. Beside another one, it begins with what was
        said there, and its own model answers the last of it."""
        row = new_conversation(
            actor,
            title=wanted.title,
            model=wanted.model,
            system_prompt=wanted.system_prompt,
            parameters=wanted.parameters.model_dump(exclude_none=True),
            beside_of=wanted.beside_of,
        )
        if wanted.message:
            await self._check(actor, wanted.message)
        async with self._database.write() as session:
            other = await _find(session, actor, wanted.beside_of) if wanted.beside_of else None
            session.add(row)
            await session.flush()
            if other:
                await self._go_along(session, actor, row, other)
            if wanted.message:
                await self._say(session, actor, row, wanted.message)
            self._tell(session, row)
        return await self.get(actor, row.id)

    async def change(self, actor: Actor, conversation_id: str, wanted: ConversationPatchIn) -> ConversationOut:
        async with self._database.write() as session:
            row = await _find(session, actor, conversation_id)
            given = wanted.model_dump(exclude_unset=True, exclude={"parameters", "apart"})
            if given.get("head_id"):
                await _message(session, row, given["head_id"])
            for name, value in given.items():
                # A title, a prompt or a flag is never taken away; a model and a branch may be.
                if value is not None or name in {"model", "head_id"}:
                    setattr(row, name, value)
            if wanted.parameters is not None:
                row.parameters = wanted.parameters.model_dump(exclude_none=True)
            if wanted.apart:
                row.beside_of = None
            self._tell(session, row)
            return ConversationOut.of(row, (await store.beside(session, [row.id])).get(row.id))

    async def delete(self, actor: Actor, conversation_id: str) -> ConversationDeletedOut:
        """Into the trash, with the one beside it; what grows in them is stopped."""
        async with self._database.write() as session:
            row = await _find(session, actor, conversation_id)
            gone = [row, *(await store.beside(session, [row.id])).values()]
            growing = [one.id for each in gone for one in await store.messages(session, each.id) if _grows(one)]
            row.deleted_at = moment = now()
            for other in gone[1:]:
                other.deleted_at = moment
            self._tell(session, row)
        for message_id in growing:
            await self.answers.stop(message_id)
        until = moment + timedelta(seconds=TRASH_SECONDS)
        return ConversationDeletedOut(id=row.id, deleted_at=moment, restorable_until=until)

    async def restore(self, actor: Actor, conversation_id: str) -> ConversationOut:
        async with self._database.write() as session:
            row = await _find(session, actor, conversation_id, deleted=True)
            beside = await store.beside(session, [row.id])
            for one in (row, *beside.values()):
                one.deleted_at = None
            self._tell(session, row)
            return ConversationOut.of(row, beside.get(row.id))

    # ── saying ──

    async def say(self, actor: Actor, conversation_id: str, wanted: SayIn) -> SentOut:
        await self._check(actor, wanted)
        async with self._database.write() as session:
            row = await _find(session, actor, conversation_id)
            sent = await self._say(session, actor, row, wanted)
            self._tell(session, row)
        return sent

    async def again(self, actor: Actor, conversation_id: str, message_id: str, model: str | None) -> SentOut:
        """Another answer beside one that there is, or to something that was said."""
        self.answers.check_room(actor)
        async with self._database.write() as session:
            row = await _find(session, actor, conversation_id)
            messages = await store.messages(session, row.id)
            told = next((one for one in messages if one.id == message_id), None)
            if told is not None and told.role == "assistant":
                told = next((one for one in messages if one.id == told.parent_id), None)
            if told is None:
                raise _no_message(message_id)
            answer = self._answer(session, actor, row, branch_of(messages, told.id), model or row.model)
            self._tell(session, row)
        return SentOut(message=MessageOut.of(told), answer=MessageOut.of(answer))

    async def stop(self, actor: Actor, conversation_id: str, message_id: str) -> MessageOut:
        await self.message(actor, conversation_id, message_id)
        await self.answers.stop(message_id)
        return await self.message(actor, conversation_id, message_id)

    async def _check(self, actor: Actor, wanted: SayIn) -> None:
        """Before the writer is ours. Raises BadRequest, NotFound, TooManyJobs."""
        if not wanted.content.strip() and not wanted.pictures:
            words = Said("The message is empty.", "conversation.message_empty")
            raise BadRequest(words, field="content", hint="Write something, or add a picture.")
        if wanted.role == "tool" and not wanted.tool_call_id:
            words = Said("It is not said which call this answers.", "conversation.call_missing")
            raise BadRequest(words, field="tool_call_id", hint="Send the id of one of the answer's `tool_calls`.")
        self.answers.check_room(actor)
        for ref in wanted.pictures:
            await self._inputs.use(actor, ref, field="pictures")

    async def _say(self, session: AsyncSession, actor: Actor, row: ConversationRow, wanted: SayIn) -> SentOut:
        messages = await store.messages(session, row.id)
        if len(messages) >= MOST_MESSAGES:
            words = Said(
                f"A conversation has {MOST_MESSAGES} messages at most.", "conversation.too_long", limit=MOST_MESSAGES
            )
            raise Conflict(words, hint="Begin another one.")
        parent = None if wanted.at_start else wanted.parent_id or row.head_id
        branch = branch_of(messages, parent)
        if wanted.parent_id and not branch:
            raise _no_message(wanted.parent_id)
        if branch and _grows(branch[-1]):
            words = Said("The answer before this still grows.", "conversation.still_growing")
            raise Conflict(words, hint="Wait for its end, or stop it.")
        message = new_message(
            row.id,
            branch[-1].id if branch else None,
            wanted.role,
            content=wanted.content,
            pictures=wanted.pictures,
            tool_call_id=wanted.tool_call_id,
        )
        session.add(message)
        await session.flush()
        row.title = row.title or title_of(wanted.content)
        answer = self._answer(session, actor, row, [*branch, message], row.model)
        return SentOut(message=MessageOut.of(message), answer=MessageOut.of(answer))

    async def _go_along(
        self, session: AsyncSession, actor: Actor, row: ConversationRow, other: ConversationRow
    ) -> None:
        """Copy the branch that is looked at in `other`, up to what a person said last; answer that."""
        said = branch_of(await store.messages(session, other.id), other.head_id)
        while said and said[-1].role == "assistant":
            said.pop()
        row.title = row.title or other.title
        branch: list[MessageRow] = []
        for one in said:
            kept = {name: getattr(one, name) for name in _COPIED}
            branch.append(new_message(row.id, branch[-1].id if branch else None, one.role, **kept))
            session.add(branch[-1])
            await session.flush()
        if branch:
            self._answer(session, actor, row, branch, row.model)

    def _answer(
        self, session: AsyncSession, actor: Actor, row: ConversationRow, branch: list[MessageRow], model: str | None
    ) -> MessageRow:
        if not model:
            words = Said("No model is chosen.", "conversation.none_chosen")
            raise BadRequest(words, field="model", hint="Choose one; GET /v1/models lists them.")
        answer = new_message(row.id, branch[-1].id, "assistant", model=model, state=AnswerState.GROWING)
        session.add(answer)
        row.head_id, row.updated_at = answer.id, now()
        after_commit(session, lambda: self.answers.begin(actor, row, branch, answer))
        return answer

    def _tell(self, session: AsyncSession, row: ConversationRow) -> None:
        after_commit(session, lambda: self._bus.publish(ConversationChanged(id=row.id), owner=row.owner_id))

    # ── letting go ──

    async def sweep(self) -> None:
        """Empty the trash that is past its time."""
        async with self._database.write() as session:
            dropped = await store.drop_expired(session, now() - timedelta(seconds=TRASH_SECONDS))
        if dropped:
            log.info("chat.swept", conversations=dropped)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # loop edge: the next try may do better
                log.exception("chat.sweep_failed")
            await asyncio.sleep(SWEEP_SECONDS)


def new_conversation(actor: Actor, **values: Any) -> ConversationRow:
    """Every column has a value: a row that was just added is read without asking for it again."""
    moment = now()
    row = ConversationRow(id=new_id("cnv"), owner_id=actor.id, created_at=moment, updated_at=moment)
    empty = {"title": "", "model": None, "system_prompt": "", "parameters": {}, "pinned": False, "archived": False}
    for name, value in {**empty, "beside_of": None, "head_id": None, "deleted_at": None, **values}.items():
        setattr(row, name, value)
    return row


def new_message(conversation_id: str, parent_id: str | None, role: str, **values: Any) -> MessageRow:
    """As `new_conversation`."""
    row = MessageRow(id=new_id("msg"), conversation_id=conversation_id, parent_id=parent_id, role=role)
    empty = {"content": "", "pictures": [], "reasoning": "", "tool_calls": [], "state": AnswerState.COMPLETE}
    none = dict.fromkeys(("tool_call_id", "model", "finish_reason", "usage", "timing", "error", "finished_at"))
    for name, value in {**empty, **none, "created_at": now(), **values}.items():
        setattr(row, name, value)
    return row


def title_of(content: str) -> str:
    """The first words of what was said."""
    line = " ".join(content.split())
    if len(line) <= TITLE_LETTERS:
        return line
    return line[:TITLE_LETTERS].rsplit(" ", 1)[0].rstrip(",;:. ") + "…"


def _grows(row: MessageRow) -> bool:
    return row.state == AnswerState.GROWING


async def _find(session: AsyncSession, actor: Actor, conversation_id: str, *, deleted: bool = False) -> ConversationRow:
    row = await store.find(session, actor, conversation_id, deleted=deleted)
    if row is None:
        raise ConversationNotFound(
            f"There is no conversation {conversation_id[:80]!r}.",
            hint="It may have been deleted. GET /api/chat/conversations lists yours.",
        )
    return row


async def _message(session: AsyncSession, row: ConversationRow, message_id: str) -> MessageRow:
    found = await store.find_message(session, row.id, message_id)
    if found is None:
        raise _no_message(message_id)
    return found


def _no_message(message_id: str) -> MessageNotFound:
    return MessageNotFound(
        f"There is no message {message_id[:80]!r} in this conversation.", hint="GET the conversation to see them all."
    )
