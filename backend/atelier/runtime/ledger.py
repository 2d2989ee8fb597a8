"""Which worker holds how much of which device, as the pool's decisions see it.

`Ledger` is plain memory with one writer, the pool. Bytes of a worker count from the moment its start is decided until
it is gone and its device says that the memory is free again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from atelier.runtime import placement, processes
from atelier.runtime.gpu import Device, GPUMonitor
from atelier.runtime.spec import WorkerSpec
from atelier.runtime.worker import Worker

MEMORY_RETURN_SECONDS = 5.0


@dataclass(eq=False)
class Slot:
    """A worker and what the ledger knows of it. Its bytes count until the slot is removed. `mourned`: those who had
    joined its start have heard that it failed. `measured`: what its load took is known, as far as anybody knows; before
    that nobody has it. `wanted`: somebody waits for it or for its memory, which its holder `hears`.
    `shares_memory`: its device's memory is the machine's own; weights that are put aside would lie in it as before."""

    worker: Worker
    pinned: bool = False
    ttl_seconds: float | None = None
    held: bool = False
    settling: bool = False
    parking: bool = False
    parked: bool = False
    waking: bool = False
    measured: bool = False
    mourned: bool = False
    rest_bytes: int | None = None
    idle_at: float = 0.0
    busy_since: float = 0.0
    run_seconds: float | None = None
    priority: int = 0
    wanted: bool = False
    hears: Callable[[bool], None] | None = None
    shares_memory: bool = False

    @property
    def use(self) -> placement.Use:
        if self.worker.is_ending:
            return placement.Use.LEAVING
        if self.parking:
            return placement.Use.PARKING
        if self.parked:
            return placement.Use.PARKED
        if self.held or self.settling:
            return placement.Use.BUSY
        is_there = self.worker.is_loaded and self.measured and not self.waking
        return placement.Use.IDLE if is_there else placement.Use.STARTING

    @property
    def can_park(self) -> bool:
        return self.worker.loaded is not None and self.worker.loaded.can_park and not self.shares_memory

    @property
    def bytes(self) -> int:
        """What it holds on each of its devices now."""
        return self.resting if self.parked else self.worker.leased

    @property
    def resting(self) -> int:
        """What it keeps on a device while parked: as it was seen, else what its process had beside the weights."""
        if self.rest_bytes is not None:
            return min(self.rest_bytes, self.worker.leased)
        loaded = self.worker.loaded
        return max(0, loaded.load_peak_bytes - loaded.weights_bytes) if loaded else 0

    @property
    def host_bytes(self) -> int:
        """What parking takes of the host's memory. A CPU device is that memory: what stays counts there."""
        loaded = self.worker.loaded
        each = loaded.weights_bytes if loaded and loaded.device != "cpu" else 0
        return self.worker.host_bytes or each * len(self.worker.devices)

    @property
    def on_host(self) -> int:
        return self.host_bytes if self.parked or self.parking or self.waking else self.worker.spec.host_bytes

    def left(self, moment: float, load_seconds: float | None) -> float | None:
        """Seconds until it is idle or gone, as far as anybody knows."""
        match self.use:
            case placement.Use.STARTING:
                return None if load_seconds is None else max(0.0, load_seconds - (moment - self.busy_since))
            case placement.Use.BUSY:
                return None if self.run_seconds is None else max(0.0, self.run_seconds - (moment - self.busy_since))
        return 0.0


class Ledger:
    """Every slot by its worker's id, and every device by its index."""

    def __init__(
        self,
        devices: Sequence[Device],
        monitor: GPUMonitor | None,
        clock: Callable[[], float],
        host_budget_bytes: int = 0,
    ) -> None:
        """`host_budget_bytes`: for the weights of parked workers in the host's memory."""
        self.devices = {device.index: device for device in devices}
        self.slots: dict[str, Slot] = {}
        self.host_budget_bytes = host_budget_bytes
        self._monitor, self._clock = monitor, clock

    def __iter__(self) -> Iterator[Slot]:
        return iter(list(self.slots.values()))

    def leased(self, device: int) -> int:
        """Bytes spoken for on a device: the sum over its workers."""
        return sum(slot.bytes for slot in self.slots.values() if device in slot.worker.devices)

    def running(self) -> list[placement.Running]:
        moment = self._clock()
        return [
            placement.Running(
                id_,
                slot.worker.spec.key,
                slot.worker.devices,
                slot.bytes if slot.worker.is_ending else slot.worker.leased,
                slot.use,
                rest_bytes=slot.resting,
                host_bytes=slot.host_bytes,
                on_host=slot.on_host,
                idle_seconds=max(0.0, moment - slot.idle_at),
                reload_seconds=slot.worker.load_seconds,
                priority=slot.priority,
                pinned=slot.pinned,
                can_park=slot.can_park,
            )
            for id_, slot in self.slots.items()
            if slot.worker.entry.on_device
        ]

    def rooms(self) -> list[placement.Room]:
        free = self.free()
        return [placement.Room(d.index, d.budget_bytes, free.get(d.index)) for d in self.devices.values()]

    def host_room(self) -> int:
        """What the host has left for the weights of parked workers."""
        return self.host_budget_bytes - sum(slot.on_host for slot in self.slots.values())

    def free(self) -> dict[int, int]:
        """What each device itself says is free; empty without a monitor."""
        return {} if self._monitor is None else self._monitor.free_bytes()

    def seen(self, worker: Worker) -> int:
        """What a worker's processes hold now of the device of which they hold most; 0 where the driver does not say.
        Asks the driver and looks at every process there is: milliseconds to tenths of a second, on a thread."""
        if self._monitor is None or worker.process is None:
            return 0
        held = self._monitor.held_by({process.pid for process in processes.tree(worker.process)})
        return max((held.get(index, 0) for index in worker.devices), default=0)

    def briefly(self) -> dict[str, tuple[WorkerSpec, placement.Use]]:
        """Model and use of each worker, without looking at processes or logs."""
        return {id_: (slot.worker.spec, slot.use) for id_, slot in self.slots.items()}

    async def memory_back(self, slot: Slot, free_before: dict[int, int]) -> None:
        """Drivers report freed memory late: wait until what a GPU worker held is seen to be free again, or for five
        seconds. After those, `decide` still looks at what the device reports as free."""
        deadline = self._clock() + MEMORY_RETURN_SECONDS
        if not slot.worker.entry.on_device:
            return
        for index in slot.worker.devices:
            device = self.devices[index]
            if index not in free_before or device.kind == "cpu":
                continue
            expected = min(free_before[index], device.total_bytes - (self.leased(index) - slot.bytes))
            while self.free().get(index, 0) < 0.95 * expected and self._clock() < deadline:
                await asyncio.sleep(0.1)
