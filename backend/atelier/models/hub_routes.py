"""/api/hub, downloads under /api/models, and what an administrator tells about the hub under /api/admin"""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query, status

from atelier.access.actor import Admin, User
from atelier.deps import ServicesDep
from atelier.models.hub import search_out
from atelier.models.hub_schemas import (
    CatalogueOut,
    DownloadAcceptedOut,
    DownloadIn,
    HubPlanIn,
    HubPlanOut,
    HubSearchOut,
    TokenIn,
    TokenOut,
)
from atelier.models.schemas import Task
from atelier.routing import Router

router = Router(prefix="/api", tags=["models"])

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="The same key gives the same job, however often it is sent."),
]


@router.get("/hub/search", summary="Search the hub for models")
async def search_hub(
    actor: Admin,
    services: ServicesDep,
    query: Annotated[str, Query(max_length=200, description="Words of the name; empty for the most downloaded.")] = "",
    task: Annotated[Task | None, Query(description="Only models that do this.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many models at most.")] = 20,
) -> HubSearchOut:
    found = await services.hub.search(query, task, limit)
    keys = {model.repo: model.key for model in await services.models.list(actor) if model.repo}
    items = [search_out(item, services.hub.page_url(item["repo"]), keys.get(item["repo"])) for item in found]
    return HubSearchOut(endpoint=services.hub.settings.endpoint, items=items)


@router.post("/hub/plan", summary="What a download would fetch, before it fetches anything")
async def plan_download(wanted: HubPlanIn, actor: Admin, services: ServicesDep) -> HubPlanOut:
    return await services.downloads.plan(actor, wanted.repo, wanted.revision, wanted.file)


@router.get("/models/catalogue", summary="Models that are worth having, by the keys that clients use")
async def get_catalogue(actor: User, services: ServicesDep) -> CatalogueOut:
    return await services.downloads.offers(actor)


@router.post("/models/download", status_code=status.HTTP_202_ACCEPTED, summary="Download a model from the hub")
async def download_model(
    wanted: DownloadIn, actor: Admin, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> DownloadAcceptedOut:
    """The model is listed at once and can be used when the job has completed. Cancel it as any job; a restart of the
    server goes on by itself."""
    return await services.downloads.ask(actor, wanted, idempotency_key)


@router.post("/models/{key}/download/pause", summary="Pause a download; what was fetched is kept")
async def pause_download(key: str, actor: Admin, services: ServicesDep) -> DownloadAcceptedOut:
    return await services.downloads.pause(actor, key)


@router.post(
    "/models/{key}/download/resume",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Go on with a download that was paused, cancelled, or failed",
)
async def resume_download(key: str, actor: Admin, services: ServicesDep) -> DownloadAcceptedOut:
    return await services.downloads.resume(actor, key)


@router.post(
    "/admin/models/{key}/download",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Download a model of the catalogue by its key",
)
async def download_by_key(key: str, actor: Admin, services: ServicesDep) -> DownloadAcceptedOut:
    """Goes on where an earlier download of it stopped."""
    return await services.downloads.ask_by_key(actor, key)


@router.get("/admin/huggingface/token", summary="Is a token of the hub set, and whose is it?")
async def get_token(_actor: Admin, services: ServicesDep) -> TokenOut:
    return await services.hub_tokens.get()


@router.post("/admin/huggingface/token", summary="Store the hub's token, checked when the hub can be reached")
async def set_token(wanted: TokenIn, _actor: Admin, services: ServicesDep) -> TokenOut:
    return await services.hub_tokens.set(wanted.token)


@router.delete("/admin/huggingface/token", summary="Forget the stored token")
async def forget_token(_actor: Admin, services: ServicesDep) -> TokenOut:
    return await services.hub_tokens.forget()
