"""The clock that looks at devices: when it looks, what it says of who holds memory, what it costs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from atelier.events import Envelope, EventBus
from atelier.runtime.devices import Device, DeviceProcess, DeviceSample
from atelier.runtime.gpu import GPUMonitor, ScriptedDevices
from atelier.runtime.placement import Use
from atelier.runtime.worker import WorkerInfo, WorkerState
from atelier.system import watch as module
from atelier.system.watch import DeviceWatch

GB = 10**9
GPU = Device(0, "cuda", "Scripted", 10 * GB, 9 * GB, uuid="GPU-1")


class Pool:
    """As much of a pool as the watch looks at."""

    def __init__(self) -> None:
        self.use: Use | None = None
        self.workers: list[WorkerInfo] = []

    def running_briefly(self) -> dict[str, tuple[None, Use]]:
        return {} if self.use is None else {"w": (None, self.use)}

    def running(self) -> list[WorkerInfo]:
        return self.workers

    def leased_bytes(self, device: int) -> int:
        return 3 * GB


class Studio:
    def __init__(self) -> None:
        self.source, self.pool, self.bus = ScriptedDevices([GPU]), Pool(), EventBus()
        self.heard: list[dict] = []
        self.bus.listen(self._hear)
        self.watch = DeviceWatch(GPUMonitor(self.source), self.pool, self.bus)  # type: ignore[arg-type]

    def _hear(self, envelope: Envelope) -> None:
        self.heard.append(orjson.loads(envelope.body))


@asynccontextmanager
async def opened(studio: Studio) -> AsyncIterator[Studio]:
    await studio.watch.start()
    try:
        yield studio
    finally:
        await studio.watch.close()


@pytest.fixture
def periods(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    def set_(busy: float, idle: float) -> None:
        monkeypatch.setattr(module, "SAMPLE_BUSY_SECONDS", busy)
        monkeypatch.setattr(module, "SAMPLE_IDLE_SECONDS", idle)

    return set_


class TestClock:
    async def test_looks_often_while_something_runs_and_seldom_otherwise(self, periods: Callable) -> None:
        periods(0.05, 0.5)
        async with opened(Studio()) as studio:
            await asyncio.sleep(0.4)
            assert studio.heard == []
            studio.pool.use = Use.BUSY
            studio.watch.nudge()
            await asyncio.sleep(0.5)
            busy = len(studio.heard)
            assert 5 <= busy <= 12
            studio.pool.use = Use.IDLE
            await asyncio.sleep(0.4)
            assert len(studio.heard) <= busy + 2

    async def test_hears_at_once_that_work_began(self, periods: Callable) -> None:
        periods(0.3, 60.0)
        async with opened(Studio()) as studio:
            await asyncio.sleep(0.35)
            studio.pool.use = Use.STARTING
            studio.watch.nudge()
            await asyncio.sleep(0.15)
            assert len(studio.heard) == 1, "the pause of a minute was not waited out"

    async def test_many_changes_make_no_more_looks(self, periods: Callable) -> None:
        periods(0.2, 60.0)
        async with opened(Studio()) as studio:
            studio.pool.use = Use.BUSY
            for _ in range(50):
                studio.watch.nudge()
                await asyncio.sleep(0.01)
            assert len(studio.heard) <= 3

    async def test_a_device_that_fails_does_not_end_it(self, periods: Callable, monkeypatch) -> None:
        periods(0.02, 0.02)
        async with opened(Studio()) as studio:
            monkeypatch.setattr(studio.watch, "devices", lambda: 1 / 0)
            await asyncio.sleep(0.1)
            monkeypatch.undo()
            periods(0.02, 0.02)
            await asyncio.sleep(0.1)
            assert studio.heard

    async def test_says_by_how_much_the_loop_was_late(self, periods: Callable) -> None:
        import time

        periods(0.05, 0.05)
        async with opened(Studio()) as studio:
            await asyncio.sleep(0.02)
            time.sleep(0.3)
            await asyncio.sleep(0.04)
            assert studio.watch.lag > 0.1


class TestFigures:
    async def test_the_event_carries_devices_and_host(self, periods: Callable) -> None:
        periods(0.02, 0.02)
        async with opened(Studio()) as studio:
            await asyncio.sleep(0.1)
            event = studio.heard[-1]
        assert event["type"] == "devices.sampled" and event["host"]["memory_total_bytes"] > 0
        assert event["devices"][0]["leased_bytes"] == 3 * GB and event["devices"][0]["problem"] is None

    async def test_memory_is_told_by_holder(self) -> None:
        """A worker, a process that a worker started, and a stranger."""
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        stranger = subprocess.Popen(
            ["/bin/sh", "-c", "sleep 60 & echo $!"], stdout=subprocess.PIPE, start_new_session=True
        )
        assert stranger.stdout is not None
        orphan = int(stranger.stdout.readline())
        stranger.wait()
        while Path(f"/proc/{orphan}/comm").read_text() != "sleep\n":
            await asyncio.sleep(0.01)
        try:
            studio = Studio()
            worker = WorkerInfo("w-1", "fake", "qwen", WorkerState.BUSY, os.getpid(), GB, 1, 0, datetime.now(UTC))
            studio.pool.workers = [worker]
            held = tuple(DeviceProcess(pid, size) for pid, size in ((os.getpid(), GB), (child.pid, 2 * GB)))
            held += (DeviceProcess(orphan, None), DeviceProcess(4_000_000, 5 * GB))
            studio.source.say([DeviceSample(0, 1.0, 9 * GB, GB, 10 * GB, processes=held)])
            await studio.watch._look()
            (device,) = studio.watch.devices()
            assert [(p.pid, p.model, p.worker_id) for p in device.processes] == [
                (4_000_000, None, None),
                (child.pid, "qwen", "w-1"),
                (os.getpid(), "qwen", "w-1"),
                (orphan, None, None),
            ]
            assert device.processes[0].name is None and device.processes[3].name == "sleep"
            studio.source.say([DeviceSample(0, 2.0, 0, 10 * GB, 10 * GB)])
            await studio.watch._look()
            assert studio.watch.devices()[0].processes == []
        finally:
            child.kill()
            child.wait()
            os.kill(orphan, 9)

    async def test_history_comes_in_columns(self) -> None:
        studio = Studio()
        for used in (GB, 2 * GB):
            sample = DeviceSample(0, 1.0, used, 0, 10 * GB, utilization=50.04, temperature_c=61.4, power_w=None)
            studio.source.say([sample])
            await studio.watch._look()
        told = studio.watch.history(0)
        assert len(told.at) == len(told.cpu) == len(told.memory_used_bytes) == 2
        (device,) = told.devices
        assert device.used_bytes == [GB, 2 * GB] and device.utilization == [0.5, 0.5]
        assert device.temperature_c == [61, 61] and device.power_w == [None, None]
        assert studio.watch.history(told.at[-1]).at == []
