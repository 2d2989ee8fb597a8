"""/api/models and /api/schedulers"""

from __future__ import annotations

from typing import Annotated

from engines.schedulers import SCHEDULERS, settings_of
from fastapi import Query, status

from atelier.access.actor import Admin, User
from atelier.deps import ServicesDep
from atelier.models.hub_schemas import ConsequencesOut
from atelier.models.schemas import (
    FoundModelList,
    ModelImportIn,
    ModelList,
    ModelOut,
    ModelPatchIn,
    ModelType,
    SchedulerList,
    SchedulerOut,
    Task,
)
from atelier.routing import Router

router = Router(prefix="/api", tags=["models"])


@router.get("/models/", summary="List the models that can be used")
async def list_models(
    actor: User,
    services: ServicesDep,
    type: Annotated[ModelType | None, Query(description="Only models of this type.")] = None,  # noqa: A002 - the wire's word
    task: Annotated[Task | None, Query(description="Only models for this task.")] = None,
) -> ModelList:
    items = await services.models.list(actor)
    return ModelList(items=[one for one in items if type in (None, one.type) and task in (None, one.task)])


@router.post(
    "/models/import", summary="Enter a model that lies on the server's disk", status_code=status.HTTP_201_CREATED
)
async def import_model(wanted: ModelImportIn, actor: Admin, services: ServicesDep) -> ModelOut:
    return await services.models.take_in(actor, wanted)


@router.post(
    "/models/", summary="Enter a model: the same as POST /api/models/import", status_code=status.HTTP_201_CREATED
)
async def add_model(wanted: ModelImportIn, actor: Admin, services: ServicesDep) -> ModelOut:
    return await services.models.take_in(actor, wanted)


@router.get("/models/found", summary="List the models in the Hugging Face cache of the server")
async def found_models(_actor: Admin, services: ServicesDep) -> FoundModelList:
    return await services.models.found()


@router.get("/models/{key}", summary="Show a model")
async def get_model(key: str, actor: User, services: ServicesDep) -> ModelOut:
    return await services.models.get(actor, key)


@router.patch("/models/{key}", summary="Change a model's words, settings, or whether it is pinned")
async def change_model(key: str, wanted: ModelPatchIn, actor: User, services: ServicesDep) -> ModelOut:
    return await services.models.change(actor, key, wanted)


@router.get("/models/{key}/consequences", summary="What goes when a model is deleted")
async def get_consequences(key: str, actor: User, services: ServicesDep) -> ConsequencesOut:
    return await services.models.consequences(actor, key)


@router.delete("/models/{key}", summary="Delete a model: with its files when they were downloaded, else only its entry")
async def remove_model(key: str, actor: User, services: ServicesDep) -> ModelOut:
    return await services.models.remove(actor, key)


@router.get("/schedulers", summary="List the schedulers that an image model can be run with")
async def list_schedulers(_actor: User) -> SchedulerList:
    return SchedulerList(
        items=[
            SchedulerOut(
                id=key,
                name=choice.name,
                kind=choice.kind,
                sampler=choice.sampler,
                schedule_type=choice.schedule_type,
                settings=list(settings_of(key)),
            )
            for key, choice in SCHEDULERS.items()
        ]
    )
