"""GET /api/admin/status: the whole machine in one answer, in the words of the gateway that Atelier replaces."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from atelier.access.actor import Actor
from atelier.models.registry import ModelRegistry
from atelier.runtime.devices import Driver
from atelier.shapes import DeviceOut, HostOut
from atelier.system.dependencies import DependencyInspector
from atelier.system.schemas import CpuOut, GpuDeviceOut, GpuOut, RamOut, StatusOut
from atelier.system.watch import DeviceWatch


class AdminStatus:
    """Composes what others know; keeps nothing."""

    def __init__(self, watch: DeviceWatch, inspector: DependencyInspector, models: ModelRegistry) -> None:
        self._watch, self._inspector, self._models = watch, inspector, models

    async def read(self, actor: Actor) -> StatusOut:
        host = self._watch.host()
        return StatusOut(
            gpu=gpu_out(self._watch.devices(), self._watch.monitor.driver),
            dependencies=await self._inspector.all(),
            models=await self._models.list(actor),
            cpu=CpuOut(percent=host.cpu_percent, cores=psutil.cpu_count() or 1),
            ram=_ram(host),
        )


def gpu_out(devices: Iterable[DeviceOut], driver: Driver | None) -> GpuOut:
    """GPUs only: on a machine without one the list is empty, and the processor stands under `cpu`."""
    return GpuOut(
        driver=driver.version if driver else None,
        cuda=f"{driver.cuda[0]}.{driver.cuda[1]}" if driver and driver.cuda else None,
        devices=[
            GpuDeviceOut(
                index=device.index,
                name=device.name,
                total=device.total_bytes,
                used=device.used_bytes,
                load=None if device.utilization is None else round(100 * device.utilization, 1),
                temperature=device.temperature_c,
                power=device.power_w,
                power_limit=device.power_limit_w,
                problem=device.problem,
                processes=device.processes,
            )
            for device in devices
            if device.kind == "cuda"
        ],
    )


def _ram(host: HostOut) -> RamOut:
    return RamOut(used=host.memory_used_bytes, total=host.memory_total_bytes)
