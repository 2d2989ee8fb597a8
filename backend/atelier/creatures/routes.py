"""GET /v1/generate, the creature service's one call; and what the page that tries it shows of its settings."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import Query, Request

from atelier.access.actor import CreaturesUser, User, address_of
from atelier.creatures.schemas import CreatureOut, CreatureSettingsOut
from atelier.deps import ServicesDep
from atelier.routing import Router

router = Router(tags=["creatures"])

log = structlog.get_logger("atelier.creatures")

MAX_BODY_LOGGED = 2000


@router.get("/v1/generate", summary="A new creature: picture, name and rarity")
async def generate_creature(
    actor: CreaturesUser,
    services: ServicesDep,
    request: Request,
    prompt: Annotated[
        str | None, Query(min_length=1, max_length=500, description="What it looks like, for the backend `sdxl`.")
    ] = None,
) -> CreatureOut:
    """Errors are `{"code", "message"}` with the codes UNAUTHORIZED (401), RATE_LIMITED (429, with `Retry-After`) and
    GENERATION_FAILED (500). Which backend draws stands in `/health`."""
    shown = {"query": str(request.query_params)}
    if services.creatures.logs_bodies:
        shown["body"] = (await request.body())[:MAX_BODY_LOGGED].decode(errors="replace")
    log.info("http.request", method="GET", path="/v1/generate", **shown)
    services.creatures.limit.count_or_raise(address_of(request))
    return await services.creatures.generate(actor, prompt, request.is_disconnected)


@router.get("/api/creatures/settings", summary="How creatures are made here")
async def creature_settings(_actor: User, services: ServicesDep) -> CreatureSettingsOut:
    """What the variables say; `doc/creatures.md` lists them."""
    return services.creatures.settings_out()
