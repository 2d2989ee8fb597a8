"""All workers of this server: who has one, who waits for one, which are stopped to make room.

    async with pool.lease(spec, waiting=tell) as worker:
        async for update in worker.run(task): ...

`decisions.decide` decides; `_pump` carries out, after everything that happens: a lease asked for, given up or returned,
a worker ready, parked or gone, a tick of the clock. Between two awaits nothing changes, so the ledger needs no lock.

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
from dataclasses import replace
from pathlib import Path

from atelier.errors import AtelierError, EnvironmentNotReady, Unavailable, WorkerNotFound
from atelier.runtime import decisions, exits, logtail, placement, processes, reaper
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.environments import Environments
from atelier.runtime.forkserver import Forkservers
from atelier.runtime.gpu import Device, GPUMonitor
from atelier.runtime.ledger import Ledger, Slot
from atelier.runtime.line import Asker, Line, never_fits
from atelier.runtime.parking import bring_back, check_parkable, put_aside
from atelier.runtime.placement import Use
from atelier.runtime.spec import WorkerInfo, WorkerSpec
from atelier.runtime.waiting import Waiting, its_turn, starts, wakes
from atelier.runtime.worker import Deadlines, Worker
from atelier.said import Said

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
SETTLE_SECONDS = 3.0
SOCKET_PATH_MAX = 107


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
        park_budget_bytes: int = 0,
        silence_seconds: float | None = None,
        step_seconds: float | None = None,
        start_seconds: float | None = None,
    ) -> None:
        """`park_budget_bytes`: host memory for the weights of parked workers. `silence_seconds`, `step_seconds` and
        `start_seconds` replace the engines' own deadlines, for tests. `lacks` hears of environments that somebody needs
        and that are not there."""
        if len(os.fsencode(sockets_dir)) + len("/w-0123456789abcdef.sock") > SOCKET_PATH_MAX:
            raise ValueError(f"the path of the sockets folder is too long for Unix sockets: {sockets_dir}")
        self.ledger = Ledger(devices, monitor, clock, park_budget_bytes)
        self._events = events
        self._sockets = sockets_dir
        self._logs = logs_dir
        self._instance = instance
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._silence = silence_seconds
        self._step = step_seconds
        self._start_deadline = start_seconds
        self._line = Line(self.ledger, clock)
        self._askers = self._line.askers
        self._forkservers = Forkservers(environments, logs_dir=logs_dir, instance=instance)
        self._seq = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._guard: reaper.Guard | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False
        self.lacks: Callable[[str], None] = lambda _environment: None

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
        await asyncio.gather(*(slot.worker.stop() for slot in self.ledger))
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
        return [self._info(slot.worker) for slot in self.ledger]

    def leased_bytes(self, device: int) -> int:
        """Bytes spoken for on a device: the sum over its workers."""
        return self.ledger.leased(device)

    def running_briefly(self) -> dict[str, tuple[WorkerSpec, Use]]:
        """Model and use of each worker, without looking at processes or logs."""
        return self.ledger.briefly()

    def set_policy(self, model: str, *, pinned: bool, ttl_seconds: float | None) -> None:
        """What a model's row says of its workers: for those that run already, and for who waits for one with a spec
        of before."""
        for slot in self.ledger:
            if slot.worker.spec.model == model:
                slot.pinned, slot.ttl_seconds = pinned, ttl_seconds
        for asker in self._askers.values():
            if asker.spec.model == model:
                asker.spec = replace(asker.spec, pinned=pinned, ttl_seconds=ttl_seconds)
        self._pump()

    async def stop_worker(self, worker_id: str) -> None:
        """End a worker now, also a busy one: its run fails with the cause `stopped`. Those who wait get another."""
        slot = self._slot(worker_id)
        slot.worker.begin_stop()
        self._pump()
        await slot.worker.gone()

    async def park_worker(self, worker_id: str) -> None:
        """Put an idle worker's weights aside now. Raises WorkerNotFound, Conflict when it cannot be parked."""
        slot = self._slot(worker_id)
        if slot.use is not Use.PARKED:
            check_parkable(slot, self.ledger)
            await put_aside(slot, self.ledger, self._pump)

    def can_grow(self, worker: Worker, bytes_needed: int) -> bool:
        """Whether a worker that the caller holds could lease so much: nobody gives way, nobody else waits."""
        more = bytes_needed - worker.leased
        if more <= 0:
            return True
        if any(asker.spec.key != worker.spec.key for asker in self._askers.values()):
            return False
        wanted = placement.Wanted(worker.spec.key, more, 0, len(worker.devices), worker.devices)
        return isinstance(placement.plan(self.ledger.running(), wanted, self.ledger.rooms()), placement.Place)

    def grow(self, worker: Worker, bytes_needed: int, run_seconds: float | None = None) -> bool:
        """Raise the lease of a worker that the caller holds. False when it cannot be; then nothing changed."""
        if not self.can_grow(worker, bytes_needed):
            return False
        worker.leased = max(worker.leased, bytes_needed)
        self._slot(worker.id).run_seconds = run_seconds
        return True

    def log_path(self, worker_id: str) -> Path:
        """The file that a worker writes to. Raises WorkerNotFound."""
        return self._slot(worker_id).worker.log_path

    @contextlib.asynccontextmanager
    async def lease(
        self,
        spec: WorkerSpec,
        *,
        priority: int = 0,
        waiting: Callable[[Waiting], None] | None = None,
        wanted: Callable[[bool], None] | None = None,
        run_seconds: float | None = None,
    ) -> AsyncIterator[Worker]:
        """The use of a worker for `spec`, alone, until the block ends.

        `waiting` hears what it waits for, each time that changes; `wanted` hears whether anybody waits for what this
        lease holds, each time that changes; `run_seconds` is how long it will be held, for the forecasts of those
        behind it. Raises NotEnoughMemory when no device could ever hold it, EnvironmentNotReady,
        WorkerStartFailed; a cancelled wait leaves nothing behind.
        """
        slot = await self._granted(spec, priority, waiting, run_seconds)
        slot.hears, slot.wanted = wanted, False
        self._line.tell_holders()
        try:
            yield slot.worker
        finally:
            slot.hears = None
            self._give_back(slot)

    def hurry(self, spec: WorkerSpec, priority: int) -> None:
        """Who waits for a worker of `spec` now has at least this priority."""
        for asker in self._askers.values():
            if asker.spec.key == spec.key:
                asker.priority = max(asker.priority, priority)
        self._pump()

    # ── waiting and giving back ───────────────────────────────────────────────

    async def _granted(
        self, spec: WorkerSpec, priority: int, waiting: Callable[[Waiting], None] | None, run_seconds: float | None
    ) -> Slot:
        while True:
            slot = await self._wait_for_slot(spec, priority, waiting, run_seconds)
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
            spec = replace(spec, pinned=slot.pinned, ttl_seconds=slot.ttl_seconds)  # its row may have changed meanwhile
            self._give_back(slot)

    async def _wait_for_slot(
        self, spec: WorkerSpec, priority: int, waiting: Callable[[Waiting], None] | None, run_seconds: float | None
    ) -> Slot:
        if self._closed:
            raise _stopping()
        number = next(self._seq)
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        asker = Asker(f"a{number}", spec, number, priority, future, waiting, run_seconds)
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

    def _give_back(self, slot: Slot) -> None:
        slot.held = False
        slot.idle_at = self._clock()
        if slot.worker.has_open_run and not slot.worker.is_ending:
            slot.settling = True
            self._spawn(self._settle(slot))
        else:
            slot.worker.release()
        self._pump()

    async def _settle(self, slot: Slot) -> None:
        """A run was left open: the worker is free when it has stopped running, or gone."""
        if not await slot.worker.settle(SETTLE_SECONDS):
            slot.worker.begin_stop(exits.cancel_ignored(SETTLE_SECONDS), term_seconds=1.0)
        slot.settling = False
        slot.idle_at = self._clock()
        slot.worker.release()
        self._pump()

    def _refuse(self, asker: Asker, error: AtelierError) -> None:
        self._askers.pop(asker.id, None)
        if not asker.granted.done():
            asker.granted.set_exception(error)

    # ── decisions carried out ─────────────────────────────────────────────────

    def _pump(self) -> None:
        """Ask `decide` about everybody who waits, and do as it says. Never awaits."""
        if self._closed or not self._askers:
            self._line.forget_wishes()
            return
        self._serve_without_device()
        made = decisions.decide(
            self.ledger.running(), self._line.requests(), self.ledger.rooms(), host_bytes=self.ledger.host_room()
        )
        self._line.tell(made)
        for decision in made:
            self._carry_out(decision)

    def _carry_out(self, decision: decisions.Decision) -> None:
        match decision:
            case decisions.Grant(request, worker):
                self._grant(self._askers[request], self.ledger.slots[worker])
            case decisions.Start(request, devices):
                self._start(self._askers[request], devices)
            case decisions.Wake(request, worker):
                self._wake(self._askers[request], self.ledger.slots[worker])
            case decisions.Park(worker):
                slot = self.ledger.slots[worker]
                slot.parking = True
                self._spawn(put_aside(slot, self.ledger, self._pump))
            case decisions.Stop(worker):
                self.ledger.slots[worker].worker.begin_stop()
            case decisions.Refuse(request, impossible):
                spec = self._askers[request].spec
                self._refuse(self._askers[request], never_fits(spec, impossible))

    def _serve_without_device(self) -> None:
        """Those who want an engine that takes no device memory: the worker that is there, or a new one, at once."""
        for asker in self._line.without_device():
            same = [slot for slot in self.ledger if slot.worker.spec.key == asker.spec.key]
            living = [slot for slot in same if slot.use is not Use.LEAVING]
            if not living:
                self._start(asker, (next(iter(self.ledger.devices)),))
            elif living[0].use is Use.IDLE:
                self._grant(asker, living[0])
            elif living[0].use is Use.BUSY:
                asker.tell(Waiting("model", its_turn(asker.spec.model)))

    def _grant(self, asker: Asker, slot: Slot) -> None:
        self._line.serves(asker)
        self._askers.pop(asker.id, None)
        slot.held = True
        slot.priority = asker.priority
        slot.busy_since, slot.run_seconds = self._clock(), asker.run_seconds
        slot.pinned, slot.ttl_seconds = asker.spec.pinned, asker.spec.ttl_seconds
        slot.worker.leased = max(slot.worker.leased, asker.spec.bytes_needed)
        slot.worker.hold()
        asker.granted.set_result(slot)

    def _wake(self, asker: Asker, slot: Slot) -> None:
        self._line.serves(asker)
        slot.worker.leased = max(slot.resting, asker.spec.bytes_needed)
        slot.parked, slot.waking, slot.busy_since = False, True, self._clock()
        asker.tell(wakes(asker.spec.model))
        self._spawn(bring_back(slot, self._clock, self._pump))

    def _start(self, asker: Asker, devices: tuple[int, ...]) -> None:
        try:
            entry = ENGINES[EngineName(asker.spec.engine)]
            forkserver = self._forkservers.of(entry)
        except AtelierError as error:
            if isinstance(error, EnvironmentNotReady):
                self.lacks(ENGINES[EngineName(asker.spec.engine)].environment)
            self._refuse(asker, error)
            return
        self._line.serves(asker)
        worker_id = f"w-{secrets.token_hex(5)}"
        worker = Worker(
            worker_id,
            asker.spec,
            entry,
            devices=devices,
            socket_path=self._sockets / f"{worker_id}.sock",
            log_path=self._logs / f"{worker_id}.log",
            deadlines=Deadlines(
                start=self._start_deadline or entry.start_deadline_s,
                silence=self._silence or entry.silence_deadline_s,
                step=self._step or entry.step_deadline_s,
            ),
            changed=self._changed,
        )
        moment, spec = self._clock(), asker.spec
        slot = Slot(worker, spec.pinned, spec.ttl_seconds, idle_at=moment, busy_since=moment, priority=asker.priority)
        slot.shares_memory = any(self.ledger.devices[index].shares_memory for index in devices)
        self.ledger.slots[worker_id] = slot
        asker.tell(starts(spec, self._line.loads_in(spec)))
        gpus = [device for index in devices if (device := self.ledger.devices[index]).kind == "cuda"]
        visible = ",".join(gpu.cuda_id or str(gpu.index) for gpu in gpus if entry.on_device)
        worker.launch(forkserver, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible})
        self._spawn(self._follow(slot))

    async def _follow(self, slot: Slot) -> None:
        """From the start of a worker until its memory is free again."""
        worker = slot.worker
        free_before = self.ledger.free()
        try:
            await worker.ready()
            if worker.is_measured_by_driver:
                worker.seen_bytes = await asyncio.to_thread(self.ledger.seen, worker)
            slot.measured, slot.idle_at = True, self._clock()
            self._line.loaded(worker.spec, worker.load_seconds)
            self._pump()
        except AtelierError as error:
            asked_to = worker.cause is not None and worker.cause.code == "stopped"
            if not asked_to:
                for asker in [a for a in self._askers.values() if a.spec.key == worker.spec.key]:
                    self._refuse(asker, error)
        slot.mourned = True
        await worker.gone()
        if worker.cause is not None and worker.cause.crash:
            await self._end_strays()
        await self.ledger.memory_back(slot, free_before)
        del self.ledger.slots[worker.id]
        logtail.remove(worker.log_path)
        self._pump()

    async def _end_strays(self) -> None:
        """Kill processes of ours that belong to no living worker: children of a crashed one that left its session."""
        candidates = await asyncio.to_thread(reaper.with_ancestors, reaper.server_mark())
        known = {slot.worker.process.pid for slot in self.ledger if slot.worker.process is not None}
        known |= self._forkservers.pids()
        strays = [process for process, line in candidates if not known & ({process.session} | line)]
        if strays:
            log.warning("ended strays of a crashed worker: %s", [process.pid for process in strays])
            processes.kill(strays)

    def _slot(self, worker_id: str) -> Slot:
        slot = self.ledger.slots.get(worker_id)
        if slot is None:
            raise WorkerNotFound(f"There is no worker {worker_id[:40]!r}.", hint="It may have ended already.")
        return slot

    def _info(self, worker: Worker) -> WorkerInfo:
        slot = self.ledger.slots.get(worker.id)
        if slot is None:
            return worker.info
        return replace(
            worker.info,
            held_bytes=slot.bytes,
            pinned=slot.pinned,
            reload_seconds=round(worker.load_seconds, 3),
            priority=slot.priority,
        )

    def _changed(self, worker: Worker) -> None:
        try:
            self._events(self._info(worker))
        except Exception:  # whoever listens must not end the worker that spoke
            log.exception("telling about worker %s", worker.id)

    # ── the clock ─────────────────────────────────────────────────────────────

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._reap_idle()
                for slot in self.ledger:
                    logtail.cut(slot.worker.log_path)
                await self._forkservers.look_after()
                self._look_after_guard()
                self._pump()
            except Exception:  # the edge of this loop: the next tick may succeed
                log.exception("worker pool")

    def _reap_idle(self) -> None:
        """Stop what nobody has wanted for as long as its model allows."""
        moment = self._clock()
        for slot in self.ledger:
            seconds = self._idle_seconds if slot.ttl_seconds is None else slot.ttl_seconds
            if slot.use not in (Use.IDLE, Use.PARKED) or slot.pinned or not seconds:
                continue
            if moment - slot.idle_at > seconds:
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
