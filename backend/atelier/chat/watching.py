"""Time and hang-ups for the requests under way, looked at together a few times a second.

A request that is answered at once costs nothing here. For one that takes longer:

* its client is watched: a hung-up client ends the request, and so the engine's work for it;
* while a stream waits (for its model, for the first word) comments keep the connection alive;
* an engine that says nothing for `probe_after` seconds is asked for its health; one that does not answer, or that has
  begun to answer and goes on for nobody, is ended, and every request on it fails.

An engine may read a long question for minutes before its first word, so silence counts against it only once it spoke,
or when its health is silent too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from atelier.chat.upstream import EngineGone, EngineSilent, Line, Lines, head_of
from atelier.runtime import exits
from atelier.runtime.worker import Worker

log = logging.getLogger(__name__)

SWEEP_SECONDS = 0.1
BREATH_SECONDS = 10.0
FIRST_BREATH_SECONDS = 1.0

Receive = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Patience:
    """Seconds. `first_byte` until an answer begins, `idle` between two pieces of a stream, `probe_after` of silence an
    engine is asked for its health, and has `probe` to answer."""

    first_byte: float = 600.0
    idle: float = 12.0
    probe_after: float = 5.0
    probe: float = 5.0

    @classmethod
    def of(cls, first_byte: float, idle: float) -> Patience:
        """A probe and its answer together take less than `idle`."""
        return cls(first_byte, idle, min(5.0, idle * 0.4), min(5.0, idle * 0.4))


class Engine:
    """What is known of one worker's server: its connections and when it last said something."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.lines = Lines(worker.openai_socket)
        self.probing: asyncio.Task[None] | None = None
        self.probed = 0.0
        self.noted = False

    def end(self) -> None:
        """It hangs: everybody on it is told, its process goes, and the next request gets another."""
        self.lines.close(EngineSilent())
        self.worker.begin_stop(exits.silent(self.worker.deadlines.silence), term_seconds=0.2)

    async def is_healthy(self, seconds: float) -> bool:
        """Whether it answers GET /health on a connection of its own."""
        line: Line | None = None
        try:
            async with asyncio.timeout(seconds):
                line = await self.lines.open(fresh=True)
                self.lines.busy.discard(line)
                line.ask(head_of("/health", 0, "GET"), b"")
                status, _ = await line.whole(65536)
                return status < 500
        except (EngineGone, EngineSilent, TimeoutError):
            return False
        finally:
            if line is not None:
                line.close()


class Call:
    """A request of a client, as far as waiting concerns it. `receive` None: nobody can hang up."""

    __slots__ = ("begun", "breath", "breathe", "gave_up", "hung_up", "patience", "receive", "task", "watcher")

    def __init__(self, receive: Receive | None, begun: float, patience: float | None = None) -> None:
        """`patience`: seconds until it gives up on waiting for its model (see `arrived`)."""
        self.receive, self.begun = receive, begun
        self.breathe: Callable[[], Awaitable[None]] | None = None
        self.breath = begun + FIRST_BREATH_SECONDS
        self.patience = patience
        self.gave_up = False
        self.task = asyncio.current_task()
        self.hung_up = False
        self.watcher: asyncio.Task[None] | None = None

    def arrived(self) -> None:
        """The model is there."""
        self.patience = None

    def give_up(self) -> None:
        self.gave_up = True
        if self.task is not None:
            self.task.cancel()

    async def watch(self) -> None:
        assert self.receive is not None
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.hung_up = True
        if self.task is not None:
            self.task.cancel()


class Watch:
    """Owns the sweep: it runs while anybody waits."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.calls: set[Call] = set()
        self.engines: dict[str, Engine] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    def engine(self, worker: Worker) -> Engine:
        engine = self.engines.get(worker.id)
        if engine is None:
            for name, old in list(self.engines.items()):
                if old.worker.is_ending and not old.lines.busy:
                    old.lines.close()
                    del self.engines[name]
            engine = self.engines[worker.id] = Engine(worker)
        return engine

    def begin(self, call: Call) -> None:
        self.calls.add(call)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def over(self, call: Call) -> None:
        self.calls.discard(call)
        if call.watcher is not None:
            call.watcher.cancel()

    async def close(self) -> None:
        for engine in self.engines.values():
            engine.lines.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── inside ──

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(SWEEP_SECONDS, self._sweep) if self.calls else None
        now = self._loop.time()
        for call in tuple(self.calls):
            if call.watcher is None and call.receive is not None and now - call.begun > SWEEP_SECONDS:
                call.watcher = self._spawn(call.watch())
            if call.patience is not None and now - call.begun > call.patience and not call.gave_up:
                call.give_up()
            if call.breathe is not None and now > call.breath:
                call.breath = now + BREATH_SECONDS
                self._spawn(call.breathe())
        for engine in self.engines.values():
            if engine.lines.busy:
                self._look_at(engine, now)

    def _look_at(self, engine: Engine, now: float) -> None:
        patience, heard, reading = self._patience, 0.0, False
        for line in engine.lines.busy:
            heard = max(heard, line.heard)
            reading = reading or not line.began
        for line in tuple(engine.lines.busy):
            silent = now - line.heard
            if not line.began and silent > patience.first_byte:
                line.fail(EngineSilent())
            elif line.began and silent > patience.idle and not line.is_unread:
                # Others may be served first for a while, or a long question be read; nobody is left out for minutes.
                if silent > 5 * patience.idle:
                    line.fail(EngineSilent())
                elif now - heard > patience.idle and not reading:
                    log.warning("worker %s goes on for nobody and is ended", engine.worker.id)
                    engine.end()
                    return
        if now - max(heard, engine.probed) > patience.probe_after and engine.probing is None:
            engine.probing = self._spawn(self._probe(engine))

    async def _probe(self, engine: Engine) -> None:
        try:
            healthy = await engine.is_healthy(self._patience.probe)
        finally:
            engine.probing, engine.probed = None, self._loop.time()
        if not healthy and engine.lines.busy:
            log.warning("worker %s does not answer and is ended", engine.worker.id)
            engine.end()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
