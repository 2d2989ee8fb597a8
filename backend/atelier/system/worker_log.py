"""/api/system/workers/{id}/log: what a worker printed, followed by asking again from where the last answer ended."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from atelier.access.actor import Admin
from atelier.deps import ServicesDep
from atelier.routing import Router
from atelier.runtime import logtail

router = Router(tags=["system"])

AT_ONCE = 64 * 1024
# Keys and tokens have no business in a worker's output; a library may print one all the same.
SECRETS = re.compile(r"(hf_|sk-|Bearer\s+|(?i:(?:token|password|api[_-]?key|secret)[\"']?\s*[=:]\s*[\"']?))[\w.\-]{6,}")


class WorkerLogOut(BaseModel):
    lines: list[str]
    next: int = Field(description="Send it as `after` for what is printed from now on.")
    skipped: bool = Field(description="Lines before these are not shown: too many at once, or the log was cut back.")


@router.get("/api/system/workers/{worker_id}/log", summary="What a worker has printed")
async def worker_log(
    worker_id: str,
    _actor: Admin,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=2**53, description="`next` of the answer before; 0 for the last lines.")] = 0,
) -> WorkerLogOut:
    path = services.system.worker_log(worker_id)
    return await asyncio.to_thread(read_log, path, after)


def read_log(path: Path, after: int) -> WorkerLogOut:
    """Whole lines after a place in the file, the last `AT_ONCE` bytes at most. Blocking."""
    lines, end, skipped = logtail.follow(path, after, AT_ONCE)
    return WorkerLogOut(lines=[SECRETS.sub(r"\1…", line) for line in lines], next=end, skipped=skipped)
