"""The runner where things go wrong around a handler: every broken attempt counts, and two are enough."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from atelier.access.actor import LOCAL_ADMIN, LOCAL_USER_ID
from atelier.clock import now
from atelier.config import JobSettings
from atelier.db import Database
from atelier.events import EventBus
from atelier.jobs import direct, store
from atelier.jobs.attempt import Attempt, Handler, Publish, nothing_to_publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.runner import JobRunner
from atelier.jobs.service import JobService
from atelier.tables import Job, JobKind, JobStatus


async def look(database: Database, job_id: str) -> Job:
    async with database.read() as session:
        job = await store.find(session, LOCAL_ADMIN, job_id)
    assert job is not None
    return job


def runner_of(database: Database, handle: object = None) -> tuple[JobQueue, JobRunner, list[str]]:
    queue, bus, told = JobQueue(database, JobSettings()), EventBus(), []
    queue.changed = lambda job: told.append(job.status)
    kinds = {JobKind.IMAGE_GENERATE: Handler("device", handle)}  # type: ignore[arg-type]
    return queue, JobRunner(database, queue, kinds, {"device": 1}, JobSettings(), lambda job: Attempt(job, bus)), told


async def submit(queue: JobQueue) -> str:
    return (await queue.submit(NewJob(JobKind.IMAGE_GENERATE, LOCAL_USER_ID, "a fox", {"prompt": "a fox"}))).id


async def test_attempts_that_fall_silent_count_and_browsers_hear_of_each(database: Database) -> None:
    queue, runner, told = runner_of(database)
    job_id = await submit(queue)
    for status, crashes in ((JobStatus.QUEUED, 1), (JobStatus.FAILED, 1)):
        async with database.write_directly() as connection:
            direct.claim(connection, list(JobKind), 1, now(), now() - timedelta(seconds=1))
        told.clear()
        await runner._beat()
        job = await look(database, job_id)
        assert (job.status, job.crashes, told) == (status, crashes, [status])
    assert job.error and job.error["code"] == "poison" and "2 times" in job.error["message"] and job.error["hint"]


async def test_an_end_that_cannot_be_written_twice_fails_the_job(database: Database) -> None:
    runs: list[int] = []

    async def handle(attempt: Attempt) -> Publish:
        runs.append(attempt.job.attempt)

        async def publish(_session: object) -> None:
            raise RuntimeError("the rows cannot be written")

        return publish

    queue, runner, _ = runner_of(database, handle)
    await runner.start()
    job_id = await submit(queue)
    async with asyncio.timeout(10):
        while (job := await look(database, job_id)).status != JobStatus.FAILED:
            await asyncio.sleep(0.02)
    await runner.close()
    assert runs == [1, 2] and job.error and job.error["code"] == "poison"
    assert "could not be written" in job.error["message"]


async def test_progress_does_not_step_back_while_a_job_ends(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends between the read of its row, which says that it runs, and the answer."""
    may_end = asyncio.Event()

    async def handle(attempt: Attempt) -> Publish:
        attempt.progress(9, 10)
        await may_end.wait()
        return nothing_to_publish

    queue, runner, _ = runner_of(database, handle)
    jobs = JobService(database, queue, runner, EventBus())
    await runner.start()
    job_id = await submit(queue)
    async with asyncio.timeout(10):
        while (await jobs.get(LOCAL_ADMIN, job_id)).progress == 0:
            await asyncio.sleep(0.02)
        find = store.find

        async def while_it_ends(*about: Any) -> Job | None:
            row = await find(*about)
            may_end.set()
            while job_id in runner.live:
                await asyncio.sleep(0.01)
            return row

        monkeypatch.setattr(store, "find", while_it_ends)
        seen = await jobs.get(LOCAL_ADMIN, job_id)
    await jobs.close()
    await runner.close()
    assert (seen.status, seen.progress) == (JobStatus.RUNNING, 0.9)
