"""Changes to a server's own copy of the code, made in the server process before it starts. Only tests know them.

`sabotage_*` switch a defence off: `test_sabotage.py` shows that the harness notices each. The others shorten a
deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from atelier import storage
from atelier.clock import now
from atelier.images.gallery import Gallery
from atelier.images.service import ImageService
from atelier.jobs import direct, queue, runner, store
from atelier.runtime import engines, forkserver, pool, reaper
from atelier.tables import Job, JobRow, JobStatus
from sqlalchemy import update

SHORT_SILENCE = 2.0


def slow_tidying() -> None:
    """Dropping what an ended job left takes a third of a second longer: time for everybody to come between."""
    forget = ImageService.forget

    async def slow(self: ImageService, job_id: str) -> None:
        await asyncio.sleep(0.3)
        await forget(self, job_id)

    ImageService.forget = slow  # type: ignore[method-assign]


def short_silence() -> None:
    """A worker that says nothing is given up after two seconds instead of fifteen."""
    entry = engines.ENGINES[engines.EngineName.FAKE]
    engines.ENGINES[engines.EngineName.FAKE] = dataclasses.replace(entry, silence_deadline_s=SHORT_SILENCE)


def sabotage_commit_before_answer() -> None:
    """Answer 202 first and write the row a moment later."""
    submit = queue.JobQueue.submit
    later: set[asyncio.Task[Any]] = set()

    async def careless(self: queue.JobQueue, job: queue.NewJob) -> Job:
        async def write() -> None:
            await asyncio.sleep(0.2)
            await submit(self, job)

        task = asyncio.create_task(write())
        later.add(task)
        task.add_done_callback(later.discard)
        return queue._accepted(job, now())

    queue.JobQueue.submit = careless  # type: ignore[method-assign]


def sabotage_fencing() -> None:
    """Any attempt may end a job, whoever holds it."""
    store._fenced = lambda fence: update(JobRow).where(JobRow.id == fence.job_id)
    direct._COMPLETE = direct._COMPLETE.replace("AND attempt = ?", "AND ? IS NOT NULL")


def sabotage_one_transaction() -> None:
    """Publish the pictures in one transaction and end the job in the next."""
    end = runner.JobRunner._end

    async def two_steps(
        self: runner.JobRunner, attempt: Any, handler: Any, status: Any, values: Any, publish: Any = None
    ) -> bool:
        if publish is not None:
            async with self._database.write() as session:
                await publish(session)
        return await end(self, attempt, handler, status, values)

    runner.JobRunner._end = two_steps  # type: ignore[method-assign]


def sabotage_recovery() -> None:
    """At start, leave what an earlier server was running as it stands."""

    async def nothing(_self: runner.JobRunner) -> None:
        return None

    runner.JobRunner._recover = nothing  # type: ignore[method-assign]


def sabotage_recovery_cancels() -> None:
    """At start, cancel what was running, as others do."""

    async def cancel(self: runner.JobRunner) -> None:
        async with self._database.write() as session:
            for row in await store.running(session):
                await store.change(session, row, status=JobStatus.CANCELLED, finished_at=now())

    runner.JobRunner._recover = cancel  # type: ignore[method-assign]


def sabotage_lifelines() -> None:
    """No death pipe, no parent-death signal, no guard: workers do not notice that their server is gone."""
    popen = forkserver.subprocess.Popen

    class Unwatched(popen):  # type: ignore[misc,valid-type]
        def __init__(self, command: list[str], **settings: Any) -> None:
            if command[1:3] == ["-m", "engines.forkserver"]:
                command = [command[0], "-m", "tests.faults.unwatched", *command[3:]]
            super().__init__(command, **settings)

    forkserver.subprocess.Popen = Unwatched  # type: ignore[misc]

    class NoGuard:
        is_alive = True

        def close(self) -> None:
            pass

    pool.reaper.Guard = NoGuard  # type: ignore[assignment,misc]


def sabotage_sweeper() -> None:
    """Nobody looks for what a killed server left in the folders."""

    async def nothing(_self: Gallery) -> None:
        return None

    Gallery.start = nothing  # type: ignore[method-assign]


def sabotage_poison_limit() -> None:
    """A job whose worker crashes is tried for ever."""
    make = runner.JobRunner.__init__

    def patient(
        self: runner.JobRunner, database: Any, line: Any, handlers: Any, slots: Any, settings: Any, *more: Any
    ) -> None:
        make(self, database, line, handlers, slots, dataclasses.replace(settings, max_crashes=10**9), *more)

    runner.JobRunner.__init__ = patient  # type: ignore[method-assign]


def sabotage_idempotency() -> None:
    """Every request is a new job, whatever key it carries."""
    submit = queue.JobQueue.submit

    async def forgetful(self: queue.JobQueue, job: queue.NewJob) -> Job:
        return await submit(self, dataclasses.replace(job, idempotency_key=None))

    queue.JobQueue.submit = forgetful  # type: ignore[method-assign]


def sabotage_folder_lock() -> None:
    """Two servers may open one data folder."""

    class NoLock:
        def __init__(self, *_arguments: Any) -> None:
            pass

        def acquire(self, **_settings: Any) -> Any:
            return contextlib.nullcontext()

        def release(self) -> None:
            pass

    storage.FileLock = NoLock  # type: ignore[misc,assignment]


def sabotage_reaper() -> None:
    """At start, leave the processes of an earlier server alone."""
    reaper.reap = lambda *_arguments, **_settings: []


RIGS: dict[str, Callable[[], None]] = {
    name: thing
    for name, thing in vars(sys.modules[__name__]).items()
    if name in {"short_silence", "slow_tidying"} or name.startswith("sabotage_")
}
