"""/v1/batches"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import FileResponse, StreamingResponse

from atelier.access.actor import Actor, ApiUser
from atelier.deps import Services, ServicesDep
from atelier.openai.batch_schemas import BatchIn, BatchObject, BatchObjects
from atelier.openai.envelope import ERRORS
from atelier.openai.file_routes import ATTACHED, IdempotencyKey
from atelier.routing import Router

router = Router(prefix="/v1/batches", tags=["openai"], responses=ERRORS)

BatchId = Annotated[str, Path(max_length=64)]
_LINES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/jsonl": {}}, "description": "JSON lines."}}


@router.post("", summary="Answer a file of requests", name="openai_create_batch")
async def create_batch(
    wanted: BatchIn, actor: ApiUser, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> BatchObject:
    """Each line of the file is a request: `{"custom_id": …, "method": "POST", "url": <endpoint>, "body": …}`. They are
    answered in the background, behind everybody who waits; the output keeps their order and their ids."""
    return await services.batches.create(actor, wanted, idempotency_key)


@router.get("", summary="List the batches", name="openai_list_batches")
async def list_batches(
    actor: ApiUser,
    services: ServicesDep,
    after: Annotated[str | None, Query(max_length=64, description="The last id of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many batches at most.")] = 20,
) -> BatchObjects:
    return await services.batches.page(actor, after, limit)


@router.get("/{batch_id}", summary="Show a batch", name="openai_get_batch")
async def get_batch(batch_id: BatchId, actor: ApiUser, services: ServicesDep) -> BatchObject:
    return await services.batches.get(actor, batch_id)


@router.post("/{batch_id}/cancel", summary="Cancel a batch", name="openai_cancel_batch")
async def cancel_batch(batch_id: BatchId, actor: ApiUser, services: ServicesDep) -> BatchObject:
    """It stops within ten seconds; what is answered by then is in its files."""
    return await services.batches.cancel(actor, batch_id)


@router.get(
    "/{batch_id}/output",
    summary="The answers so far, in the order of the input",
    name="batch_output",
    response_class=StreamingResponse,
    responses=_LINES,
)
async def batch_output(batch_id: BatchId, actor: ApiUser, services: ServicesDep) -> Any:
    """Also while it runs; once it has ended this is its output file."""
    return await _answers(services, actor, batch_id, errors=False)


@router.get(
    "/{batch_id}/errors",
    summary="The errors so far, in the order of the input",
    name="batch_errors",
    response_class=StreamingResponse,
    responses=_LINES,
)
async def batch_errors(batch_id: BatchId, actor: ApiUser, services: ServicesDep) -> Any:
    """Also while it runs; once it has ended this is its error file."""
    return await _answers(services, actor, batch_id, errors=True)


async def _answers(services: Services, actor: Actor, batch_id: str, *, errors: bool) -> Any:
    found = await services.batches.answers(actor, batch_id, errors=errors)
    name, media = f"{batch_id}_{'errors' if errors else 'output'}.jsonl", "application/jsonl"
    if not hasattr(found, "__next__"):
        return FileResponse(found, media_type=media, filename=name, headers=ATTACHED)
    headers = {**ATTACHED, "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(found, media_type=media, headers=headers)
