"""/api/chat/usage: what was used of each model; /metrics: how the chat door does, for Prometheus."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from atelier.access.actor import Admin, User
from atelier.chat.metrics import MEDIA, exposition
from atelier.deps import ServicesDep
from atelier.routing import Router

router = Router(tags=["chat"])


FIELDS = ("requests", "failed", "prompt_tokens", "completion_tokens", "seconds")


class UsedOut(BaseModel):
    model: str
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float = Field(description="That its requests took, one after the other.")


class UsedByOut(UsedOut):
    owner: str = Field(description="The id of the user, or of the holder of an API key.")
    name: str


class UsedOnOut(UsedOut):
    day: date


class UsageList(BaseModel):
    items: list[UsedByOut] = Field(description="By who asked and which model.")
    days: list[UsedOnOut] = Field(description="By day and model, of all whom one sees. A day without use is left out.")


@router.get("/api/chat/usage", summary="What was used of each chat model", name="chat_usage")
async def usage(
    actor: User,
    services: ServicesDep,
    days: Annotated[int, Query(ge=1, le=3660, description="The last of them is today.")] = 30,
    east: Annotated[
        int, Query(ge=-840, le=840, description="Days begin where clocks are so many minutes ahead of UTC.")
    ] = 0,
) -> UsageList:
    """One's own; an administrator sees everybody's. A few seconds behind. Kept by the hour."""
    found, daily = await services.chat.meter.used(actor, days, east)
    accounts = services.accounts
    names = {row[0]: (account.name if (account := accounts.row(row[0])) else row[0]) for row in found}
    items = [UsedByOut(name=names[row[0]], **dict(zip(("owner", "model", *FIELDS), row, strict=True))) for row in found]
    by_day = [UsedOnOut.model_validate(dict(zip(("day", "model", *FIELDS), row, strict=True))) for row in daily]
    return UsageList(items=items, days=by_day)


@router.get("/metrics", summary="Figures for Prometheus", name="metrics", response_class=PlainTextResponse)
async def metrics(_actor: Admin, services: ServicesDep) -> PlainTextResponse:
    return PlainTextResponse(exposition(services.chat.meter), media_type=MEDIA)
