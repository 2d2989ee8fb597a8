"""What a device is and what one look at it says: the words that figures come in, wherever they come from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

import psutil

CPU_FRACTION = 0.7

SHORTEST_CORE_SECONDS = 0.5
"""Over less, for each core, the share of the processors is noise: they count in hundredths of a second."""

Brake = Literal["power", "heat", "hardware"]
"""Why a GPU runs slower than it could."""


@dataclass(frozen=True)
class Device:
    """One place for workers. `budget_bytes` is what all workers on it together may lease.

    `cuda_id` is what CUDA_VISIBLE_DEVICES must say for a worker to see this device and no other: an index, or the
    UUID of a MIG slice. `shares_memory`: a chip whose GPU uses the machine's own memory. `capability` is CUDA's, as
    in (9, 0).
    """

    index: int
    kind: Literal["cpu", "cuda"]
    name: str
    total_bytes: int
    budget_bytes: int
    uuid: str = ""
    cuda_id: str = ""
    shares_memory: bool = False
    capability: tuple[int, int] | None = None


@dataclass(frozen=True)
class DeviceProcess:
    """A process that holds memory of a device. `bytes` is None where the driver keeps it to itself."""

    pid: int
    bytes: int | None


@dataclass(frozen=True)
class DeviceSample:
    """One look at a device. Bytes; `utilization` in percent; None where the device does not say.

    `problem` says in the driver's words why there are no figures; `free_bytes` is 0 then: nobody is placed there.
    `ecc_errors` counts memory errors that could not be corrected, since the driver was loaded.
    """

    index: int
    at: float
    used_bytes: int
    free_bytes: int
    total_bytes: int
    utilization: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    pcie_generation: float | None = None
    pcie_lanes: float | None = None
    ecc_errors: float | None = None
    brakes: tuple[Brake, ...] = ()
    processes: tuple[DeviceProcess, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class HostSample:
    """The machine beside its devices: `cpu_percent` over all cores, 0 to 100, and the counters it was taken at."""

    at: float
    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int
    busy_seconds: float = 0.0
    core_seconds: float = 0.0


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver: its version, and the newest CUDA that it can run."""

    version: str
    cuda: tuple[int, int] | None


class Source(Protocol):
    """Where figures come from: NVML, the machine's memory, or a test's script."""

    def devices(self) -> list[Device]: ...

    def sample(self) -> list[DeviceSample]: ...

    def free_bytes(self) -> dict[int, int]:
        """Free bytes of each device and nothing else: asked for before every decision of the pool."""
        ...

    def driver(self) -> Driver | None: ...

    def close(self) -> None: ...


def look_at_host(before: HostSample | None = None) -> HostSample:
    """Now; the processors' share since `before`, or what it said when that is too short a moment to tell.

    `psutil.cpu_percent()` would do, but it remembers for each thread by itself: asked from a thread of a pool that has
    not asked yet, it says 0.
    """
    memory, times = psutil.virtual_memory(), psutil.cpu_times()
    # A guest's time is in that of the user already (proc_stat(5)).
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    busy = total - times.idle - getattr(times, "iowait", 0.0)
    percent = 0.0
    if before is not None:
        passed = total - before.core_seconds
        if passed < SHORTEST_CORE_SECONDS * (psutil.cpu_count() or 1):
            percent, busy, total = before.cpu_percent, before.busy_seconds, before.core_seconds
        else:
            percent = round(min(max((busy - before.busy_seconds) / passed, 0.0), 1.0) * 100, 1)
    return HostSample(time.time(), percent, memory.total - memory.available, memory.total, busy, total)


class MachineMemory:
    """A machine without a GPU: one device of kind `cpu` that is the machine's memory."""

    def __init__(self, budget_bytes: int | None = None) -> None:
        self._budget = budget_bytes

    def devices(self) -> list[Device]:
        total = psutil.virtual_memory().total
        budget = self._budget if self._budget is not None else int(total * CPU_FRACTION)
        return [Device(0, "cpu", "CPU", total, min(budget, total))]

    def sample(self) -> list[DeviceSample]:
        memory = psutil.virtual_memory()
        return [DeviceSample(0, time.time(), memory.total - memory.available, memory.available, memory.total)]

    def free_bytes(self) -> dict[int, int]:
        return {0: psutil.virtual_memory().available}

    def driver(self) -> Driver | None:
        return None

    def close(self) -> None:
        pass
