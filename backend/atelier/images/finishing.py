"""For doors that answer with the pictures themselves: waits for a job's end, tells how far it is, minds the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from atelier.access.actor import Actor
from atelier.errors import AtelierError, Conflict
from atelier.events import EventBus, JobChanged, JobProgress
from atelier.jobs.service import JobService
from atelier.said import Said
from atelier.shapes import ErrorOut, JobOut
from atelier.tables import JobKind, JobStatus

GONE_SECONDS = 0.5
"""So often the client is looked after: ASGI has no event for a hang-up while nobody reads."""

Awaited = TypeVar("Awaited")
Gone = Callable[[], Awaitable[bool]]
OnProgress = Callable[[JobProgress], Awaitable[None]]


class JobFailed(AtelierError):
    """A job's own error, as the answer of a request that waited for it."""

    STATUS = {
        "out_of_memory": 503,
        "not_enough_memory": 503,
        "environment_not_ready": 503,
        "environment_build_failed": 503,
        "worker_start_failed": 503,
        "worker_died": 503,
        "unavailable": 503,
        "insufficient_storage": 507,
    }

    def __init__(self, error: ErrorOut) -> None:
        message = Said(error.message, error.said.code, **error.said.params) if error.said else error.message
        super().__init__(message, hint=error.hint, log_tail=error.log_tail)
        self.code = error.code
        self.status = self.STATUS.get(error.code, _status(error.code))


def _status(code: str) -> int:
    if code.startswith(("invalid_", "unfit_", "picture_")):
        return 422
    return 404 if code.endswith("not_found") else 500


def hung_up() -> Conflict:
    words = Said("The client hung up, so its job was cancelled.", "job.client_gone")
    return Conflict(words, hint="Stay connected, or ask for a job at /api/generate.")


async def unless_gone(waiting: Coroutine[Any, Any, Awaited], gone: Gone | None) -> Awaited:
    """What `waiting` gives. Raises Conflict as soon as `gone` says that the client hung up; then it is cancelled."""
    task = asyncio.create_task(waiting)
    try:
        while not (await asyncio.wait({task}, timeout=GONE_SECONDS))[0]:
            if gone is not None and await gone():
                raise hung_up()
        return await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def finished(
    jobs: JobService, bus: EventBus, actor: Actor, job_id: str, gone: Gone | None, on_progress: OnProgress | None
) -> JobOut:
    """The job once it has completed. Raises JobNotFound, JobFailed, and Conflict when it was cancelled, which happens
    too as soon as `gone` says that the client hung up."""
    news: asyncio.Queue[JobChanged | JobProgress] = asyncio.Queue()
    leave = bus.follow(job_id, news.put_nowait)
    try:
        job, looked = await jobs.get(actor, job_id, JobKind.IMAGE_GENERATE), time.monotonic()
        while not job.status.ended:
            event = await _next(news, GONE_SECONDS if gone else None)
            if gone and time.monotonic() - looked >= GONE_SECONDS:
                looked = time.monotonic()
                if await gone():
                    await jobs.cancel(actor, job_id)
                    raise hung_up()
            if isinstance(event, JobChanged):
                job = event.job
            elif event is not None and on_progress is not None:
                await on_progress(event)
    finally:
        leave()
    if job.status is JobStatus.CANCELLED:
        raise Conflict(Said("The job was cancelled.", "job.was_cancelled"), hint="Ask for it again.")
    if job.error is not None:
        raise JobFailed(job.error)
    return job


async def _next(
    news: asyncio.Queue[JobChanged | JobProgress], seconds: float | None
) -> JobChanged | JobProgress | None:
    """What happens next; None when nothing did for so long."""
    try:
        async with asyncio.timeout(seconds):
            return await news.get()
    except TimeoutError:
        return None
