"""Looks at the devices on a clock: every second while something loads or runs, every five otherwise.

The one home of device figures: the live event, the system page, the chart and the admin's status all read from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from atelier.events import DevicesSampled, EventBus
from atelier.runtime import processes
from atelier.runtime.devices import Device, DeviceSample
from atelier.runtime.gpu import GPUMonitor
from atelier.runtime.placement import Use
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import HIDDEN
from atelier.runtime.worker import WorkerInfo
from atelier.shapes import DeviceOut, DeviceProcessOut, HostOut
from atelier.system.schemas import DeviceHistoryOut, HistoryOut

log = structlog.get_logger("atelier.system")

SAMPLE_BUSY_SECONDS = 1.0
SAMPLE_IDLE_SECONDS = 5.0
LINE_OF_PARENTS = 12


class DeviceWatch:
    """`lag` is by how many seconds the event loop woke it too late the last time: health looks at it."""

    def __init__(
        self,
        monitor: GPUMonitor,
        pool: WorkerPool,
        bus: EventBus,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.monitor = monitor
        self.lag = 0.0
        self._pool, self._bus, self._clock = pool, bus, clock
        self._woken = asyncio.Event()
        self._looked_at = clock()
        self._sampler: asyncio.Task[None] | None = None
        self._processes: dict[int, list[DeviceProcessOut]] = {}

    async def start(self) -> None:
        await self._look()
        self._sampler = asyncio.create_task(self._look_forever(), name="system.sample")
        driver = self.monitor.driver
        log.info(
            "GPUMonitor started",
            devices=[device.name for device in self.monitor.devices],
            driver=driver.version if driver else None,
        )

    async def close(self) -> None:
        if self._sampler:
            self._sampler.cancel()
            await asyncio.gather(self._sampler, return_exceptions=True)

    def nudge(self) -> None:
        """A worker changed: when it begins to work, the next look is due at once."""
        self._woken.set()

    # ── reads ──

    def name_of(self, index: int) -> str:
        return f"{self.monitor.devices[index].kind}:{index}"

    def devices(self) -> list[DeviceOut]:
        samples = {sample.index: sample for sample in self.monitor.latest}
        return [self._device(device, samples.get(device.index)) for device in self.monitor.devices]

    def host(self) -> HostOut:
        host = self.monitor.host
        return HostOut(
            cpu_percent=host.cpu_percent,
            memory_used_bytes=host.memory_used_bytes,
            memory_total_bytes=host.memory_total_bytes,
        )

    def history(self, since: float) -> HistoryOut:
        """`since` in seconds since 1970: rows later than that."""
        history = self.monitor.history
        columns = history.since(since)
        host = history.host(columns)
        return HistoryOut(
            at=[moment or 0.0 for moment in columns[0]],
            cpu=_fractions(host["cpu_percent"]),
            memory_used_bytes=_whole(host["memory_used_bytes"]),
            memory_total_bytes=self.monitor.host.memory_total_bytes,
            devices=[
                DeviceHistoryOut(
                    index=device.index,
                    total_bytes=device.total_bytes,
                    used_bytes=_whole(figures["used_bytes"]),
                    utilization=_fractions(figures["utilization"]),
                    temperature_c=_whole(figures["temperature_c"]),
                    power_w=_whole(figures["power_w"]),
                )
                for device in self.monitor.devices
                for figures in [history.device(columns, device.index)]
            ],
        )

    # ── inside ──

    def _device(self, device: Device, sample: DeviceSample | None) -> DeviceOut:
        seen = sample or DeviceSample(device.index, 0.0, 0, 0, device.total_bytes)
        return DeviceOut(
            index=device.index,
            kind=device.kind,
            name=device.name,
            total_bytes=device.total_bytes,
            used_bytes=seen.used_bytes,
            budget_bytes=device.budget_bytes,
            leased_bytes=self._pool.leased_bytes(device.index),
            utilization=None if seen.utilization is None else round(seen.utilization / 100, 3),
            temperature_c=seen.temperature_c,
            power_w=seen.power_w,
            power_limit_w=seen.power_limit_w,
            clock_mhz=seen.clock_mhz,
            memory_clock_mhz=seen.memory_clock_mhz,
            pcie_generation=None if seen.pcie_generation is None else int(seen.pcie_generation),
            pcie_lanes=None if seen.pcie_lanes is None else int(seen.pcie_lanes),
            ecc_errors=None if seen.ecc_errors is None else int(seen.ecc_errors),
            brakes=list(seen.brakes),
            shares_memory=device.shares_memory,
            problem=seen.problem,
            processes=self._processes.get(device.index, []),
        )

    async def _look_forever(self) -> None:
        while True:
            await self._until_due()
            try:
                await self._look()
                self._bus.publish(self._event(), key="devices")
            except Exception:  # loop edge: a device that does not answer must not end the sampling
                log.exception("system.sample_failed")

    def _event(self) -> DevicesSampled:
        return DevicesSampled(at=round(self.monitor.host.at, 2), devices=self.devices(), host=self.host())

    async def _until_due(self) -> None:
        while (left := self._looked_at + self._period() - self._clock()) > 0:
            self._woken.clear()
            begun = self._clock()
            try:
                async with asyncio.timeout(left):
                    await self._woken.wait()
            except TimeoutError:
                self.lag = max(0.0, self._clock() - begun - left)

    def _period(self) -> float:
        uses = {use for _, use in self._pool.running_briefly().values()}
        return SAMPLE_BUSY_SECONDS if uses & {Use.STARTING, Use.BUSY, Use.LEAVING} else SAMPLE_IDLE_SECONDS

    async def _look(self) -> None:
        self._looked_at = self._clock()
        samples = await asyncio.to_thread(self.monitor.sample)
        if any(sample.processes for sample in samples) or self._processes:
            workers = {info.pid: info for info in self._pool.running() if info.pid}
            self._processes = await asyncio.to_thread(_holders, samples, workers)


def _holders(samples: list[DeviceSample], workers: dict[int, WorkerInfo]) -> dict[int, list[DeviceProcessOut]]:
    """Who holds memory of each device, largest first. Blocks a little: it looks at processes."""
    return {
        sample.index: [
            DeviceProcessOut(
                pid=one.pid,
                name=_name(one.pid),
                bytes=one.bytes,
                worker_id=owner.id if owner else None,
                model=(HIDDEN if owner.owner else owner.model) if owner else None,  # everybody sees this
            )
            for one in sorted(sample.processes, key=lambda one: -(one.bytes or 0))
            for owner in [_owner(one.pid, workers)]
        ]
        for sample in samples
    }


def _owner(pid: int, workers: dict[int, WorkerInfo]) -> WorkerInfo | None:
    """The worker that is this process, or that started it: an engine may have processes of its own."""
    for _ in range(LINE_OF_PARENTS):
        if pid in workers:
            return workers[pid]
        process = processes.look(pid)
        if process is None or process.parent <= 1:
            return None
        pid = process.parent
    return None


def _name(pid: int) -> str | None:
    """What it is called; None when it is gone, or outside this container."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return None


def _fractions(percents: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value / 100, 3) for value in percents]


def _whole(values: list[float | None]) -> list[int | None]:
    return [None if value is None else round(value) for value in values]
