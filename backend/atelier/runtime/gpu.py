"""Devices and their figures: NVIDIA GPUs through NVML where there are any, otherwise the machine's own memory.

`GPUMonitor` keeps the last samples, so that a page can draw the last minutes at once. Nothing here decides anything:
budgets are given to the pool, samples to the pages and to the pool's look at free memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from atelier.config import own_variables
from atelier.runtime.devices import Device, DeviceSample, Driver, HostSample, MachineMemory, Source, look_at_host
from atelier.runtime.history import History
from atelier.runtime.nvml import NVML

__all__ = ["Device", "DeviceSample", "GPUMonitor", "MachineMemory", "ScriptedDevices", "Source"]

log = logging.getLogger(__name__)


class ScriptedDevices:
    """A test's devices. `free` may be set at any time; `say` queues samples that are given out first."""

    def __init__(self, devices: Sequence[Device], driver: Driver | None = None) -> None:
        self._devices = list(devices)
        self._driver = driver
        self.free: dict[int, int] = {device.index: device.total_bytes for device in devices}
        self._script: deque[list[DeviceSample]] = deque()

    def say(self, samples: Iterable[DeviceSample]) -> None:
        self._script.append(list(samples))

    def devices(self) -> list[Device]:
        return list(self._devices)

    def sample(self) -> list[DeviceSample]:
        if self._script:
            return self._script.popleft()
        free, moment = self.free, time.time()
        return [
            DeviceSample(d.index, moment, d.total_bytes - free[d.index], free[d.index], d.total_bytes)
            for d in self._devices
        ]

    def free_bytes(self) -> dict[int, int]:
        return dict(self.free)

    def driver(self) -> Driver | None:
        return self._driver

    def close(self) -> None:
        pass


class GPUMonitor:
    """The devices of this machine, their last samples and the last minutes of them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._one_at_a_time = threading.Lock()
        self.devices: list[Device] = source.devices()
        self.driver: Driver | None = source.driver()
        self.history = History(len(self.devices))
        self.host: HostSample = look_at_host()
        self.latest: list[DeviceSample] = []

    @classmethod
    def detect(cls, *, budget_bytes: int | None = None) -> GPUMonitor:
        """GPUs when NVML finds some, else the machine's memory. `budget_bytes` caps what workers may lease of each."""
        try:
            monitor = cls(NVML(own_variables().get("CUDA_VISIBLE_DEVICES")))
        except Exception as reason:  # NVML raises its own errors, ctypes others: none of them matters here
            log.info("no NVIDIA GPU: %s", reason)
            return cls(MachineMemory(budget_bytes))
        if budget_bytes is not None:
            monitor.devices = [replace(d, budget_bytes=min(budget_bytes, d.budget_bytes)) for d in monitor.devices]
        return monitor

    def sample(self) -> list[DeviceSample]:
        """Look now, and remember. When nothing answers, the last sample is given again. On a thread: drivers take their
        time."""
        try:
            with self._one_at_a_time:
                samples = self._source.sample()
        except Exception as reason:  # a driver that fell over must not take the pages with it
            log.warning("devices do not answer: %s", reason)
            return self.latest
        self.host = look_at_host(self.host)
        processor = {device.index for device in self.devices if device.kind == "cpu"}
        self.latest = [
            replace(sample, utilization=self.host.cpu_percent) if sample.index in processor else sample
            for sample in samples
        ]
        self.history.add(self.host, self.latest)
        return self.latest

    def free_bytes(self) -> dict[int, int]:
        """What each device says is free right now, without a place in the history; empty when they do not answer."""
        try:
            return self._source.free_bytes()
        except Exception as reason:  # as above
            log.warning("devices do not answer: %s", reason)
            return {}

    def held_by(self, pids: Collection[int]) -> dict[int, int]:
        """What these processes hold of each device right now, as far as the driver says whose memory is whose. On a
        thread, as `sample`."""
        try:
            with self._one_at_a_time:
                samples = self._source.sample()
        except Exception as reason:  # as above
            log.warning("devices do not answer: %s", reason)
            return {}
        return {one.index: sum(p.bytes or 0 for p in one.processes if p.pid in pids) for one in samples}

    def close(self) -> None:
        self._source.close()
