"""NVIDIA GPUs through NVML: also those cut into MIG slices, those that share the machine's memory, and lost ones.

A question that a device does not know is asked once and never again. A device or driver that stops answering gives
samples with a `problem`; from then on NVML is opened anew now and then, and the device found again by its UUID.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psutil

from atelier.runtime.devices import Brake, Device, DeviceProcess, DeviceSample, Driver

log = logging.getLogger(__name__)

GPU_FRACTION = 0.95
SHARED_FRACTION = 0.75
REVIVE_SECONDS = 10.0

# NVML's clock event reasons. The others (idle, a set clock, sync boost) are no brakes.
BRAKES: tuple[tuple[int, Brake], ...] = ((0x04 | 0x80, "power"), (0x20 | 0x40, "heat"), (0x08, "hardware"))


@dataclass
class _Unit:
    """A device as NVML names it. A MIG slice has memory and processes of its own; heat and power are its board's."""

    device: Device
    handle: Any
    board: Any
    board_uuid: str


class NVML:
    """Raises when the library, the driver or every device is missing.

    `visible` is the server's own CUDA_VISIBLE_DEVICES: what it leaves out is not used.
    """

    def __init__(self, visible: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        import pynvml  # only where a GPU may be: the server starts without it

        self._nvml: Any = pynvml
        self._clock = clock
        self._revived_at = clock()
        self._broken = False
        self._unknown: set[tuple[int, str]] = set()
        pynvml.nvmlInit()
        try:
            chosen = [unit for unit in self._find() if _is_visible(unit, visible)]
            self._units = [_numbered(unit, index) for index, unit in enumerate(chosen)]
            if not self._units:
                raise RuntimeError("NVML knows no device that may be used")
        except BaseException:
            pynvml.nvmlShutdown()
            raise

    def devices(self) -> list[Device]:
        return [unit.device for unit in self._units]

    def driver(self) -> Driver | None:
        version = self._ask(-1, "driver", self._nvml.nvmlSystemGetDriverVersion)
        number = self._ask(-1, "cuda", self._nvml.nvmlSystemGetCudaDriverVersion_v2)
        if version is None:
            return None
        return Driver(_text(version), (number // 1000, number % 1000 // 10) if number else None)

    def sample(self) -> list[DeviceSample]:
        if self._broken and self._clock() - self._revived_at > REVIVE_SECONDS:
            self._revive()
        samples = [self._sample(unit) for unit in self._units]
        self._broken = any(sample.problem for sample in samples)
        return samples

    def free_bytes(self) -> dict[int, int]:
        """A device that does not answer has nothing free."""
        found = {}
        for unit in self._units:
            try:
                found[unit.device.index] = self._memory(unit)[1]
            except self._nvml.NVMLError:
                self._broken = True
                found[unit.device.index] = 0
        return found

    def close(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError as reason:  # a driver that went away has closed it already
            log.info("NVML was closed before: %s", reason)

    # ── finding ──

    def _find(self) -> Iterator[_Unit]:
        """Every GPU, and instead of one that is cut into MIG slices its slices."""
        nvml, is_one_lost = self._nvml, False
        for number in range(nvml.nvmlDeviceGetCount()):
            try:
                found = list(self._on(number))
            except nvml.NVMLError as reason:
                log.warning("GPU %d is left out, it does not answer: %s", number, reason)
                is_one_lost = True
                continue
            for unit in found:
                if is_one_lost and unit.device.uuid:  # whoever does not see the lost one counts the others anew
                    unit.device = replace(unit.device, cuda_id=unit.device.uuid)
                yield unit

    def _on(self, number: int) -> Iterator[_Unit]:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
        slices = list(self._slices(handle))
        board_uuid = _text(self._try(nvml.nvmlDeviceGetUUID, handle) or "")
        if not slices:
            yield _Unit(self._describe(handle, handle, board_uuid, str(number)), handle, handle, board_uuid)
        for part in slices:
            uuid = _text(nvml.nvmlDeviceGetUUID(part))
            yield _Unit(self._describe(part, handle, uuid, uuid), part, handle, board_uuid)

    def _slices(self, handle: Any) -> Iterator[Any]:
        nvml = self._nvml
        mode = self._try(nvml.nvmlDeviceGetMigMode, handle)
        if not mode or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return
        for place in range(self._try(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            part = self._try(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)  # places may be empty
            if part is not None:
                yield part

    def _describe(self, handle: Any, board: Any, uuid: str, cuda_id: str) -> Device:
        nvml = self._nvml
        name = _text(nvml.nvmlDeviceGetName(handle))
        capability = self._try(nvml.nvmlDeviceGetCudaComputeCapability, board)
        known = {"uuid": uuid, "cuda_id": cuda_id, "capability": tuple(capability) if capability else None}
        try:
            total = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
        except nvml.NVMLError_NotSupported:
            total = 0
        if total:
            return Device(0, "cuda", name, total, int(total * GPU_FRACTION), **known)
        # A chip that shares the machine's memory has none of its own to report. The system needs some of it.
        total = psutil.virtual_memory().total
        return Device(0, "cuda", name, total, int(total * SHARED_FRACTION), shares_memory=True, **known)

    def _try(self, question: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except self._nvml.NVMLError:
            return None

    # ── looking ──

    def _memory(self, unit: _Unit) -> tuple[int, int, int]:
        if unit.device.shares_memory:
            self._nvml.nvmlDeviceGetName(unit.handle)  # is it still there?
            shared = psutil.virtual_memory()
            return shared.total - shared.available, shared.available, shared.total
        memory = self._nvml.nvmlDeviceGetMemoryInfo(unit.handle)
        return int(memory.used), int(memory.free), int(memory.total)

    def _sample(self, unit: _Unit) -> DeviceSample:
        device, nvml, board = unit.device, self._nvml, unit.board
        moment = time.time()
        try:
            used, free, total = self._memory(unit)
        except nvml.NVMLError as reason:
            if not self._broken:
                log.warning("%s does not answer: %s", device.name, reason)
            return DeviceSample(device.index, moment, 0, 0, device.total_bytes, problem=str(reason))

        def number(name: str, question: Callable[[], Any], scale: float = 1.0) -> float | None:
            answer = self._ask(device.index, name, question)
            return None if answer is None else float(answer) * scale

        return DeviceSample(
            device.index,
            moment,
            used,
            free,
            total,
            utilization=number("load", lambda: nvml.nvmlDeviceGetUtilizationRates(unit.handle).gpu),
            temperature_c=number("heat", lambda: nvml.nvmlDeviceGetTemperature(board, nvml.NVML_TEMPERATURE_GPU)),
            power_w=number("power", lambda: nvml.nvmlDeviceGetPowerUsage(board), 0.001),
            power_limit_w=number("limit", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(board), 0.001),
            clock_mhz=number("clock", lambda: nvml.nvmlDeviceGetClockInfo(board, nvml.NVML_CLOCK_SM)),
            memory_clock_mhz=number("memory", lambda: nvml.nvmlDeviceGetClockInfo(board, nvml.NVML_CLOCK_MEM)),
            pcie_generation=number("pcie", lambda: nvml.nvmlDeviceGetCurrPcieLinkGeneration(board)),
            pcie_lanes=number("lanes", lambda: nvml.nvmlDeviceGetCurrPcieLinkWidth(board)),
            ecc_errors=number("ecc", lambda: self._uncorrected(board)),
            brakes=self._brakes(device.index, board),
            processes=self._processes(unit),
        )

    def _uncorrected(self, board: Any) -> int:
        nvml = self._nvml
        kinds = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        return nvml.nvmlDeviceGetTotalEccErrors(board, *kinds)

    def _brakes(self, index: int, board: Any) -> tuple[Brake, ...]:
        bits = self._ask(index, "brakes", lambda: self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(board)) or 0
        return tuple(word for mask, word in BRAKES if bits & mask)

    def _processes(self, unit: _Unit) -> tuple[DeviceProcess, ...]:
        nvml = self._nvml
        found: dict[int, int | None] = {}
        for name, question in (
            ("compute", nvml.nvmlDeviceGetComputeRunningProcesses),
            ("graphics", nvml.nvmlDeviceGetGraphicsRunningProcesses),
        ):
            for one in self._ask(unit.device.index, name, lambda ask=question: ask(unit.handle)) or ():
                found[one.pid] = found.get(one.pid) or one.usedGpuMemory  # one that does both is in both lists
        return tuple(DeviceProcess(pid, size) for pid, size in sorted(found.items()))

    def _ask(self, index: int, name: str, question: Callable[[], Any]) -> Any:
        """None where the device does not know; that is remembered. Other errors pass: they are tried again."""
        if (index, name) in self._unknown:
            return None
        nvml = self._nvml
        try:
            return question()
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NoPermission):
            self._unknown.add((index, name))
        except nvml.NVMLError as reason:
            log.debug("device %s does not say its %s: %s", index, name, reason)
        return None

    # ── after the driver went away ──

    def _revive(self) -> None:
        """Open NVML anew: after a reload of the driver the old handles mean nothing."""
        nvml = self._nvml
        self._revived_at = self._clock()
        self.close()
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as reason:
            log.info("NVML cannot be opened again yet: %s", reason)
            return
        for unit in self._units:
            if not unit.board_uuid:
                continue
            board = self._try(nvml.nvmlDeviceGetHandleByUUID, unit.board_uuid)
            handle = board
            if unit.device.uuid != unit.board_uuid:
                handle = self._try(nvml.nvmlDeviceGetHandleByUUID, unit.device.uuid)
            if board is not None and handle is not None:
                unit.board, unit.handle = board, handle
        self._unknown.clear()


def _numbered(unit: _Unit, index: int) -> _Unit:
    unit.device = replace(unit.device, index=index)
    return unit


def _is_visible(unit: _Unit, visible: str | None) -> bool:
    """CUDA's rule: indices, or UUIDs that may be shortened; it stops at the first that is neither, such as -1."""
    if visible is None:
        return True
    for word in (part.strip() for part in visible.split(",")):
        if not word or word.startswith("-"):
            return False
        if word == unit.device.cuda_id or (len(word) > 4 and unit.device.uuid.startswith(word)):
            return True
        if len(word) > 4 and unit.board_uuid.startswith(word):
            return True
    return False


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
