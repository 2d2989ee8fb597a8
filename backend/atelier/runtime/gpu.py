"""Devices and their figures: NVIDIA GPUs through NVML where there are any, otherwise the machine's own memory.

`GPUMonitor` keeps the last samples in a ring, so that a page can draw the last minutes at once. Nothing here decides
anything: budgets are given to the pool, samples to the pages and to the pool's look at free memory.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import psutil

log = logging.getLogger(__name__)

CPU_FRACTION = 0.7
GPU_FRACTION = 0.95
RING = 600


@dataclass(frozen=True)
class Device:
    """One place for workers. `budget_bytes` is what all workers on it together may lease."""

    index: int
    kind: Literal["cpu", "cuda"]
    name: str
    total_bytes: int
    budget_bytes: int


@dataclass(frozen=True)
class DeviceSample:
    """One look at a device. Bytes; `utilization` in percent; None where the device does not say."""

    index: int
    at: float
    used_bytes: int
    free_bytes: int
    total_bytes: int
    utilization: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None


class Source(Protocol):
    """Where figures come from: NVML, the machine's memory, or a test's script."""

    def devices(self) -> list[Device]: ...

    def sample(self) -> list[DeviceSample]: ...

    def close(self) -> None: ...


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
        return [
            DeviceSample(
                0,
                time.time(),
                used_bytes=memory.total - memory.available,
                free_bytes=memory.available,
                total_bytes=memory.total,
                utilization=psutil.cpu_percent(),
            )
        ]

    def close(self) -> None:
        pass


class NVML:
    """NVIDIA GPUs. Raises when the library, the driver or a device is missing."""

    def __init__(self) -> None:
        import pynvml  # only where a GPU may be: the server starts without it

        self._nvml: Any = pynvml
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        if count == 0:
            pynvml.nvmlShutdown()
            raise RuntimeError("NVML knows no device")
        self._handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]

    def devices(self) -> list[Device]:
        found = []
        for index, handle in enumerate(self._handles):
            name = self._nvml.nvmlDeviceGetName(handle)
            total = self._memory(handle)[2]
            text = name if isinstance(name, str) else name.decode()
            found.append(Device(index, "cuda", text, total, int(total * GPU_FRACTION)))
        return found

    def sample(self) -> list[DeviceSample]:
        return [self._sample(index, handle) for index, handle in enumerate(self._handles)]

    def close(self) -> None:
        self._nvml.nvmlShutdown()

    def _memory(self, handle: Any) -> tuple[int, int, int]:
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
            return int(memory.used), int(memory.free), int(memory.total)
        except self._nvml.NVMLError:  # GPUs that share the machine's memory have none of their own to report
            shared = psutil.virtual_memory()
            return shared.total - shared.available, shared.available, shared.total

    def _sample(self, index: int, handle: Any) -> DeviceSample:
        nvml = self._nvml
        used, free, total = self._memory(handle)
        return DeviceSample(
            index,
            time.time(),
            used,
            free,
            total,
            utilization=self._ask(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            temperature_c=self._ask(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            power_w=self._ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        )

    def _ask(self, question: Callable[[], float]) -> float | None:
        try:
            return float(question())
        except self._nvml.NVMLError:
            return None


class ScriptedDevices:
    """A test's devices. `free` may be set at any time; `say` queues samples that are given out first."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = list(devices)
        self.free: dict[int, int] = {device.index: device.total_bytes for device in devices}
        self._script: deque[list[DeviceSample]] = deque()

    def say(self, samples: Iterable[DeviceSample]) -> None:
        self._script.append(list(samples))

    def devices(self) -> list[Device]:
        return list(self._devices)

    def sample(self) -> list[DeviceSample]:
        if self._script:
            return self._script.popleft()
        return [
            DeviceSample(d.index, time.time(), d.total_bytes - self.free[d.index], self.free[d.index], d.total_bytes)
            for d in self._devices
        ]

    def close(self) -> None:
        pass


class GPUMonitor:
    """The devices of this machine and their last samples."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.devices: list[Device] = source.devices()
        self._ring: deque[list[DeviceSample]] = deque(maxlen=RING)

    @classmethod
    def detect(cls, *, budget_bytes: int | None = None) -> GPUMonitor:
        """GPUs when NVML finds some, else the machine's memory. `budget_bytes` caps what workers may lease of each."""
        try:
            monitor = cls(NVML())
        except Exception as reason:  # NVML raises its own errors, ctypes others: none of them matters here
            log.info("no NVIDIA GPU: %s", reason)
            return cls(MachineMemory(budget_bytes))
        if budget_bytes is not None:
            monitor.devices = [replace(d, budget_bytes=min(budget_bytes, d.budget_bytes)) for d in monitor.devices]
        return monitor

    def sample(self) -> list[DeviceSample]:
        """Look now, and remember. When the driver stops answering, the last sample is given again."""
        try:
            samples = self._source.sample()
        except Exception as reason:  # a driver that fell over must not take the pages with it
            log.warning("devices do not answer: %s", reason)
            return self._ring[-1] if self._ring else []
        self._ring.append(samples)
        return samples

    def free_bytes(self) -> dict[int, int]:
        """What each device says is free right now, without a place in the ring; empty when they do not answer."""
        try:
            return {sample.index: sample.free_bytes for sample in self._source.sample()}
        except Exception as reason:  # as above
            log.warning("devices do not answer: %s", reason)
            return {}

    def history(self) -> list[list[DeviceSample]]:
        """The last samples, oldest first."""
        return list(self._ring)

    def close(self) -> None:
        self._source.close()
