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
    loras = [await _model(services, actor, lora, base) for lora, base in await services.models.adapted(actor)]
    known = {name: one for one, row in zip(found, rows, strict=True) for name in (row.key, row.repo)}
    aliases = services.chat.targets.aliases.items()
    named = [known[name].model_copy(update={"id": alias}) for alias, name in aliases if name in known]
    return ModelObjects(data=[*found, *loras, *named])


@router.get("/models/{model:path}", summary="Show a model", name="openai_get_model")
async def get_model(model: str, actor: ApiUser, services: ServicesDep) -> ModelObject:
    name = services.chat.targets.aliases.get(model, model)
    for lora, base in await services.models.adapted(actor):
        if name in (lora.key, lora.repo):
            return (await _model(services, actor, lora, base)).model_copy(update={"id": model})
    found = await _model(services, actor, await services.models.named(actor, name, TASKS))
    return found.model_copy(update={"id": model})


async def _model(services: Services, actor: Actor, row: ModelRow, base: ModelRow | None = None) -> ModelObject:
    """`base`: of a LoRA."""
    owner = row.repo.partition("/")[0] if row.repo else "atelier"
    speaks = row.task in CHAT_TASKS
    length = (await services.chat.targets.find(actor, row.key)).context if speaks else None
    created = int(row.created_at.timestamp())
    return ModelObject(
        id=row.key,
        created=created,
        owned_by=owner,
        root=row.repo or row.key,
        parent=base.key if base is not None else None,
        task=row.task,
        max_model_len=length,
    )
