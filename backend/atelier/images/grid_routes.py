"""/api/grids"""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.images.grid_schemas import GridIn
from atelier.images.schemas import AcceptedOut
from atelier.routing import Router

router = Router(prefix="/api", tags=["generate"])


@router.post("/grids", status_code=202, summary="Make a grid: one request with one or two of its fields varied")
async def make_grid(
    wanted: GridIn,
    actor: User,
    services: ServicesDep,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="The same key gives the same job, however often it is sent."),
    ] = None,
) -> AcceptedOut:
    """One job of the kind `image.grid`: follow and cancel it at `/api/jobs/{job_id}`. When it has completed, its
    pictures are the cells in reading order, and last the sheet with the values at its edges."""
    return await services.grids.ask(actor, wanted, idempotency_key)
