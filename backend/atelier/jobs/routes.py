"""/api/jobs"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.jobs.schemas import JobPage
from atelier.routing import Router
from atelier.shapes import JobOut
from atelier.tables import JobKind, JobStatus

router = Router(prefix="/api/jobs", tags=["jobs"])


@router.get("", summary="List jobs, newest first")
async def list_jobs(
    actor: User,
    services: ServicesDep,
    status: Annotated[list[JobStatus] | None, Query(description="Only these states; repeatable.")] = None,
    kind: Annotated[list[JobKind] | None, Query(description="Only these kinds; repeatable.")] = None,
    cursor: Annotated[str | None, Query(max_length=40, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many jobs at most.")] = 50,
) -> JobPage:
    return await services.jobs.page(actor, status or [], kind or [], cursor, limit)


@router.get("/{job_id}", summary="One job")
async def get_job(job_id: str, actor: User, services: ServicesDep) -> JobOut:
    return await services.jobs.get(actor, job_id)


@router.delete("/{job_id}", summary="Cancel an active job, or remove an ended one from the list")
async def delete_job(job_id: str, actor: User, services: ServicesDep) -> JobOut:
    """A waiting job is cancelled at once, a running one within ten seconds. Removing keeps the pictures."""
    return await services.jobs.cancel_or_remove(actor, job_id)


@router.post("/{job_id}/retry", status_code=202, summary="Try a failed or cancelled job again")
async def retry_job(job_id: str, actor: User, services: ServicesDep) -> JobOut:
    return await services.jobs.retry(actor, job_id)
