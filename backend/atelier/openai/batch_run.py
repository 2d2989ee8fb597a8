"""One attempt at a batch: check its lines, answer those that have no answer yet, write what came of it.

    input ──check──> (each missing line ──ask──> journal) ──in the input's order──> output and error file

Every answer is in the journal, on disk, before its line counts; an attempt that begins after a crash goes on from
there. A line may be asked twice; its answer appears once. Few lines are asked at once, and none outside the night
window; who waits for an answer comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, time
from typing import Any
from weakref import WeakValueDictionary

import orjson

from atelier.access.actor import Actor
from atelier.config import BatchSettings
from atelier.errors import WorkerDied
from atelier.failpoints import failpoint
from atelier.jobs.attempt import Attempt
from atelier.jobs.batch import Batch as Together
from atelier.openai.batch_endpoints import Asked, BatchEndpoints, told
from atelier.openai.batch_journal import Answer, Journal, Tokens
from atelier.openai.batch_lines import Line
from atelier.runtime.waiting import Waiting
from atelier.said import Said
from atelier.tables import BatchRow

READ_AHEAD = 32
ALONE = 2
"""So often a line is asked by itself, when the worker died under it and others."""
LOOK_SECONDS = 1.0


class BatchRun:
    """The lines of one batch that still want an answer. `journal` is open."""

    def __init__(
        self,
        attempt: Attempt,
        batch: BatchRow,
        actor: Actor,
        journal: Journal,
        endpoints: BatchEndpoints,
        turns: Turns,
        settings: BatchSettings,
    ) -> None:
        self._attempt, self._batch, self._actor = attempt, batch, actor
        self._journal, self._endpoints, self._turns, self._settings = journal, endpoints, turns, settings
        self._keep: Together[Answer, None] = Together(self._write)

    async def answer(self, lines: Callable[[], Iterator[Line]]) -> None:
        """Every line has its answer when this returns. Raises OSError when the disk takes no more."""
        self._tell()
        room = asyncio.Semaphore(2 * self._settings.concurrency)
        async with asyncio.TaskGroup() as group:
            async for line in _in_pieces(lines):
                if line.number in self._journal.kept:
                    continue
                await room.acquire()
                await self._window()
                group.create_task(self._one(line)).add_done_callback(lambda _task: room.release())

    async def _one(self, line: Line) -> None:
        status, body = await self._asked(line)
        await self._keep(_answer(self._batch.id, line, status, body))
        self._tell()

    async def _asked(self, line: Line) -> tuple[int, dict[str, Any]]:
        """The answer. When the worker dies, one of the lines that it had did that: each of them is asked again with no
        other beside it, so that one that kills takes no other with it."""
        key, stopped = f"{self._batch.id}/{line.number}", self._attempt.stop.is_set
        asked = Asked(self._actor, self._batch.endpoint, line.body, key, stopped, self._waits)
        model = str(line.body.get("model", ""))
        for turn in (self._turns.of(model), *(self._turns.alone(model) for _ in range(ALONE))):
            async with turn:
                try:
                    return await self._endpoints.answer(asked)
                except WorkerDied as error:
                    died = told(error)
        return died

    async def _write(self, answers: list[Answer]) -> list[None | Exception]:
        failpoint("batches.before_keep")
        await asyncio.to_thread(self._journal.append, answers)
        failpoint("batches.after_keep")
        return [None] * len(answers)

    async def _window(self) -> None:
        """Wait for the hours in which batches are answered."""
        while self._settings.window and not within(self._settings.window, datetime.now().time()):
            begin, end = (f"{one:%H:%M}" for one in self._settings.window)
            words = Said(f"Batches are answered from {begin} to {end}.", "batch.window", begin=begin, end=end)
            self._attempt.waits("queue", words)
            await asyncio.sleep(LOOK_SECONDS)

    def _waits(self, what: Waiting) -> None:
        self._attempt.waits(what.reason, what.words, what.position, what.seconds, what.holders)

    def _tell(self) -> None:
        done, total = len(self._journal.kept), self._batch.total
        words = Said(f"{done} of {total} lines", "batch.progress", done=done, total=total)
        self._attempt.progress(done, total, words)


class Turns:
    """How many lines of all batches are asked at once, for each model."""

    def __init__(self, most: int) -> None:
        self._most = most
        # A line lives as long as somebody stands in it: names come from users, and there is no end to them.
        self._lines: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def of(self, model: str) -> AsyncIterator[None]:
        """With others."""
        line = self._lines.get(model) or self._lines.setdefault(model, _Turn(self._most))
        async with line.gate:  # whoever wants to be alone holds it until the others are done
            await line.room.acquire()
        try:
            yield
        finally:
            line.room.release()

    @contextlib.asynccontextmanager
    async def alone(self, model: str) -> AsyncIterator[None]:
        line = self._lines.get(model) or self._lines.setdefault(model, _Turn(self._most))
        held = 0
        async with line.gate:
            try:
                while held < self._most:
                    await line.room.acquire()
                    held += 1
                yield
            finally:
                for _ in range(held):
                    line.room.release()


class _Turn:
    def __init__(self, most: int) -> None:
        self.gate, self.room = asyncio.Lock(), asyncio.Semaphore(most)


def within(window: tuple[time, time], moment: time) -> bool:
    """Whether it is between the two times of day, over midnight too; equal times mean the whole day."""
    begin, end = window
    if begin == end:
        return True
    return begin <= moment < end if begin < end else moment >= begin or moment < end


def _answer(batch_id: str, line: Line, status: int, body: dict) -> Answer:
    name = f"{batch_id}_{line.number}"
    response = {"status_code": status, "request_id": name, "body": body}
    text = orjson.dumps({"id": name, "custom_id": line.custom_id, "response": response, "error": None})
    return Answer(line.number, status >= 400, text, Tokens.of(body))


def too_late(batch_id: str, line: Line) -> bytes:
    """The error of a line that had no answer when the window of its batch was over."""
    error = {"code": "batch_expired", "message": "It was not answered before the batch's window was over."}
    given = {"id": f"{batch_id}_{line.number}", "custom_id": line.custom_id, "response": None, "error": error}
    return orjson.dumps(given) + b"\n"


async def _in_pieces(lines: Callable[[], Iterator[Line]]) -> AsyncIterator[Line]:
    """The lines, read in a thread as they are wanted."""
    iterator = await asyncio.to_thread(lines)
    while piece := await asyncio.to_thread(lambda: list(itertools.islice(iterator, READ_AHEAD))):
        for line in piece:
            yield line
