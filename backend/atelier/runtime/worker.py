"""One worker: a process with one engine and one model. Starts it, loads, runs tasks, stops it.

One task, `Worker._live`, writes the worker's state; everybody else asks and awaits:

    call            starting/loading        ready, parked          busy                    stopping and after
    ready()         waits                   returns                returns                 raises WorkerStartFailed
    hold()          -                       becomes busy           -                       -
    release()       -                       -                      becomes ready           -
    park(), wake()  -                       changes sides          -                       raises WorkerDied
    run(task)       -                       -                      yields updates          raises WorkerDied
    cancel(id)      -                       nothing                ends it or the worker   nothing
    stop(cause)     ends it                 ends it                ends it                 waits with the others
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines import protocol

from atelier.clock import now
from atelier.errors import WorkerStartFailed
from atelier.runtime import exits, logtail, processes
from atelier.runtime.client import TERMINAL, ConversationEnded, FellSilent, NotThere, SpokeNonsense, WorkerClient
from atelier.runtime.ending import end_process, forget_files
from atelier.runtime.engines import EngineEntry
from atelier.runtime.exits import ExitCause, WorkerLost
from atelier.runtime.forkserver import Forkserver
from atelier.runtime.left_out import left_out, log_attention
from atelier.runtime.spec import WorkerInfo, WorkerSpec, WorkerState
from atelier.said import Said

__all__ = ["Deadlines", "Worker", "WorkerInfo", "WorkerSpec", "WorkerState"]

log = logging.getLogger(__name__)

EXIT_NOTICE_SECONDS = 2.0
LOAD_FAILED_STATUS = 65


class _Stuck(Exception):
    """A run sends heartbeats and makes no step."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds. Tests shorten them."""

    start: float
    silence: float
    step: float
    term: float = 5.0
    health: float = 5.0


