"""Wire shapes of the system page and of health."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from atelier.shapes import DeviceOut, EnvironmentOut, HostOut, SaidOut, WorkerOut


class SystemOut(BaseModel):
    version: str
    started_at: datetime
    data_dir_free_bytes: int
    devices: list[DeviceOut]
    host: HostOut
    workers: list[WorkerOut]
    environments: list[EnvironmentOut]


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
    backend: Literal["files"] = Field("files", description="What the creature service draws with.")
    checks: dict[str, CheckOut]
