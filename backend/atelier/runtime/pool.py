"""All workers of this server: who has one, who waits for one, which are stopped to make room.

    async with pool.lease(spec, waiting=tell) as worker:
        async for update in worker.run(task): ...

`placement.decide` decides; `_pump` carries out, after everything that happens: a lease asked for, given up or returned,
a worker ready or gone, a tick of the clock. Between two awaits nothing changes, so the ledger needs no lock.

What holds always: the bytes of all workers on a device, the ones still ending included, never exceed its budget; a
worker has at most one holder; a worker whose run was left open is used again only after it said that it is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from atelier.errors import AtelierError, NotEnoughMemory, Unavailable, WorkerNotFound
from atelier.runtime import exits, logtail, placement, processes, reaper
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.environments import Environments
from atelier.runtime.forkserver import Forkservers
from atelier.runtime.gpu import Device, GPUMonitor
from atelier.runtime.waiting import gigabytes, starts, words
from atelier.runtime.worker import Deadlines, Worker, WorkerInfo, WorkerSpec
from atelier.said import Said

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
SETTLE_SECONDS = 3.0
MEMORY_RETURN_SECONDS = 5.0
SOCKET_PATH_MAX = 107


@dataclass(eq=False)
class _Slot:
    """A worker and what the ledger knows of it. Its bytes count until the slot is removed."""

    worker: Worker
    held: bool = False
    settling: bool = False
    idle_at: float = 0.0
    priority: int = 0

    @property
    def use(self) -> placement.Use:
        if self.worker.is_ending:
            return placement.Use.LEAVING
        if self.held or self.settling:
            return placement.Use.BUSY
        return placement.Use.IDLE if self.worker.state in ("ready", "busy") else placement.Use.STARTING


@dataclass(eq=False)
class _Asker:
    """One call of `lease` that waits."""

    id: str
    spec: WorkerSpec
    seq: int
    priority: int
    granted: asyncio.Future[_Slot]
    waiting: Callable[[Said], None] | None
    overtaken: int = 0
    told: str = field(default="")

    def tell(self, text: Said) -> None:
        if self.waiting is not None and text != self.told:
            self.told = text
            self.waiting(text)


class WorkerPool:
    """Owns every worker and forkserver. Made, started and closed by the server's lifespan, in the main thread."""

    def __init__(
        self,
        environments: Environments,
        devices: Sequence[Device],
        *,
        events: Callable[[WorkerInfo], None],
        sockets_dir: Path,
        logs_dir: Path,
        instance: str,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        monitor: GPUMonitor | None = None,
        silence_seconds: float | None = None,
        step_seconds: float | None = None,
        start_seconds: float | None = None,
    ) -> None:
        """`silence_seconds`, `step_seconds` and `start_seconds` replace the engines' own deadlines, for tests."""
        if len(os.fsencode(sockets_dir)) + len("/w-0123456789abcdef.sock") > SOCKET_PATH_MAX:
            raise ValueError(f"the path of the sockets folder is too long for Unix sockets: {sockets_dir}")
        self._devices = {device.index: device for device in devices}
        self._events = events
        self._sockets = sockets_dir
        self._logs = logs_dir
        self._instance = instance
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._monitor = monitor
        self._silence = silence_seconds
        self._step = step_seconds
        self._start_deadline = start_seconds
        self._slots: dict[str, _Slot] = {}
        self._askers: dict[str, _Asker] = {}
        self._forkservers = Forkservers(environments, logs_dir=logs_dir, instance=instance)
        self._seq = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._guard: reaper.Guard | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False

    # ── the server's side ─────────────────────────────────────────────────────

    async def start(self) -> None:
        """Clear away what an earlier server left, then watch."""
        await asyncio.to_thread(self._clear_away)
        self._guard = reaper.Guard()
        self._ticking = asyncio.create_task(self._tick(), name="worker pool")

    def _clear_away(self) -> None:
        for folder in (self._sockets, self._logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        if killed := reaper.reap(self._instance, self._sockets):
            log.warning("ended %d processes of an earlier server: %s", len(killed), killed)
        for old in self._logs.glob("w-*.log*"):
            old.unlink(missing_ok=True)

    async def close(self) -> None:
        """Refuse who waits, stop every worker, leave no process and no socket."""
        self._closed = True
        for asker in list(self._askers.values()):
            self._refuse(asker, _stopping())
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.gather(*(slot.worker.stop() for slot in list(self._slots.values())))
        await asyncio.gather(*list(self._tasks), return_exceptions=True)
        await self._forkservers.close()
        if self._guard is not None:
            await asyncio.to_thread(self._guard.close)
            self._guard = None

    async def prepare(self, engine: str) -> None:
        """Import an engine's libraries now, so that its first worker starts at once. Raises as `lease` does."""
        entry = ENGINES[EngineName(engine)]
        await self._forkservers.of(entry).start(entry.start_deadline_s)

    def running(self) -> list[WorkerInfo]:
        """Every worker that exists now."""
        return [slot.worker.info for slot in self._slots.values()]

    def leased_bytes(self, device: int) -> int:
        """Bytes spoken for on a device: the sum over its workers."""
        return sum(slot.worker.spec.bytes_needed for slot in self._slots.values() if slot.worker.device == device)

    async def stop_worker(self, worker_id: str) -> None:
        """End a worker now, also a busy one: its run fails with the cause `stopped`. Those who wait get another."""
        slot = self._slots.get(worker_id)
        if slot is None:
            raise WorkerNotFound(f"There is no worker {worker_id!r}.")
        slot.worker.begin_stop()
        self._pump()
        await slot.worker.gone()

    @contextlib.asynccontextmanager
    async def lease(
        self, spec: WorkerSpec, *, priority: int = 0, waiting: Callable[[Said], None] | None = None
    ) -> AsyncIterator[Worker]:
        """The use of a worker for `spec`, alone, until the block ends.

        `waiting` hears in words what it waits for, each time that changes. Raises NotEnoughMemory when no device could
        ever hold it, EnvironmentNotReady, WorkerStartFailed; a cancelled wait leaves nothing behind.
        """
        slot = await self._granted(spec, priority, waiting)
        try:
            yield slot.worker
        finally:
            self._give_back(slot)

    # ── waiting and giving back ───────────────────────────────────────────────

    async def _granted(self, spec: WorkerSpec, priority: int, waiting: Callable[[Said], None] | None) -> _Slot:
        while True:
            slot = await self._wait_for_slot(spec, priority, waiting)
            if self._clock() - slot.idle_at < 1.0:
                return slot
            try:
                if await slot.worker.answers() and not slot.worker.is_ending:
                    return slot
            except asyncio.CancelledError:
                self._give_back(slot)
                raise
            log.warning("idle worker %s does not answer and is ended", slot.worker.id)
            slot.worker.begin_stop(exits.silent(slot.worker.deadlines.health), term_seconds=0.2)
            self._give_back(slot)

    async def _wait_for_slot(self, spec: WorkerSpec, priority: int, waiting: Callable[[Said], None] | None) -> _Slot:
        if self._closed:
            raise _stopping()
        number = next(self._seq)
        asker = _Asker(f"a{number}", spec, number, priority, asyncio.get_running_loop().create_future(), waiting)
        self._askers[asker.id] = asker
        self._pump()
        try:
            return await asker.granted
        except asyncio.CancelledError:
            if asker.granted.done() and not asker.granted.cancelled() and asker.granted.exception() is None:
                self._give_back(asker.granted.result())
            raise
        finally:
            self._askers.pop(asker.id, None)
            self._pump()

    def _give_back(self, slot: _Slot) -> None:
        slot.held = False
        slot.idle_at = self._clock()
        if slot.worker.has_open_run and not slot.worker.is_ending:
            slot.settling = True
            self._spawn(self._settle(slot))
        else:
            slot.worker.release()
        self._pump()

    async def _settle(self, slot: _Slot) -> None:
        """A run was left open: the worker is free when it has stopped running, or gone."""
        if not await slot.worker.settle(SETTLE_SECONDS):
            slot.worker.begin_stop(exits.cancel_ignored(SETTLE_SECONDS), term_seconds=1.0)
        slot.settling = False
        slot.idle_at = self._clock()
        slot.worker.release()
        self._pump()

    def _refuse(self, asker: _Asker, error: AtelierError) -> None:
        self._askers.pop(asker.id, None)
        if not asker.granted.done():
            asker.granted.set_exception(error)

    # ── decisions carried out ─────────────────────────────────────────────────

    def _pump(self) -> None:
        """Ask `placement.decide` about everybody who waits, and do as it says. Never awaits."""
        if self._closed or not self._askers:
            return
        waiting = [asker for asker in self._askers.values() if not asker.granted.done()]
        requests = [
            placement.Request(a.id, a.spec.key, a.spec.bytes_needed, a.seq, a.priority, a.overtaken) for a in waiting
        ]
        for decision in placement.decide(self._as_running(), requests, self._rooms()):
            match decision:
                case placement.Grant(request, worker):
                    self._grant(self._askers[request], self._slots[worker])
                case placement.Start(request, device):
                    self._start(self._askers[request], device)
                case placement.Stop(worker):
                    self._slots[worker].worker.begin_stop()
                case placement.Hold(request):
                    self._askers[request].tell(words(decision, self._askers[request].spec, self.running_briefly()))
                case placement.Refuse(request, largest):
                    spec = self._askers[request].spec
                    self._refuse(self._askers[request], _never_fits(spec, largest))

    def _grant(self, asker: _Asker, slot: _Slot) -> None:
        self._note_overtaking(asker)
        self._askers.pop(asker.id, None)
        slot.held = True
        slot.priority = asker.priority
        slot.worker.hold()
        asker.granted.set_result(slot)

    def _start(self, asker: _Asker, index: int) -> None:
        try:
            entry = ENGINES[EngineName(asker.spec.engine)]
            forkserver = self._forkservers.of(entry)
        except AtelierError as error:
            self._refuse(asker, error)
            return
        self._note_overtaking(asker)
        worker_id = f"w-{secrets.token_hex(5)}"
        worker = Worker(
            worker_id,
            asker.spec,
            entry,
            device=index,
            socket_path=self._sockets / f"{worker_id}.sock",
            log_path=self._logs / f"{worker_id}.log",
            deadlines=Deadlines(
                start=self._start_deadline or entry.start_deadline_s,
                silence=self._silence or entry.silence_deadline_s,
                step=self._step or entry.step_deadline_s,
            ),
            changed=self._changed,
        )
        slot = _Slot(worker, idle_at=self._clock(), priority=asker.priority)
        self._slots[worker_id] = slot
        asker.tell(starts(asker.spec.model))
        device = self._devices[index]
        visible = (device.cuda_id or str(index)) if device.kind == "cuda" else ""
        worker.launch(forkserver, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible})
        self._spawn(self._follow(slot))

    def _note_overtaking(self, served: _Asker) -> None:
        for asker in self._askers.values():
            if asker.seq < served.seq:
                asker.overtaken += 1

    async def _follow(self, slot: _Slot) -> None:
        """From the start of a worker until its memory is free again."""
        worker = slot.worker
        free_before = self._free().get(worker.device)
        try:
            await worker.ready()
            slot.idle_at = self._clock()
            self._pump()
        except AtelierError as error:
            asked_to = worker.cause is not None and worker.cause.code == "stopped"
            if not asked_to:
                for asker in [a for a in self._askers.values() if a.spec.key == worker.spec.key]:
                    self._refuse(asker, error)
        await worker.gone()
        if worker.cause is not None and worker.cause.crash:
            await self._end_strays()
        await self._memory_back(worker, free_before)
        del self._slots[worker.id]
        logtail.remove(worker.log_path)
        self._pump()

    async def _memory_back(self, worker: Worker, free_before: int | None) -> None:
        """Drivers report freed memory late: wait until what a GPU worker held is seen to be free again, or for five
        seconds. After those, `decide` still looks at what the device reports as free."""
        if free_before is None or self._devices[worker.device].kind == "cpu":
            return
        deadline = self._clock() + MEMORY_RETURN_SECONDS
        others = self.leased_bytes(worker.device) - worker.spec.bytes_needed
        expected = min(free_before, self._devices[worker.device].total_bytes - others)
        while self._free().get(worker.device, 0) < 0.95 * expected and self._clock() < deadline:
            await asyncio.sleep(0.1)

    async def _end_strays(self) -> None:
        """Kill processes of ours that belong to no living worker: children of a crashed one that left its session."""
        mark = reaper.server_mark()
        candidates = await asyncio.to_thread(reaper.with_ancestors, mark)
        known = {slot.worker.process.pid for slot in self._slots.values() if slot.worker.process is not None}
        known |= self._forkservers.pids()
        strays = [process for process, line in candidates if not known & ({process.session} | line)]
        if strays:
            log.warning("ended strays of a crashed worker: %s", [process.pid for process in strays])
            processes.kill(strays)

    # ── what the world looks like ─────────────────────────────────────────────

    def running_briefly(self) -> dict[str, tuple[WorkerSpec, placement.Use]]:
        """Model and use of each worker, without looking at processes or logs."""
        return {id_: (slot.worker.spec, slot.use) for id_, slot in self._slots.items()}

    def _as_running(self) -> list[placement.Running]:
        moment = self._clock()
        return [
            placement.Running(
                id_,
                slot.worker.spec.key,
                slot.worker.device,
                slot.worker.spec.bytes_needed,
                slot.use,
                idle_seconds=max(0.0, moment - slot.idle_at),
                reload_seconds=slot.worker.load_seconds,
                priority=slot.priority,
            )
            for id_, slot in self._slots.items()
        ]

    def _rooms(self) -> list[placement.Room]:
        free = self._free()
        return [placement.Room(d.index, d.budget_bytes, free.get(d.index)) for d in self._devices.values()]

    def _free(self) -> dict[int, int]:
        """What each device itself says is free; empty without a monitor."""
        return {} if self._monitor is None else self._monitor.free_bytes()

    def _changed(self, worker: Worker) -> None:
        try:
            self._events(worker.info)
        except Exception:  # whoever listens must not end the worker that spoke
            log.exception("telling about worker %s", worker.id)

    # ── the clock ─────────────────────────────────────────────────────────────

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._reap_idle()
                for slot in self._slots.values():
                    logtail.cut(slot.worker.log_path)
                await self._forkservers.look_after()
                self._look_after_guard()
                self._pump()
            except Exception:  # the edge of this loop: the next tick may succeed
                log.exception("worker pool")

    def _reap_idle(self) -> None:
        moment = self._clock()
        for slot in self._slots.values():
            if slot.use is placement.Use.IDLE and moment - slot.idle_at > self._idle_seconds:
                slot.worker.begin_stop()

    def _look_after_guard(self) -> None:
        if self._guard is not None and not self._guard.is_alive:
            log.warning("the guard process ended; starting another")
            self._guard.close()
            self._guard = reaper.Guard()

    def _spawn(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _stopping() -> Unavailable:
    return Unavailable(Said("The server is stopping.", "server_stopping"), hint="Try again after its restart.")


def _never_fits(spec: WorkerSpec, largest: int) -> NotEnoughMemory:
    return NotEnoughMemory(
        Said(
            f"{spec.model} needs {gigabytes(spec.bytes_needed)}, but the largest device may give {gigabytes(largest)}.",
            "memory.never_fits",
            model=spec.model,
            needed=spec.bytes_needed,
            largest=largest,
        ),
        hint="Choose a smaller model or raise the memory budget.",
    )
