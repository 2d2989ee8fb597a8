"""Wire shapes of the system page and of health."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from atelier.dialects import Dialect
from atelier.models.schemas import ModelOut
from atelier.shapes import DeviceOut, DeviceProcessOut, EnvironmentOut, HostOut, SaidOut, WorkerOut


class SystemOut(BaseModel):
    version: str
    started_at: datetime
    data_dir_free_bytes: int
    devices: list[DeviceOut]
    host: HostOut
    workers: list[WorkerOut]
    environments: list[EnvironmentOut]


class DeviceHistoryOut(BaseModel):
    """One figure of each for every moment of `at`; null where the device did not say."""

    index: int
    total_bytes: int
    used_bytes: list[int | None]
    utilization: list[float | None] = Field(description="0 to 1.")
    temperature_c: list[int | None]
    power_w: list[int | None]


class HistoryOut(BaseModel):
    """The last quarter of an hour in columns, oldest first: a second apart while something runs, five otherwise."""

    at: list[float] = Field(description="Seconds since 1970. The last of them is the next `since`.")
    cpu: list[float | None] = Field(description="All cores together, 0 to 1.")
    memory_used_bytes: list[int | None]
    memory_total_bytes: int
    devices: list[DeviceHistoryOut]


class DependencyDetailsOut(BaseModel):
    """What holds for a whole environment: the CUDA that it brings along against this machine's driver."""

    cuda_runtime: str | None = Field(description="Null for an environment without CUDA.")
    cudnn: str | None
    cuda_available: bool | None = Field(description="Whether it can use a GPU here; null while that is being asked.")
    fits: bool | None = Field(description="Whether driver and runtime fit; null where there is nothing to fit.")
    code: Literal[
        "not_needed",
        "cpu_build",
        "no_gpu",
        "driver_unknown",
        "fits",
        "fits_by_compatibility",
        "driver_old",
        "driver_too_old",
        "unavailable",
    ]
    message: str
    said: SaidOut | None = None


class DependencyOut(BaseModel):
    """A library that an environment holds."""

    environment: str
    name: str
    version: str
    cuda: str | None = Field(description="The CUDA that this library was built for.")
    details: DependencyDetailsOut


class DependencyList(BaseModel):
    items: list[DependencyOut]


class GpuDeviceOut(BaseModel):
    """A GPU in the gateway's words. Bytes, percent, °C, W; null where it does not say."""

    index: int
    name: str
    total: int
    used: int
    load: float | None = Field(description="0 to 100.")
    temperature: float | None
    power: float | None
    power_limit: float | None
    problem: str | None
    processes: list[DeviceProcessOut]


class GpuOut(BaseModel):
    driver: str | None
    cuda: str | None = Field(description="The newest CUDA that the driver can run.")
    devices: list[GpuDeviceOut] = Field(description="Empty on a machine without an NVIDIA GPU.")


class CpuOut(BaseModel):
    percent: float = Field(description="All cores together, 0 to 100.")
    cores: int


class RamOut(BaseModel):
    used: int
    total: int


class StatusOut(BaseModel):
    gpu: GpuOut
    dependencies: list[DependencyOut]
    models: list[ModelOut]
    cpu: CpuOut
    ram: RamOut


class EndpointOut(BaseModel):
    """An address that programs can call."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "WS"]
    path: str
    url: str
    summary: str
    tag: str
    dialect: Dialect = Field(description="Whose API it speaks: Atelier's own, or one that clients know already.")


class EndpointList(BaseModel):
    base_urls: list[str] = Field(description="Where this Atelier answers: the address just used, then advertised ones.")
    docs_url: str
    items: list[EndpointOut]


class CheckOut(BaseModel):
    ok: bool
    message: str
    said: SaidOut | None = None

    @classmethod
    def told(cls, ok: bool, message: str) -> CheckOut:
        return cls(ok=ok, message=message, said=SaidOut.of(message))


class HealthOut(BaseModel):
    """`degraded` means that new work may not be done at present; the checks say why."""

    status: Literal["ok", "degraded"]
    time: str = Field(description="Now, UTC.")
    backend: Literal["files", "sdxl"] = Field(description="What the creature service draws with.")
    checks: dict[str, CheckOut]
