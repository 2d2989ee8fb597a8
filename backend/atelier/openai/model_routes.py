"""/v1/models: every model that some route of `/v1` takes."""

from __future__ import annotations

from atelier.access.actor import Actor, ApiUser
from atelier.chat.targets import CHAT_TASKS
from atelier.deps import Services, ServicesDep
from atelier.openai.envelope import ERRORS
from atelier.openai.model_schemas import ModelObject, ModelObjects
from atelier.routing import Router
from atelier.tables import ModelRow

router = Router(prefix="/v1", tags=["openai"], responses=ERRORS)

# What this door can use. A task that gets a route of its own joins here.
TASKS = frozenset({"image", "chat", "embed"})


@router.get("/models", summary="List the models", name="openai_list_models")
async def list_models(actor: ApiUser, services: ServicesDep) -> ModelObjects:
    rows = await services.models.usable(actor, TASKS)
    found = [await _model(services, actor, row) for row in rows]
    known = {name: one for one, row in zip(found, rows, strict=True) for name in (row.key, row.repo)}
    aliases = services.chat.targets.aliases.items()
    named = [known[name].model_copy(update={"id": alias}) for alias, name in aliases if name in known]
    return ModelObjects(data=[*found, *named])


@router.get("/models/{model:path}", summary="Show a model", name="openai_get_model")
async def get_model(model: str, actor: ApiUser, services: ServicesDep) -> ModelObject:
    name = services.chat.targets.aliases.get(model, model)
    found = await _model(services, actor, await services.models.named(actor, name, TASKS))
    return found.model_copy(update={"id": model})


async def _model(services: Services, actor: Actor, row: ModelRow) -> ModelObject:
    owner = row.repo.partition("/")[0] if row.repo else "atelier"
    speaks = row.task in CHAT_TASKS
    length = (await services.chat.targets.find(actor, row.key)).context if speaks else None
    created = int(row.created_at.timestamp())
    return ModelObject(
        id=row.key, created=created, owned_by=owner, root=row.repo or row.key, task=row.task, max_model_len=length
    )
