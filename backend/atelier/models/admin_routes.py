"""/api/admin/models and /api/plan: what is in memory, by hand, and what would be."""

from __future__ import annotations

from fastapi import status

from atelier.access.actor import Admin, User
from atelier.deps import ServicesDep
from atelier.models.plan_schemas import PlanIn, PlanOut
from atelier.models.schemas import LoadIn, ModelOut, UnloadIn
from atelier.routing import Router

router = Router(prefix="/api", tags=["models"])


@router.post("/admin/models/{key}/load", summary="Load a model into memory", status_code=status.HTTP_202_ACCEPTED)
async def load_model(key: str, actor: Admin, services: ServicesDep, wanted: LoadIn | None = None) -> ModelOut:
    """Waits in line in the background; the model's state tells how far it is."""
    return await services.loader.load(actor, key, wanted or LoadIn())


@router.post("/admin/models/{key}/unload", summary="Give a model's memory back")
async def unload_model(key: str, actor: Admin, services: ServicesDep, wanted: UnloadIn | None = None) -> ModelOut:
    return await services.loader.unload(actor, key, force=bool(wanted and wanted.force))


@router.post("/admin/models/{key}/park", summary="Put a model's weights aside and keep its process")
async def park_model(key: str, actor: Admin, services: ServicesDep) -> ModelOut:
    """It frees the device and comes back much sooner than it loads."""
    return await services.loader.park(actor, key)


@router.post("/plan", summary="Would it fit, where, and how long would it take?")
async def plan(wanted: PlanIn, actor: User, services: ServicesDep) -> PlanOut:
    """For any load or generation. Starts nothing."""
    return await services.planner.plan(actor, wanted)
