"""Answers on their way: asked of a model, put down as they grow, told to whoever follows.

A task of the server's own reads each answer to its end, whether or not a browser looks. What there is of it is written
every second, and once more when it has ended. A server that starts finds the answers that an earlier one did not end,
and says so of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import structlog

from atelier.access.actor import Actor
from atelier.chat import conversation_store as store
from atelier.chat.answer_stream import EngineSaid, GrowingAnswer, only
from atelier.chat.answers import CONTEXT_FULL
from atelier.chat.asking import body_of
from atelier.chat.conversation_schemas import MessageOut
from atelier.chat.fitting import newest, newest_pictures, pictures_left_out, shorter
from atelier.chat.serving import ChatServing
from atelier.clock import now
from atelier.db import Database
from atelier.errors import AtelierError, BadRequest, TooManyJobs, Unavailable
from atelier.events import ConversationChanged, EventBus
from atelier.images.inputs import InputStore
from atelier.said import Said
from atelier.shapes import ErrorOut
from atelier.tables import AnswerState, ConversationRow, MessageRow

log = structlog.get_logger("atelier.chat")

PATH = "/v1/chat/completions"
WRITE_SECONDS = 1.0
MOST_OF_ONE = 16
"""Answers that may grow at once for one user."""


class ContextFull(BadRequest):
    code = CONTEXT_FULL


class Answers:
    """Owns the tasks. One answer is fed by exactly one of them."""

    def __init__(self, database: Database, bus: EventBus, serving: ChatServing, inputs: InputStore) -> None:
        self._database, self._bus, self._serving, self._inputs = database, bus, serving, inputs
        self._growing: dict[str, GrowingAnswer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._owners: dict[str, str] = {}
        self._stopped: set[str] = set()
        self._ending: set[str] = set()

    async def start(self) -> None:
        async with self._database.write() as session:
            lost = await store.interrupt_growing(session, now())
        if lost:
            log.info("chat.interrupted", answers=lost)

    async def close(self) -> None:
        """What grows is put down as interrupted."""
        tasks = list(self._tasks.values())
        for message_id in list(self._tasks):
            await self._break_off(message_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def check_room(self, actor: Actor) -> None:
        """Raises TooManyJobs when so many answers grow for this user already."""
        if sum(owner == actor.id for owner in self._owners.values()) >= MOST_OF_ONE:
            words = Said(
                f"{MOST_OF_ONE} answers grow at once already.", "conversation.too_many_answers", limit=MOST_OF_ONE
            )
            raise TooManyJobs(words, retry_after=5, hint="Wait for one of them, or stop it.")

    def begin(self, actor: Actor, conversation: ConversationRow, branch: Sequence[MessageRow], row: MessageRow) -> None:
        """Ask for the answer whose row has just been committed."""
        growing = self._growing[row.id] = GrowingAnswer(MessageOut.of(row))
        self._owners[row.id] = actor.id
        task = asyncio.create_task(self._grow(actor, conversation, branch, row, growing), name="chat.answer")
        self._tasks[row.id] = task

    def shown(self, message: MessageOut) -> MessageOut:
        """The message with what has come of it since it was last written down."""
        growing = self._growing.get(message.id)
        return growing.shown() if growing and growing.final is None else message

    async def stop(self, message_id: str) -> None:
        """End an answer; what there is of it stays. Nothing happens to one that has ended."""
        if task := self._tasks.get(message_id):
            self._stopped.add(message_id)
            await self._break_off(message_id)
            await asyncio.wait({task})

    async def _break_off(self, message_id: str) -> None:
        await asyncio.sleep(0)  # a task that never ran would never put down how it ended
        task = self._tasks.get(message_id)
        if task and message_id not in self._ending:
            task.cancel()

    def follow(self, message: MessageOut) -> AsyncIterator[bytes]:
        """Encoded events of an answer (`AnswerFrame`), from all that there is to its end."""
        growing = self._growing.get(message.id)
        return growing.follow() if growing else _told(message)

    async def _grow(
        self,
        actor: Actor,
        conversation: ConversationRow,
        branch: Sequence[MessageRow],
        row: MessageRow,
        growing: GrowingAnswer,
    ) -> None:
        state, error = AnswerState.FAILED, None
        writer = asyncio.create_task(self._write_now_and_then(row.id, growing), name="chat.write")
        try:
            await self._ask(actor, conversation, branch, row.model or "", growing)
            if growing.finish_reason is None:
                words = Said("The answer broke off before its end.", "conversation.broke_off")
                error = ErrorOut.of(Unavailable(words, hint="Ask again."))
            else:
                state = AnswerState.COMPLETE
        except asyncio.CancelledError:
            state = AnswerState.STOPPED if row.id in self._stopped else AnswerState.INTERRUPTED
        except EngineSaid as said:
            error = _context_full() if said.code == CONTEXT_FULL else ErrorOut.told(said.code, said.message)
        except AtelierError as refused:
            error = ErrorOut.of(refused)
        except Exception:  # loop edge: whatever went wrong with one answer is told in its place
            log.exception("chat.answer_failed", message=row.id)
            words = Said("Something went wrong inside Atelier.", "internal_error")
            error = ErrorOut.told("internal_error", words)
        finally:
            writer.cancel()
            self._ending.add(row.id)
            await self._end(conversation, row, growing, state, error)

    async def _ask(
        self,
        actor: Actor,
        conversation: ConversationRow,
        branch: Sequence[MessageRow],
        model: str,
        growing: GrowingAnswer,
    ) -> None:
        """Feeds what the engine sends; without the oldest pictures where there are more than it takes, and without the
        oldest messages where they do not fit and may be left out."""
        parameters, sent = conversation.parameters, branch
        drops = bool(parameters.get("drop_oldest"))
        target = await self._serving.targets.find(actor, model)
        shown = newest_pictures(branch, target.pictures)
        if drops:
            sent = newest(branch, target.context, conversation.system_prompt, parameters.get("max_tokens"), shown)
        while True:
            growing.left_out, growing.pictures_left_out = len(branch) - len(sent), pictures_left_out(sent, shown)
            body = await body_of(self._inputs, actor, conversation, sent, model, shown)
            try:
                async with contextlib.aclosing(self._serving.stream(actor, PATH, body, tell=growing.wait)) as pieces:
                    async for piece in pieces:
                        growing.feed(piece)
                return
            except EngineSaid as said:
                less = shorter(sent) if drops and said.code == CONTEXT_FULL and not growing.begun else None
                if less is None:
                    raise
                sent = less

    async def _write_now_and_then(self, message_id: str, growing: GrowingAnswer) -> None:
        written = (0, 0)
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            if (now_there := (len(growing.text), len(growing.reasoning))) != written:
                values = {"content": growing.text, "reasoning": growing.reasoning}
                async with self._database.write(durable=False) as session:
                    await store.write_answer(session, message_id, values)
                written = now_there

    async def _end(
        self,
        conversation: ConversationRow,
        row: MessageRow,
        growing: GrowingAnswer,
        state: AnswerState,
        error: ErrorOut | None,
    ) -> None:
        values = {**growing.values(), "state": state, "error": error and error.model_dump(), "finished_at": now()}
        final = MessageOut.model_validate({**MessageOut.of(row).model_dump(), **values})
        try:
            async with self._database.write() as session:
                await store.write_answer(session, row.id, values)
        finally:
            for known in (self._growing, self._tasks, self._owners):
                known.pop(row.id, None)
            self._stopped.discard(row.id)
            self._ending.discard(row.id)
            growing.end(final)
            self._bus.publish(ConversationChanged(id=conversation.id), owner=conversation.owner_id)


def _context_full() -> ErrorOut:
    """In our words: what engines say of it names their own settings."""
    words = Said("The conversation is longer than the model's context.", "conversation.context_full")
    hint = "Leave out the oldest messages (drop_oldest), shorten the question, or begin a new conversation."
    return ErrorOut.of(ContextFull(words, hint=hint))


async def _told(message: MessageOut) -> AsyncIterator[bytes]:
    yield only(message)
