"""Driving one run of a worker for one attempt: the lease, what the worker says, and the way out when it is to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engines import protocol

from atelier.errors import AtelierError
from atelier.jobs.attempt import Attempt
from atelier.jobs.runner import Stopped
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerSpec
from atelier.runtime.waiting import Waiting
from atelier.runtime.worker import Worker


async def drive(
    pool: WorkerPool,
    attempt: Attempt,
    spec: WorkerSpec,
    task: protocol.Task,
    heard: Callable[[protocol.Progress], None],
    failed: Callable[[protocol.Failed], AtelierError],
) -> protocol.Done:
    """The result of `task`. `heard` gets all progress, `failed` makes an error of what went wrong. Raises Stopped when
    the attempt was asked to stop and nothing runs any more; WorkerDied, WorkerStartFailed, and what `failed` makes."""

    async def run(holding: list[Worker]) -> protocol.Done:
        return await _run(pool, attempt, spec, task, heard, failed, holding)

    return await until_stopped(attempt, task.task_id, run)


async def until_stopped(
    attempt: Attempt, task_id: str, run: Callable[[list[Worker]], Coroutine[Any, Any, protocol.Done]]
) -> protocol.Done:
    """The result of `run`, which puts the worker that it leased into the list that it gets. Raises Stopped when the
    attempt was asked to stop and nothing runs any more, else what `run` raises."""
    holding: list[Worker] = []
    work = asyncio.create_task(run(holding))
    stop = asyncio.create_task(attempt.stop.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            if holding:
                await holding[0].cancel(task_id)
            else:
                work.cancel()
        try:
            return await work
        except asyncio.CancelledError:
            if work.cancelled() and attempt.stop.is_set():
                raise Stopped from None
            raise
    finally:
        stop.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def _run(
    pool: WorkerPool,
    attempt: Attempt,
    spec: WorkerSpec,
    task: protocol.Task,
    heard: Callable[[protocol.Progress], None],
    failed: Callable[[protocol.Failed], AtelierError],
    holding: list[Worker],
) -> protocol.Done:
    def tell(what: Waiting) -> None:
        attempt.waits(what.reason, what.words, what.position, what.seconds, what.holders)

    async with pool.lease(spec, priority=attempt.job.priority, waiting=tell) as worker:
        holding.append(worker)
        async for update in worker.run(task):
            match update:
                case protocol.Progress():
                    heard(update)
                case protocol.Done():
                    return update
                case protocol.Failed():
                    raise failed(update)
                case protocol.Cancelled():
                    raise Stopped
    raise failed(protocol.Failed(code="no_result", message="The engine ended without a result.", hint="Try again."))
