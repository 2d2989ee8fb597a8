"""/api/system and /health"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Query, Request

from atelier.access.actor import Admin, Anyone, User
from atelier.deps import ServicesDep
from atelier.routing import Router
from atelier.shapes import JobOut, WorkerOut
from atelier.system.schemas import DependencyList, EndpointList, HealthOut, HistoryOut, StatusOut, SystemOut

router = Router(tags=["system"])


@router.get("/health", summary="Is everything all right?")
async def health(_caller: Anyone, services: ServicesDep) -> HealthOut:
    """Open to all. Looks at the database, the queue's last turn, the disk and the event loop, not at open ports."""
    return await services.system.health()


@router.get("/api/system", summary="Devices, workers and environments")
async def system(actor: User, services: ServicesDep) -> SystemOut:
    return await services.system.overview(actor)


@router.get("/api/system/history", summary="Device figures of the last quarter of an hour")
async def device_history(
    _actor: User,
    services: ServicesDep,
    since: Annotated[float, Query(ge=0, le=1e11, description="Only what is later, in seconds since 1970.")] = 0.0,
) -> HistoryOut:
    return services.system.history(since)


@router.get("/api/system/dependencies", summary="Libraries of the environments, and whether CUDA and driver fit")
async def list_dependencies(_actor: User, services: ServicesDep) -> DependencyList:
    return DependencyList(items=await services.system.dependencies())


@router.get("/api/system/endpoints", summary="Every address that programs can call")
async def list_endpoints(_actor: User, services: ServicesDep, request: Request) -> EndpointList:
    document = await asyncio.to_thread(request.app.openapi)
    return services.system.endpoints(document, request.url.scheme, request.url.netloc)


@router.get("/api/admin/status", summary="GPUs, dependencies and models in one answer")
async def admin_status(actor: Admin, services: ServicesDep) -> StatusOut:
    """As the gateway gave it: `.gpu.devices[]`, `.dependencies[]`, `.models[]`, `.cpu`, `.ram`."""
    return await services.system.status(actor)


@router.post(
    "/api/system/environments/{name}/build", status_code=202, summary="Build an engine's environment, or try again"
)
async def build_environment(
    name: Annotated[str, Path(description="Name of an environment, from `GET /api/system`.")],
    actor: Admin,
    services: ServicesDep,
) -> JobOut:
    return await services.system.build_environment(actor, name)


@router.post("/api/system/workers/{worker_id}/stop", summary="Stop a worker and free its memory")
async def stop_worker(worker_id: str, _actor: Admin, services: ServicesDep) -> WorkerOut:
    """A job that runs on it is started again on another."""
    return await services.system.stop_worker(worker_id)
