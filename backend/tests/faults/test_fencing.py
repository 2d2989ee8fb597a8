"""An attempt that was taken back can end nothing, prolong nothing and publish nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest_asyncio
from atelier.access.actor import LOCAL_ADMIN, LOCAL_USER_ID
from atelier.clock import now
from atelier.config import JobSettings
from atelier.db import Database
from atelier.events import EventBus
from atelier.jobs import direct, store
from atelier.jobs.attempt import Attempt, Handler
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.runner import JobRunner
from atelier.jobs.store import Fence
from atelier.tables import Job, JobKind, JobStatus
from tests.databases import migrated

KINDS = [JobKind.IMAGE_GENERATE]


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    migrated(tmp_path / "atelier.db")
    made = Database(tmp_path / "atelier.db")
    yield made
    await made.close()


async def taken_back(database: Database) -> tuple[Job, Job]:
    """One job, claimed, taken back and claimed again: the row as the first attempt and as the second knows it."""
    queue = JobQueue(database, JobSettings())
    await queue.submit(NewJob(JobKind.IMAGE_GENERATE, LOCAL_USER_ID, "a fox", {"prompt": "a fox"}))
    claimed = []
    for _ in range(2):
        async with database.write_directly() as connection:
            (row,) = direct.claim(connection, KINDS, 1, now(), now() + timedelta(seconds=60))
        claimed.append(row)
        if len(claimed) == 1:
            async with database.write() as session:
                assert await store.requeue(session, Fence(row.id, row.attempt), crashed=True, message=None)
    return claimed[0], claimed[1]


async def check(database: Database) -> None:
    """Raises AssertionError where a stale attempt gets through. The sabotage of fencing runs this too."""
    first, second = await taken_back(database)
    assert (first.attempt, second.attempt) == (1, 2)
    stale, holder = Fence(first.id, 1), Fence(first.id, 2)
    for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED):
        async with database.write() as session:
            assert not await store.finish(session, stale, now(), status, {}), f"a stale attempt ended it as {status}"
    async with database.write() as session:
        assert not await store.requeue(session, stale, crashed=True, message=None), "a stale attempt took it back"
        late = {"job": first.id, "fence": 1, "until": now() + timedelta(days=1), "at_step": 9, "of_steps": 9}
        await store.heartbeat(session, [{**late, "words": "stale"}])
    async with database.write_directly() as connection:
        assert direct.complete(connection, [first], now()) == [False], "a stale attempt completed it"
    async with database.read() as session:
        row = await store.find(session, LOCAL_ADMIN, first.id)
        assert row is not None and row.status == JobStatus.RUNNING and row.attempt == 2 and row.crashes == 1
        assert row.step == 0 and row.message is None and row.lease_until < now() + timedelta(hours=1)
    async with database.write() as session:
        assert await store.finish(session, holder, now(), JobStatus.COMPLETED, {})
    async with database.write() as session:
        assert not await store.finish(session, holder, now(), JobStatus.FAILED, {}), "it ended twice"


async def publish_late(database: Database) -> list[str]:
    """Let the first of two attempts end its job through the runner; what it published."""
    first, second = await taken_back(database)
    published: list[str] = []

    async def publish(_session: Any) -> None:
        published.append(first.id)

    queue = JobQueue(database, JobSettings())
    kinds = {JobKind.IMAGE_GENERATE: Handler("device", lambda _attempt: None)}  # type: ignore[arg-type,return-value]
    runner = JobRunner(database, queue, kinds, {"device": 1}, JobSettings(), SimpleNamespace)
    attempt = Attempt(first, EventBus())
    await runner._end(attempt, kinds[JobKind.IMAGE_GENERATE], JobStatus.COMPLETED, {}, publish)
    async with database.read() as session:
        row = await store.find(session, LOCAL_ADMIN, second.id)
        assert row is not None
        assert (row.status, row.attempt) == (JobStatus.RUNNING, 2) or published
    return published


async def test_a_stale_attempt_is_refused(database: Database) -> None:
    await check(database)


async def test_a_stale_attempt_publishes_nothing(database: Database) -> None:
    assert await publish_late(database) == []
