"""Devices: NVML when it is there, the machine's memory otherwise, a script in tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psutil
import pynvml
import pytest
from atelier.runtime.devices import Device, DeviceProcess, DeviceSample, Driver, MachineMemory
from atelier.runtime.gpu import GPUMonitor, ScriptedDevices
from atelier.runtime.nvml import NVML, REVIVE_SECONDS
from tests.runtime.fake_nvml import FakeGPU, FakeNVML, NotSupported, process

GB = 10**9
SHARED = FakeGPU(
    name=b"NVIDIA GB10",
    uuid="GPU-11111111-bbbb",
    memory=NotSupported,
    temperature=NotSupported,
    ecc=NotSupported,
    compute=[process(300, 5 * GB)],
)


def error(code: int) -> pynvml.NVMLError:
    return pynvml.NVMLError(code)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNVML]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake = FakeNVML(FakeGPU(), SHARED)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    yield fake


class TestNVML:
    def test_devices(self, nvml: FakeNVML) -> None:
        first, second = GPUMonitor.detect().devices
        assert first == Device(
            0, "cuda", "NVIDIA H200", 140 * GB, 133 * GB, "GPU-00000000-aaaa", "0", capability=(9, 0)
        )
        assert (second.name, second.cuda_id) == ("NVIDIA GB10", "1")

    def test_one_that_was_lost_before_the_start_is_left_out(self, nvml: FakeNVML) -> None:
        """The others are named by their UUIDs then: CUDA may count them anew."""
        nvml.gpus.insert(0, error(pynvml.NVML_ERROR_GPU_IS_LOST))  # type: ignore[arg-type]
        devices = GPUMonitor.detect().devices
        assert [(one.index, one.cuda_id) for one in devices] == [(0, "GPU-00000000-aaaa"), (1, "GPU-11111111-bbbb")]

    def test_a_chip_without_memory_of_its_own_has_the_machines_and_leaves_some_to_it(self, nvml: FakeNVML) -> None:
        device, sample = GPUMonitor.detect().devices[1], GPUMonitor.detect().sample()[1]
        total = psutil.virtual_memory().total
        assert device.shares_memory and device.total_bytes == sample.total_bytes == total
        assert device.budget_bytes == int(0.75 * total)
        assert 0 < sample.free_bytes < total and sample.processes == (DeviceProcess(300, 5 * GB),)

    def test_a_sample_holds_all_that_a_device_tells(self, nvml: FakeNVML) -> None:
        nvml.gpus[0].brakes, nvml.gpus[0].ecc = 0x01 | 0x04 | 0x40, 2
        nvml.gpus[0].compute = [process(100, 30 * GB), process(200, None)]
        nvml.gpus[0].graphics = [process(100, 30 * GB), process(50, GB)]
        sample = GPUMonitor.detect().sample()[0]
        assert (sample.used_bytes, sample.free_bytes, sample.utilization) == (40 * GB, 100 * GB, 75)
        assert (sample.temperature_c, sample.power_w, sample.power_limit_w) == (61, 412.5, 700)
        assert (sample.clock_mhz, sample.memory_clock_mhz) == (1755, 3201)
        assert (sample.pcie_generation, sample.pcie_lanes, sample.ecc_errors) == (5, 16, 2)
        assert sample.brakes == ("power", "heat")
        assert sample.processes == (DeviceProcess(50, GB), DeviceProcess(100, 30 * GB), DeviceProcess(200, None))

    def test_what_a_device_does_not_know_is_none_and_not_asked_again(self, nvml: FakeNVML) -> None:
        monitor = GPUMonitor.detect()
        second = monitor.sample()[1]
        assert second.temperature_c is None and second.ecc_errors is None
        nvml.asked.clear()
        monitor.sample()
        assert nvml.asked.count("temperature") == nvml.asked.count("ecc") == 1, "the first device only"

    def test_what_fails_once_is_asked_again(self, nvml: FakeNVML) -> None:
        monitor = GPUMonitor.detect()
        nvml.gpus[0].load = error(pynvml.NVML_ERROR_TIMEOUT)
        assert monitor.sample()[0].utilization is None
        nvml.gpus[0].load = 12
        assert monitor.sample()[0].utilization == 12

    def test_a_look_at_free_memory_asks_for_nothing_else(self, nvml: FakeNVML) -> None:
        monitor = GPUMonitor.detect()
        nvml.asked.clear()
        assert monitor.free_bytes()[0] == 100 * GB
        assert set(nvml.asked) == {"memory", "name"} and len(monitor.history) == 0

    def test_a_budget_caps_every_device(self, nvml: FakeNVML) -> None:
        assert [d.budget_bytes for d in GPUMonitor.detect(budget_bytes=GB).devices] == [GB, GB]

    def test_the_driver_says_which_cuda_it_can_run(self, nvml: FakeNVML) -> None:
        assert GPUMonitor.detect().driver == Driver("580.95.05", (13, 0))
        nvml.cuda_version = 12_080
        assert GPUMonitor.detect().driver == Driver("580.95.05", (12, 8))

    def test_close_ends_nvml(self, nvml: FakeNVML) -> None:
        monitor = GPUMonitor.detect()
        assert nvml.is_open
        monitor.close()
        assert not nvml.is_open

    @pytest.mark.parametrize(
        ("visible", "expected"),
        [("1", ["1"]), ("1,0", ["0", "1"]), ("GPU-1111", ["1"]), ("0,-1,1", ["0"]), ("", ["cpu"]), ("-1", ["cpu"])],
    )
    def test_the_servers_own_choice_of_devices_holds(
        self, nvml: FakeNVML, monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[str]
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        devices = GPUMonitor.detect().devices
        assert [device.cuda_id or device.kind for device in devices] == expected
        assert [device.index for device in devices] == list(range(len(devices)))


class TestSlices:
    """A GPU that is cut by MIG."""

    def cut(self, nvml: FakeNVML) -> FakeGPU:
        parts = [
            FakeGPU(name=f"H200 MIG {n}", uuid=f"MIG-{n}", memory=(GB, 17 * GB, 18 * GB), load=NotSupported)
            for n in (1, 2)
        ]
        parts[1].compute = [process(77, GB)]
        nvml.gpus[0].slices = [parts[0], None, parts[1]]
        return nvml.gpus[0]

    def test_each_is_a_device_that_a_worker_sees_by_its_uuid(self, nvml: FakeNVML) -> None:
        self.cut(nvml)
        devices = GPUMonitor.detect().devices
        assert [d.cuda_id for d in devices] == ["MIG-1", "MIG-2", "1"]
        assert [(d.index, d.total_bytes) for d in devices[:2]] == [(0, 18 * GB), (1, 18 * GB)]

    def test_memory_and_processes_are_their_own_heat_and_power_the_boards(self, nvml: FakeNVML) -> None:
        self.cut(nvml)
        first, second, _ = GPUMonitor.detect().sample()
        assert (first.used_bytes, first.utilization, first.temperature_c, first.power_w) == (GB, None, 61, 412.5)
        assert first.processes == () and second.processes == (DeviceProcess(77, GB),)


class TestDriverThatGoesAway:
    def test_a_lost_gpu_says_so_and_takes_nobody_while_the_others_go_on(self, nvml: FakeNVML) -> None:
        nvml.gpus[1] = FakeGPU(uuid="GPU-2")
        monitor = GPUMonitor.detect()
        nvml.gpus[0].memory = error(pynvml.NVML_ERROR_GPU_IS_LOST)
        first, second = monitor.sample()
        assert first.problem and "lost" in first.problem.lower() and first.free_bytes == 0
        assert second.problem is None and second.free_bytes == 100 * GB
        assert monitor.free_bytes() == {0: 0, 1: 100 * GB}
        columns = monitor.history.since(0)
        assert monitor.history.device(columns, 0)["used_bytes"] == [None]
        assert monitor.history.device(columns, 1)["used_bytes"] == [40 * GB]

    def test_a_reloaded_driver_is_opened_anew_and_devices_are_found_by_uuid(self, nvml: FakeNVML) -> None:
        clock = Clock()
        monitor = GPUMonitor(NVML(clock=clock))
        nvml.broken = error(pynvml.NVML_ERROR_UNINITIALIZED)
        assert all(sample.problem for sample in monitor.sample())
        assert monitor.free_bytes() == {0: 0, 1: 0}
        # The driver is back, and its devices are other handles in another order.
        nvml.broken, nvml.gpus = None, [SHARED, FakeGPU(memory=(GB, 139 * GB, 140 * GB))]
        clock.now += REVIVE_SECONDS / 2
        opened = nvml.opened
        monitor.sample()
        assert nvml.opened == opened, "not at every look"
        clock.now += REVIVE_SECONDS
        nvml.broken = error(pynvml.NVML_ERROR_UNINITIALIZED)
        monitor.sample()
        nvml.broken = None
        clock.now += REVIVE_SECONDS + 1
        samples = monitor.sample()
        assert nvml.opened > opened and [sample.problem for sample in samples] == [None, None]
        assert samples[0].used_bytes == GB

    def test_a_driver_that_stays_away_is_tried_again_now_and_then(self, nvml: FakeNVML) -> None:
        clock = Clock()
        monitor = GPUMonitor(NVML(clock=clock))
        nvml.broken, nvml.opens = error(pynvml.NVML_ERROR_DRIVER_NOT_LOADED), False
        for _ in range(5):
            clock.now += REVIVE_SECONDS + 1
            assert all(sample.problem for sample in monitor.sample())
        monitor.close()

    def test_a_source_that_raises_repeats_the_last_sample(self) -> None:
        source = ScriptedDevices([Device(0, "cuda", "Scripted", GB, GB)])
        monitor = GPUMonitor(source)
        before = monitor.sample()
        source.sample = source.free_bytes = None  # type: ignore[method-assign, assignment]
        assert monitor.sample() == before and monitor.free_bytes() == {}


class TestWithoutGPU:
    @pytest.fixture(autouse=True)
    def no_device(self, nvml: FakeNVML) -> None:
        nvml.gpus = []

    def test_the_cpu_is_the_device(self, nvml: FakeNVML) -> None:
        (device,) = GPUMonitor.detect().devices
        total = psutil.virtual_memory().total
        assert device == Device(0, "cpu", "CPU", total, int(total * 0.7))
        assert not nvml.is_open

    def test_a_missing_library_is_no_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", None)
        assert GPUMonitor.detect().devices[0].kind == "cpu"

    def test_a_missing_driver_is_no_error(self, nvml: FakeNVML) -> None:
        nvml.opens = False
        monitor = GPUMonitor.detect()
        assert monitor.devices[0].kind == "cpu" and monitor.driver is None

    def test_the_budget_is_a_setting_up_to_what_there_is(self) -> None:
        assert GPUMonitor.detect(budget_bytes=GB).devices[0].budget_bytes == GB
        total = psutil.virtual_memory().total
        assert GPUMonitor.detect(budget_bytes=total * 2).devices[0].budget_bytes == total

    def test_sample_is_the_machines_memory_and_the_processors_load(self) -> None:
        monitor = GPUMonitor(MachineMemory())
        (sample,) = monitor.sample()
        assert sample.used_bytes + sample.free_bytes == sample.total_bytes == psutil.virtual_memory().total
        assert sample.utilization == monitor.host.cpu_percent

    def test_any_thread_sees_how_busy_the_processors_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cores = psutil.cpu_count() or 1
        counted = [10.0, 10.0]

        def tick(busy: float, idle: float) -> float:
            counted[0] += busy * cores
            counted[1] += idle * cores
            with ThreadPoolExecutor(1) as another:
                return another.submit(monitor.sample).result()[0].utilization or 0.0

        monkeypatch.setattr(psutil, "cpu_times", lambda: CpuTimes(counted[0], counted[1], iowait=1.0, guest=4.0))
        monitor = GPUMonitor(MachineMemory())
        assert tick(0.9, 0.1) == 90.0
        assert tick(0.0, 0.1) == 90.0, "too short a moment"
        assert tick(0.0, 0.9) == 0.0
        assert tick(0.5, 0.5) == 50.0


class CpuTimes(NamedTuple):
    """As much of psutil's answer as there is on Linux and matters here: a guest's time is in `user` too."""

    user: float
    idle: float
    iowait: float
    guest: float


class TestScripted:
    def test_gives_out_its_script_first(self) -> None:
        source = ScriptedDevices([Device(0, "cuda", "Scripted", GB, GB)])
        source.say([DeviceSample(0, 1.0, 5, GB - 5, GB)])
        monitor = GPUMonitor(source)
        assert [monitor.sample()[0].used_bytes for _ in range(2)] == [5, 0]
        source.free[0] = 7
        assert monitor.free_bytes() == {0: 7}
