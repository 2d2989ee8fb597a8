"""/api/models and /api/schedulers"""

from __future__ import annotations

from engines.schedulers import SCHEDULERS
from fastapi import APIRouter

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.models.schemas import ModelList, SchedulerList, SchedulerOut

router = APIRouter(prefix="/api", tags=["models"])


@router.get("/models/", summary="List the models that can be used")
async def list_models(actor: User, services: ServicesDep) -> ModelList:
    return ModelList(items=await services.models.list(actor))


@router.get("/schedulers", summary="List the schedulers that an image model can be run with")
async def list_schedulers(_actor: User) -> SchedulerList:
    return SchedulerList(items=[SchedulerOut(id=key, name=choice.name) for key, choice in SCHEDULERS.items()])
