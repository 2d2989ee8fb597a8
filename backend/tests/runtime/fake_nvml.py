"""NVML as a script: the real pynvml's errors and constants, and answers that a test may change at any time."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml

GB = 10**9


class NotSupported:
    """An answer of a GPU that does not know."""


@dataclass
class FakeGPU:
    """One GPU. A value of `NotSupported`, or an NVML error, is raised instead of answered."""

    name: str | bytes = "NVIDIA H200"
    uuid: str = "GPU-00000000-aaaa"
    memory: Any = (40 * GB, 100 * GB, 140 * GB)
    load: Any = 75
    temperature: Any = 61
    milliwatts: Any = 412_500
    limit: Any = 700_000
    clocks: Any = (1755, 3201)
    pcie: Any = (5, 16)
    ecc: Any = 0
    brakes: Any = 0
    capability: Any = (9, 0)
    compute: Any = field(default_factory=list)
    graphics: Any = field(default_factory=list)
    slices: list[FakeGPU | None] = field(default_factory=list)


def says(value: Any) -> Any:
    if value is NotSupported:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    if isinstance(value, pynvml.NVMLError):
        raise value
    return value


def process(pid: int, used: int | None) -> types.SimpleNamespace:
    return types.SimpleNamespace(pid=pid, usedGpuMemory=used)


class FakeNVML(types.ModuleType):
    """What pynvml offers. `broken`, an NVML error, is what every question meets until NVML is opened anew."""

    def __init__(self, *gpus: FakeGPU) -> None:
        super().__init__("pynvml")
        self.gpus = list(gpus)
        self.opened = 0
        self.closed = 0
        self.broken: pynvml.NVMLError | None = None
        self.opens = True
        self.asked: list[str] = []
        self.cuda_version = 13_000

    @property
    def is_open(self) -> bool:
        return self.opened > self.closed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvml"):
            raise AssertionError(f"nobody scripted {name}")
        return getattr(pynvml, name)

    def _said(self, name: str, value: Any) -> Any:
        self.asked.append(name)
        if self.broken is not None:
            raise self.broken
        return says(value)

    def nvmlInit(self) -> None:
        if not self.opens:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.closed += 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGPU:
        return says(self.gpus[index])

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGPU:
        parts = [part for gpu in self.gpus for part in gpu.slices]
        for gpu in [*self.gpus, *parts]:
            if gpu is not None and gpu.uuid == uuid:
                return gpu
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetMigMode(self, gpu: FakeGPU) -> list[int]:
        return [1, 1] if gpu.slices else says(NotSupported)

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: FakeGPU) -> int:
        return len(gpu.slices)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: FakeGPU, place: int) -> FakeGPU:
        part = gpu.slices[place]
        if part is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return part

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGPU) -> types.SimpleNamespace:
        used, free, total = self._said("memory", gpu.memory)
        return types.SimpleNamespace(used=used, free=free, total=total)

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGPU) -> types.SimpleNamespace:
        return types.SimpleNamespace(gpu=self._said("load", gpu.load))

    def nvmlDeviceGetTemperature(self, gpu: FakeGPU, sensor: int) -> int:
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return self._said("temperature", gpu.temperature)

    def nvmlDeviceGetClockInfo(self, gpu: FakeGPU, which: int) -> int:
        return self._said("clocks", gpu.clocks)[which == pynvml.NVML_CLOCK_MEM]

    def nvmlDeviceGetTotalEccErrors(self, gpu: FakeGPU, kind: int, counter: int) -> int:
        assert (kind, counter) == (pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)
        return self._said("ecc", gpu.ecc)

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return self.cuda_version


def _plain(name: str) -> Callable[[FakeNVML, FakeGPU], Any]:
    return lambda self, gpu: self._said(name, getattr(gpu, name))


for question, name in {
    "nvmlDeviceGetName": "name",
    "nvmlDeviceGetUUID": "uuid",
    "nvmlDeviceGetPowerUsage": "milliwatts",
    "nvmlDeviceGetEnforcedPowerLimit": "limit",
    "nvmlDeviceGetCudaComputeCapability": "capability",
    "nvmlDeviceGetCurrentClocksThrottleReasons": "brakes",
    "nvmlDeviceGetComputeRunningProcesses": "compute",
    "nvmlDeviceGetGraphicsRunningProcesses": "graphics",
}.items():
    setattr(FakeNVML, question, _plain(name))
FakeNVML.nvmlDeviceGetCurrPcieLinkGeneration = lambda self, gpu: self._said("pcie", gpu.pcie)[0]  # type: ignore[attr-defined]
FakeNVML.nvmlDeviceGetCurrPcieLinkWidth = lambda self, gpu: self._said("pcie", gpu.pcie)[1]  # type: ignore[attr-defined]
