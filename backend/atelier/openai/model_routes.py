"""/v1/models: every model that some route of `/v1` takes."""

from __future__ import annotations

from atelier.access.actor import ApiUser
from atelier.deps import ServicesDep
from atelier.openai.envelope import ERRORS
from atelier.openai.model_schemas import ModelObject, ModelObjects
from atelier.routing import Router
from atelier.tables import ModelRow

router = Router(prefix="/v1", tags=["openai"], responses=ERRORS)

# What this door can use. A task that gets a route of its own joins here.
TASKS = frozenset({"image"})


@router.get("/models", summary="List the models", name="openai_list_models")
async def list_models(actor: ApiUser, services: ServicesDep) -> ModelObjects:
    return ModelObjects(data=[_model(row) for row in await services.models.usable(actor, TASKS)])


@router.get("/models/{model:path}", summary="Show a model", name="openai_get_model")
async def get_model(model: str, actor: ApiUser, services: ServicesDep) -> ModelObject:
    return _model(await services.models.named(actor, model, TASKS))


def _model(row: ModelRow) -> ModelObject:
    owner = row.repo.partition("/")[0] if row.repo else "atelier"
    return ModelObject(id=row.key, created=int(row.created_at.timestamp()), owned_by=owner)
