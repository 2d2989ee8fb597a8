"""Time and hang-ups for the requests under way, looked at together a few times a second.

A request that is answered at once costs nothing here. For one that takes longer:

* its client is watched: a hung-up client ends the request, and so the engine's work for it;
* while a stream waits (for its model, for the first word) comments keep the connection alive;
* an engine that nobody hears from for `probe_after` seconds is asked for its health and looked at (`chat.progress`);
  one that does not answer, goes on for nobody, or hangs behind a healthy server is ended, and its requests fail.

An engine may read a long question for minutes before its first word, and says nothing on a request that is no stream
until it is done: while such requests wait, silence counts against it only where it does nothing either.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from atelier.chat.progress import Look, Progress, counters_in, processor_seconds
from atelier.chat.upstream import AnswerTooLong, EngineGone, EngineSilent, Line, Lines, head_of
from atelier.runtime import exits
from atelier.runtime.worker import Worker

log = logging.getLogger(__name__)

SWEEP_SECONDS = 0.1
BREATH_SECONDS = 10.0
FIRST_BREATH_SECONDS = 1.0
MOST_METRICS_BYTES = 4 * 1024 * 1024
LEFT_OUT = 5
"""So many times `idle` an answer that has begun may stand still while others get on."""

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
        self.progress = Progress(is_on_gpu=worker.loaded is not None and worker.loaded.device != "cpu")
        self.probing: asyncio.Task[None] | None = None
        self.probed = self.heard = 0.0
        self.noted = False

    def end(self) -> None:
        """It hangs: everybody on it is told, its process goes, and the next request gets another."""
        self.lines.close(EngineSilent())
        self.worker.begin_stop(exits.silent(self.worker.deadlines.silence), term_seconds=0.2)

    async def is_healthy(self, seconds: float) -> bool:
        """Whether it answers GET /health on a connection of its own. Looks at what it has done, too."""
        line: Line | None = None
        try:
            async with asyncio.timeout(seconds):
                line = await self.lines.open()
                self.lines.busy.discard(line)
                line.ask(head_of("/health", 0, "GET"), b"")
                status, _ = await line.whole(65536)
            if status < 500:
                await self._look(line, seconds)
            return status < 500
        except (EngineGone, EngineSilent, TimeoutError):
            return False
        finally:
            if line is not None:
                line.close()

    async def _look(self, line: Line, seconds: float) -> None:
        counters: tuple[bytes, ...] | None = None
        if not line.is_closed:
            counters = await self._counters(line, seconds)
        used = await processor_seconds(self.worker.process)
        self.progress.note(Look(counters, used, asyncio.get_running_loop().time()))

    async def _counters(self, line: Line, seconds: float) -> tuple[bytes, ...] | None:
        with contextlib.suppress(EngineGone, EngineSilent, AnswerTooLong, TimeoutError):
            async with asyncio.timeout(seconds):
                line.ask(head_of("/metrics", 0, "GET"), b"")
                status, metrics = await line.whole(MOST_METRICS_BYTES)
                if status == 200:
                    return counters_in(metrics)
        return None


class Call:
    """A request of a client, as far as waiting concerns it. `receive` None: nobody can hang up."""

    __slots__ = ("begun", "breath", "breathe", "gave_up", "hung_up", "patience", "receive", "task", "watcher")

    def __init__(self, receive: Receive | None, begun: float, task: asyncio.Task[Any] | None) -> None:
        """`task` waits, and is cancelled where that is in vain."""
        self.receive, self.begun, self.task = receive, begun, task
        self.breathe: Callable[[], Awaitable[None]] | None = None
        self.breath = begun + FIRST_BREATH_SECONDS
        self.patience: float | None = None
        """Seconds until it gives up on waiting for its model (see `arrived`)."""
        self.gave_up = self.hung_up = False
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

    def call(self, receive: Receive | None = None) -> Call:
        """One that waits in the current task, from now on."""
        # With the loop named, nobody looks for it: that asks the system which process this is.
        return Call(receive, self._loop.time(), asyncio.current_task(self._loop))

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
        patience, lines = self._patience, tuple(engine.lines.busy)
        heard = max((line.heard for line in lines if line.began), default=0.0)
        heard = max(heard, engine.lines.heard)
        if heard > engine.heard:
            engine.heard = heard
            engine.progress.begin()
        # Somebody has waited since then, and nobody has heard anything.
        since = max(engine.heard, min(line.asked for line in lines))
        reading = any(not line.began for line in lines)
        is_quiet = now - since > patience.idle
        for line in lines:
            silent = now - line.heard
            if line.is_unread:
                continue
            # Others may be served first for a while, or a long question be read; nobody is left out for minutes.
            if silent > (LEFT_OUT * patience.idle if line.began else patience.first_byte):
                line.fail(EngineSilent())
            elif is_quiet and silent > patience.idle:
                if not reading or engine.progress.is_stuck(since, now, patience.idle):
                    log.warning("worker %s hangs and is ended", engine.worker.id)
                    engine.end()
                    return
        if now - max(since, engine.probed) > patience.probe_after and engine.probing is None:
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