class Worker:
    """Made by the pool; `lease` hands it out."""

    def __init__(
        self,
        worker_id: str,
        spec: WorkerSpec,
        entry: EngineEntry,
        *,
        devices: tuple[int, ...],
        socket_path: Path,
        log_path: Path,
        deadlines: Deadlines,
        changed: Callable[[Worker], None],
    ) -> None:
        self.id = worker_id
        self.spec = spec
        self.entry = entry
        self.devices = devices
        self.leased = spec.bytes_needed
        self.host_bytes = 0
        self.loaded: protocol.Health | None = None
        self.deadlines = deadlines
        self.log_path = log_path
        self.load_seconds = 0.0
        self.seen_bytes = 0
        self.cause: ExitCause | None = None
        self._last_words: str | None = None
        self._socket_path = socket_path
        self._changed = changed
        self._client = WorkerClient(socket_path, silence_seconds=deadlines.silence)
        self._openai = WorkerClient(self.openai_socket, silence_seconds=deadlines.silence)
        self._info = WorkerInfo(
            worker_id,
            spec.engine,
            spec.model,
            WorkerState.STARTING,
            None,
            spec.bytes_needed,
            None,
            devices,
            now(),
            owner=spec.owner,
        )
        self._process: processes.Process | None = None
        self._exit: protocol.Exited | None = None
        self._stop_cause: ExitCause | None = None
        self._term_seconds = deadlines.term
        self._held = False
        self._parked = False
        self._waking = False
        self._nudge = asyncio.Event()
        self._ending = asyncio.Event()
        self._gone = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task_id: str | None = None
        self._run_over = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._kills_before = processes.oom_kills()

    # ── asked by the pool ─────────────────────────────────────────────────────

    def launch(self, forkserver: Forkserver, env: dict[str, str]) -> None:
        """Begin to live. `ready()` tells how it went."""
        self._life = asyncio.create_task(self._live(forkserver, env), name=f"worker {self.id}")

    @property
    def state(self) -> WorkerState:
        return self._info.state

    @property
    def is_ending(self) -> bool:
        return self._ending.is_set()

    @property
    def info(self) -> WorkerInfo:
        """A fresh snapshot: resident bytes (a library's own server counts) and last lines are looked up now."""
        alive = self._process is not None and not self._gone.is_set()
        resident = processes.rss(self._process.pid) if alive and self._process else None
        if resident is not None and self._process and self.loaded and self.loaded.serves_openai:
            resident += sum(processes.rss(pid) or 0 for pid in processes.below(self._process.pid))
        return replace(
            self._info,
            rss_bytes=resident,
            bytes_leased=self.leased,
            weights_bytes=self.loaded.weights_bytes if self.loaded else 0,
            host_bytes=self.host_bytes,
            left_out=tuple(left_out(one) for one in self.loaded.left_out) if self.loaded else (),
            log_tail=logtail.read(self.log_path),
        )

    @property
    def is_loaded(self) -> bool:
        return self._ready.done() and self._ready.exception() is None

    @property
    def is_measured_by_driver(self) -> bool:
        """A library's own server on a GPU: what it takes, nobody but the driver can say."""
        return self.loaded is not None and self.loaded.serves_openai and self.loaded.device != "cpu"

    @property
    def load_peak_bytes(self) -> int:
        """The most that loading took of a device; 0 where nobody could measure it."""
        if self.loaded is None:
            return 0
        return self.seen_bytes if self.is_measured_by_driver else self.loaded.load_peak_bytes

    @property
    def failed_to_start(self) -> bool:
        """It ends, was never ready, and nobody asked it to stop."""
        asked_to = self._stop_cause is not None and self._stop_cause.code == "stopped"
        return self.is_ending and not self.is_loaded and not asked_to

    @property
    def process(self) -> processes.Process | None:
        return self._process

    @property
    def openai_socket(self) -> Path:
        """Where a worker that `speaks_openai` serves OpenAI's API."""
        return self._socket_path.with_suffix(protocol.OPENAI_SUFFIX)

    @property
    def has_open_run(self) -> bool:
        return self._task_id is not None

    async def ready(self) -> None:
        """Wait until the model is loaded. Raises WorkerStartFailed."""
        await asyncio.shield(self._ready)

    async def gone(self) -> None:
        """Wait until no process of this worker is left."""
        await self._gone.wait()

    def hold(self) -> None:
        self._held = True
        self._nudge.set()

    def release(self) -> None:
        self._held = False
        self._nudge.set()

    async def park(self) -> protocol.Parked | None:
        """Put the weights aside. None when the engine could not. Raises WorkerDied."""
        answer = await self._order(protocol.Park(task_id=f"{self.id}-park"))
        self._parked = isinstance(answer, protocol.Parked)
        self._nudge.set()
        return answer if isinstance(answer, protocol.Parked) else None

    async def wake(self) -> protocol.Failed | None:
        """Bring the weights back; what went wrong, or None. Raises WorkerDied."""
        self._waking = True
        self._nudge.set()
        try:
            answer = await self._order(protocol.Wake(task_id=f"{self.id}-wake"))
            self._parked = not isinstance(answer, protocol.Awake)
        finally:
            self._waking = False
            self._nudge.set()
        return answer if isinstance(answer, protocol.Failed) else None

    async def stop(self, cause: ExitCause | None = None, *, term_seconds: float | None = None) -> None:
        """End it, and wait until it is gone. With a cause it ends as `failed`. The first reason given counts."""
        self.begin_stop(cause, term_seconds=term_seconds)
        await self._gone.wait()

    def begin_stop(self, cause: ExitCause | None = None, *, term_seconds: float | None = None) -> None:
        if self._ending.is_set():
            return
        self._stop_cause = cause or exits.stopped()
        if term_seconds is not None:
            self._term_seconds = term_seconds
        self._ending.set()
        self._nudge.set()

    async def answers(self, seconds: float | None = None) -> bool:
        """Whether a worker without a run still speaks, its OpenAI server too; one that does not is to be stopped."""
        try:
            health = await self._client.health(seconds or self.deadlines.health)
            if health.serves_openai:
                await self._openai.listens(seconds or self.deadlines.health)
        except ConversationEnded:
            return False
        return health.phase is protocol.WorkerPhase.READY

    async def settle(self, grace: float) -> bool:
        """After a holder left a run open: cancel it and wait; whether the worker can be used again."""
        task_id = self._task_id
        if task_id is None:
            return True
        self._client.hang_up()
        with contextlib.suppress(ConversationEnded):
            await self._client.cancel(task_id, grace)
        if not await self._run_ends(grace):
            return False
        self._task_id = None
        return True

    # ── used by whoever holds the lease ───────────────────────────────────────

    async def run(self, task: protocol.Task) -> AsyncIterator[protocol.Update]:
        """Every update of one run; the last is `Done`, `Failed` or `Cancelled`. Raises WorkerDied."""
        if self._task_id is not None:
            raise RuntimeError(f"worker {self.id} already runs {self._task_id}")
        if self._ending.is_set():
            raise await self.lost()
        self._task_id = task.task_id
        self._run_over.clear()
        moved = time.monotonic()
        try:
            async with contextlib.aclosing(self._client.run(task)) as updates:
                async for update in updates:
                    if not isinstance(update, protocol.Heartbeat):
                        moved = time.monotonic()
                    elif time.monotonic() - moved > self.deadlines.step:
                        raise _Stuck
                    if isinstance(update, TERMINAL):
                        self._close_run()
                    yield update
        except FellSilent:
            self.begin_stop(exits.silent(self.deadlines.silence), term_seconds=0.2)
        except _Stuck:
            self.begin_stop(exits.stuck(self.deadlines.step), term_seconds=0.2)
        except SpokeNonsense as error:
            self.begin_stop(exits.nonsense(str(error)), term_seconds=0.2)
        except NotThere as error:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXIT_NOTICE_SECONDS):
                    await self._ending.wait()
            self.begin_stop(exits.nonsense(str(error) or "it hung up"), term_seconds=0.2)
        else:
            return
        self._close_run()
        raise await self.lost()

    async def cancel(self, task_id: str, *, grace: float = 3.0) -> None:
        """End this run: by asking, or by ending the worker after `grace` (and at most 4 s more). Safe to call twice."""
        if self._task_id != task_id or self._ending.is_set():
            return
        with contextlib.suppress(ConversationEnded):
            await self._client.cancel(task_id, grace)
        if not await self._run_ends(grace) and self._task_id == task_id:
            await self.stop(exits.cancel_ignored(grace), term_seconds=2.0)

    async def leave_out(self, task_id: str, *, patience: float = 3.0) -> None:
        """Cancel one task of the batch under way; the others go on. One that cannot be told is fenced all the same."""
        with contextlib.suppress(ConversationEnded):
            await self._client.cancel(task_id, patience)

    async def lost(self, patience: float = EXIT_NOTICE_SECONDS) -> WorkerLost:
        """Why it cannot be used any more, for one whose connection it closed. Waits for the classified cause, which
        takes a moment when the process just died. When it lives on after `patience`, it only hung up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._ending.wait()
        deadline = time.monotonic() + (1.0 if self.is_ending else 0.0)
        while self.cause is None and self._stop_cause is None and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        cause = self.cause or self._stop_cause or exits.hung_up()
        return WorkerLost(cause, log_tail=self._last_words or self._log_tail())

    async def _order(self, task: protocol.Park | protocol.Wake) -> protocol.Update | None:
        last = None
        async for update in self.run(task):
            last = update
        return last

    # ── inside ────────────────────────────────────────────────────────────────

    def _close_run(self) -> None:
        self._task_id = None
        self._run_over.set()

    async def _run_ends(self, grace: float) -> bool:
        """Whether the run is over within `grace`: its last update was read, or the worker says it is ready."""
        deadline = time.monotonic() + grace
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.1)):
                    await self._run_over.wait()
                return True
            with contextlib.suppress(ConversationEnded):
                if (await self._client.health(left)).phase is protocol.WorkerPhase.READY:
                    return True
            if self._ending.is_set():
                return False
        return self._run_over.is_set()

    def _log_tail(self) -> str | None:
        return "\n".join(logtail.read(self.log_path)) or None

    async def _live(self, forkserver: Forkserver, env: dict[str, str]) -> None:
        """The life of the process, and the only writer of `_info`."""
        try:
            if await self._begin(forkserver, env):
                await self._serve()
        except Exception:  # the edge of this loop: a bug here must not leave a process behind
            log.exception("worker %s", self.id)
            self.begin_stop(exits.mistake())
        finally:
            await self._end()

    async def _begin(self, forkserver: Forkserver, env: dict[str, str]) -> bool:
        """From nothing to ready; False when it is to end instead."""
        bringing_up = asyncio.create_task(self._bring_up(forkserver, env))
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({bringing_up, ending}, timeout=self.deadlines.start, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.is_set():
                return False
            if not bringing_up.done():
                self.begin_stop(exits.start_too_slow(self.deadlines.start, self.state), term_seconds=0.5)
                return False
            bringing_up.result()
        except WorkerStartFailed as failure:
            code = "out_of_memory" if failure.out_of_memory else failure.code
            self.begin_stop(ExitCause(code, failure.message, failure.hint, failure.crash))
            return False
        finally:
            for task in (bringing_up, ending):
                task.cancel()
            await asyncio.gather(bringing_up, ending, return_exceptions=True)
        return not self._ending.is_set()

    async def _bring_up(self, forkserver: Forkserver, env: dict[str, str]) -> None:
        self._changed(self)
        spawn = protocol.Spawn(
            worker_id=self.id,
            engine=self.spec.engine,
            model_path=str(self.spec.model_path),
            options=dict(self.spec.options),
            socket_path=str(self._socket_path),
            log_path=str(self.log_path),
            env=env,
        )
        pid = await forkserver.spawn(spawn, self._on_exit, self.deadlines.start)
        self._process = processes.look(pid)
        began = time.monotonic()
        self._become(WorkerState.LOADING, pid=pid)
        await self._loaded()
        self.load_seconds = time.monotonic() - began

    async def _loaded(self) -> None:
        """Ask for health, ever more slowly, until the model is there."""
        pause = 0.005
        while True:
            try:
                health = await self._client.health(self.deadlines.start)
            except (NotThere, FellSilent):
                health = None
            except SpokeNonsense as error:
                cause = exits.nonsense(str(error))
                raise WorkerStartFailed(cause.message, hint=cause.hint, crash=True) from error
            if health is not None and health.phase is protocol.WorkerPhase.FAILED:
                raise _not_loaded(health.failure)
            if health is not None and health.phase is protocol.WorkerPhase.READY:
                self.loaded = health
                log_attention(self.spec.model, health.attention)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    async def _serve(self) -> None:
        """Ready and busy, until something ends it. Looks once a second whether the process is still there."""
        self._become(WorkerState.READY, idle_since=now())
        self._ready.set_result(None)
        while not self._ending.is_set():
            if self._use is not self.state:
                since = self._info.idle_since if self._parked else now()
                self._become(self._use, idle_since=None if self._held or self._waking else since)
            self._nudge.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._nudge.wait()
            if self._process is None or not processes.is_alive(self._process):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EXIT_NOTICE_SECONDS):
                        await self._ending.wait()
                self._on_exit(protocol.Exited(worker_id=self.id, pid=0))

    @property
    def _use(self) -> WorkerState:
        if self._waking:
            return WorkerState.LOADING
        if self._parked:
            return WorkerState.PARKED
        return WorkerState.BUSY if self._held else WorkerState.READY

    def _on_exit(self, message: protocol.Exited) -> None:
        if self._exit is None:
            self._exit = message
            self._ending.set()
            self._nudge.set()

    async def _end(self) -> None:
        """Whatever the reason: no process, no socket, no open connection; then say so."""
        self._ending.set()
        # Held or given back a moment ago counts, though `_serve` has not come to say so.
        phase = self._use if self.is_loaded else self.state
        cause = self._stop_cause or self._classified(phase)
        self._last_words = self._log_tail()  # before the cause: who waits for that reads both, and the log goes soon
        self.cause = cause
        if cause.code != "stopped":
            log.warning("worker %s with %s has failed: %s", self.id, self.spec.model, cause.message)
        if self._exit is None:
            self._become(WorkerState.STOPPING, message=None if cause.code == "stopped" else cause.message)
        self._client.hang_up()
        if self._process is not None:
            await self._end_process(self._process)
        await self._client.close()
        await self._openai.close()
        await forget_files(self._socket_path)
        state = WorkerState.STOPPED if cause.code == "stopped" else WorkerState.FAILED
        self._become(state, message=None if cause.code == "stopped" else cause.message, idle_since=None)
        if not self._ready.done():
            self._ready.set_exception(
                WorkerStartFailed(
                    cause.message,
                    hint=cause.hint,
                    log_tail=self._log_tail(),
                    crash=cause.crash,
                    out_of_memory=exits.for_want_of_memory(cause, self._kills_before),
                )
            )
            self._ready.exception()  # read here, so that nobody waiting is no warning
        self._gone.set()

    async def _end_process(self, process: processes.Process) -> None:
        """Until it is gone. One that the kernel does not let go keeps its bytes leased, and says so."""
        while not await end_process(process, lambda: self._exit is not None, term_seconds=self._term_seconds):
            self._become(WorkerState.FAILED, message=_cannot_be_ended(process.pid))

    def _classified(self, phase: str) -> ExitCause:
        tail = logtail.read(self.log_path)
        if self._exit is None:
            return exits.classify(None, None, tail, phase)
        if self._exit.pid == 0 and self._exit.code is None and self._exit.signal is None and self._process is None:
            return exits.forkserver_lost()
        cause = exits.classify(self._exit.code, self._exit.signal, tail, phase)
        if self._exit.code == LOAD_FAILED_STATUS:
            return replace(cause, crash=False)
        return cause

    def _become(self, state: WorkerState, **facts: Any) -> None:
        self._info = replace(self._info, state=state, **facts)
        self._changed(self)


def _not_loaded(failure: protocol.Failed | None) -> WorkerStartFailed:
    if failure is None:
        return WorkerStartFailed(Said("The model cannot be loaded.", "engine.load_failed"))
    return WorkerStartFailed(
        Said(f"The model cannot be loaded: {failure.message}.", failure.sentence_code, **failure.params),
        hint=failure.hint,
        out_of_memory=failure.code in exits.OUT_OF_MEMORY,
    )


def _cannot_be_ended(pid: int) -> Said:
    return Said(f"Process {pid} cannot be ended; its memory stays in use.", "worker.cannot_be_ended", pid=pid)
