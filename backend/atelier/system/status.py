"""GET /api/admin/status: the whole machine in one answer, in the words of the gateway that Atelier replaces."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from atelier.access.actor import Actor
from atelier.models.registry import ModelRegistry
from atelier.models.schemas import ModelOut
from atelier.runtime.devices import Driver
from atelier.shapes import DeviceOut, HostOut, WorkerOut
from atelier.system.dependencies import DependencyInspector
from atelier.system.schemas import CpuOut, GpuDeviceOut, GpuOut, ModelStatusOut, RamOut, StatusOut
from atelier.system.watch import DeviceWatch

_LOADED = {"starting": "loading", "loading": "loading", "ready": "ready", "busy": "ready"}


class AdminStatus:
    """Composes what others know; keeps nothing."""

    def __init__(self, watch: DeviceWatch, inspector: DependencyInspector, models: ModelRegistry) -> None:
        self._watch, self._inspector, self._models = watch, inspector, models

    async def read(self, actor: Actor, workers: list[WorkerOut]) -> StatusOut:
        models = await self._models.list(actor)
        host = self._watch.host()
        return StatusOut(
            gpu=gpu_out(self._watch.devices(), self._watch.monitor.driver),
            dependencies=await self._inspector.all(),
            models=[model_status(model, workers) for model in models],
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


def model_status(model: ModelOut, workers: Iterable[WorkerOut]) -> ModelStatusOut:
    """A model with its state and download. What the registry says of them counts; until it says something, the state
    is what the model's workers are doing."""
    states = {worker.state for worker in workers if worker.model == model.key}
    found = {_LOADED[state] for state in states & _LOADED.keys()}
    state = "ready" if "ready" in found else "loading" if found else "idle" if model.available else "error"
    if model.download is not None:
        state = "error" if model.download.state == "failed" else "downloading"
    return ModelStatusOut(**({"state": state, "download": None} | model.model_dump()))


def _ram(host: HostOut) -> RamOut:
    return RamOut(used=host.memory_used_bytes, total=host.memory_total_bytes)
