"""Devices: NVML when it is there, the machine's memory otherwise, a script in tests."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import psutil
import pytest
from atelier.runtime import gpu
from atelier.runtime.gpu import Device, DeviceSample, GPUMonitor, MachineMemory, ScriptedDevices

GB = 10**9


class FakeNVML(types.ModuleType):
    """What pynvml offers, with two devices, the second of which reports no temperature and no memory of its own."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, count: int = 2) -> None:
        super().__init__("pynvml")
        self.count = count
        self.open = False

    def nvmlInit(self) -> None:
        self.open = True

    def nvmlShutdown(self) -> None:
        self.open = False

    def nvmlDeviceGetCount(self) -> int:
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:
        return ["NVIDIA H200", b"NVIDIA GB10"][handle]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> types.SimpleNamespace:
        if handle == 1:
            raise self.NVMLError("not supported")
        return types.SimpleNamespace(used=40 * GB, free=100 * GB, total=140 * GB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> types.SimpleNamespace:
        return types.SimpleNamespace(gpu=75)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        if handle == 1:
            raise self.NVMLError("not supported")
        return 61

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return 412_500


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNVML]:
    fake = FakeNVML()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    yield fake


class TestNVML:
    def test_devices(self, nvml: FakeNVML) -> None:
        first, second = GPUMonitor.detect().devices
        assert first == Device(0, "cuda", "NVIDIA H200", 140 * GB, 133 * GB)
        assert (second.name, second.total_bytes) == ("NVIDIA GB10", psutil.virtual_memory().total)

    def test_sample_says_none_for_what_a_device_does_not_tell(self, nvml: FakeNVML) -> None:
        first, second = GPUMonitor.detect().sample()
        assert (first.used_bytes, first.free_bytes, first.utilization) == (40 * GB, 100 * GB, 75)
        assert (first.temperature_c, first.power_w) == (61, 412.5)
        assert second.temperature_c is None and second.free_bytes > 0

    def test_a_budget_caps_every_device(self, nvml: FakeNVML) -> None:
        assert [d.budget_bytes for d in GPUMonitor.detect(budget_bytes=GB).devices] == [GB, GB]

    def test_close_ends_nvml(self, nvml: FakeNVML) -> None:
        monitor = GPUMonitor.detect()
        monitor.close()
        assert not nvml.open

    def test_a_driver_that_fell_over_repeats_the_last_sample(self, nvml: FakeNVML) -> None:
        monitor = GPUMonitor.detect()
        before = monitor.sample()
        nvml.nvmlDeviceGetName = nvml.nvmlDeviceGetMemoryInfo = None  # type: ignore[method-assign, assignment]
        assert monitor.sample() == before
        assert monitor.free_bytes() == {}


class TestWithoutGPU:
    @pytest.fixture(autouse=True)
    def no_device(self, nvml: FakeNVML) -> None:
        nvml.count = 0

    def test_the_cpu_is_the_device(self) -> None:
        (device,) = GPUMonitor.detect().devices
        total = psutil.virtual_memory().total
        assert device == Device(0, "cpu", "CPU", total, int(total * 0.7))

    def test_a_missing_library_is_no_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", None)
        assert GPUMonitor.detect().devices[0].kind == "cpu"

    def test_the_budget_is_a_setting_up_to_what_there_is(self) -> None:
        assert GPUMonitor.detect(budget_bytes=GB).devices[0].budget_bytes == GB
        total = psutil.virtual_memory().total
        assert GPUMonitor.detect(budget_bytes=total * 2).devices[0].budget_bytes == total

    def test_sample_is_the_machines_memory(self) -> None:
        (sample,) = GPUMonitor(MachineMemory()).sample()
        assert sample.used_bytes + sample.free_bytes == sample.total_bytes == psutil.virtual_memory().total


class TestRing:
    def test_keeps_the_last_samples_oldest_first(self) -> None:
        source = ScriptedDevices([Device(0, "cuda", "Scripted", GB, GB)])
        monitor = GPUMonitor(source)
        for used in range(gpu.RING + 5):
            source.say([DeviceSample(0, float(used), used, GB - used, GB)])
            monitor.sample()
        history = monitor.history()
        assert len(history) == gpu.RING
        assert (history[0][0].used_bytes, history[-1][0].used_bytes) == (5, gpu.RING + 4)

    def test_a_look_at_free_memory_leaves_no_trace(self) -> None:
        source = ScriptedDevices([Device(0, "cuda", "Scripted", GB, GB)])
        monitor = GPUMonitor(source)
        source.free[0] = 7
        assert monitor.free_bytes() == {0: 7} and monitor.history() == []
