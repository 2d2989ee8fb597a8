"""A1111's `/internal/ping`, and what it has under `/sdapi/v1` and Atelier does another way: training by one call, and
stopping the server."""

from __future__ import annotations

from pydantic import BaseModel, Field

from atelier.access.actor import BasicUser
from atelier.errors import Forbidden
from atelier.routing import Router
from atelier.said import Said
from atelier.sdapi.envelope import ERRORS
from atelier.sdapi.timed import TimedRoute

pings = Router(prefix="/internal", tags=["sdapi"])
router = Router(prefix="/sdapi/v1", tags=["sdapi"], responses=ERRORS, route_class=TimedRoute, strict_content_type=False)


class SdPingOut(BaseModel):
    """Nothing: that it answers is the answer."""


@pings.get("/ping", summary="Is somebody there?", name="sdapi_ping")
async def ping(_actor: BasicUser) -> SdPingOut:
    """What A1111's own page and programs that start it ask until it answers."""
    return SdPingOut()


class SdMadeOut(BaseModel):
    info: str = Field(description="A1111 says here, with status 200, why nothing was made.")


class StopRefused(Forbidden):
    code = "stop_refused"


async def _nothing_made(_actor: BasicUser) -> SdMadeOut:
    return SdMadeOut(info="error: Atelier does not make this over the API of Automatic1111.")


async def _not_stopped(_actor: BasicUser) -> SdMadeOut:
    """A1111 has these only where its owner switched them on; Atelier is stopped where it was started."""
    words = Said("This server is not stopped or restarted over the API.", "stop_refused")
    raise StopRefused(words, hint="Stop it where it was started: Ctrl C, systemctl, or docker stop.")


for path in ("create/embedding", "create/hypernetwork", "train/embedding", "train/hypernetwork"):
    router.post(f"/{path}", summary="Nothing is made by this call", name=f"sdapi_{path.replace('/', '_')}")(
        _nothing_made
    )
for path in ("server-kill", "server-restart", "server-stop"):
    router.post(f"/{path}", summary="Refused", name=f"sdapi_{path.replace('-', '_')}")(_not_stopped)
