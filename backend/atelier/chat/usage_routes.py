"""/api/chat/usage: what was used of each model; /metrics: how the chat door does, for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from atelier.access.actor import Admin, User
from atelier.chat.metrics import MEDIA, exposition
from atelier.deps import ServicesDep
from atelier.routing import Router

router = Router(tags=["chat"])


class UsageOut(BaseModel):
    owner: str = Field(description="The id of the user, or of the holder of an API key.")
    name: str
    model: str
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class UsageList(BaseModel):
    items: list[UsageOut]


@router.get("/api/chat/usage", summary="What was used of each chat model", name="chat_usage")
async def usage(
    actor: User, services: ServicesDep, days: Annotated[int, Query(ge=1, le=3660, description="Until now.")] = 30
) -> UsageList:
    """One's own; an administrator sees everybody's. A few seconds behind."""
    found = await services.chat.meter.used(actor, days)
    accounts = services.accounts
    names = {row[0]: (account.name if (account := accounts.row(row[0])) else row[0]) for row in found}
    fields = ("owner", "model", "requests", "failed", "prompt_tokens", "completion_tokens", "seconds")
    return UsageList(items=[UsageOut(name=names[row[0]], **dict(zip(fields, row, strict=True))) for row in found])


@router.get("/metrics", summary="Figures for Prometheus", name="metrics", response_class=PlainTextResponse)
async def metrics(_actor: Admin, services: ServicesDep) -> PlainTextResponse:
    return PlainTextResponse(exposition(services.chat.meter), media_type=MEDIA)
