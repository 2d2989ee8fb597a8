"""The statements that go past SQLAlchemy say what SQLAlchemy's would."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from datetime import timedelta

from atelier.access.actor import LOCAL_ADMIN, LOCAL_USER_ID
from atelier.clock import now
from atelier.config import JobSettings
from atelier.db import Database
from atelier.jobs import direct, store
from atelier.jobs.queue import JobQueue, NewJob
from atelier.tables import Job, JobKind, JobRow, JobStatus
from sqlalchemy import insert, select, update

REQUEST = {"prompt": "a fox, naïve 🦊", "numbers": [1, 2.5, None, True], "resolved": {"seed": 2**31}}


async def submit(database: Database, **given: object) -> Job:
    queue = JobQueue(database, JobSettings())
    return await queue.submit(NewJob(JobKind.IMAGE_GENERATE, LOCAL_USER_ID, "a fox", REQUEST, **given))  # type: ignore[arg-type]


async def read(database: Database, job_id: str) -> Job:
    async with database.read() as session:
        found = await store.find(session, LOCAL_ADMIN, job_id)
    assert found is not None
    return found


def test_a_record_has_the_columns_of_the_table_in_their_order() -> None:
    assert [field.name for field in fields(Job)] == [column.name for column in JobRow.__table__.columns]


async def test_what_is_accepted_reads_the_same_through_sqlalchemy(database: Database) -> None:
    accepted = await submit(database, priority=3, idempotency_key="k")
    found = await read(database, accepted.id)
    accepted.seq = found.seq
    assert astuple(found) == astuple(accepted)
    assert found.created_at.tzinfo is not None


async def test_the_file_looks_as_sqlalchemy_would_have_written_it(database: Database) -> None:
    accepted = await submit(database)
    async with database.write() as session:
        columns = {name: value for name, value in zip(direct._NAMES, astuple(accepted), strict=True) if name != "seq"}
        await session.execute(insert(JobRow.__table__).values(columns | {"id": "job_other"}))
    async with database.write_directly() as connection:
        ours, theirs = connection.execute("SELECT * FROM jobs ORDER BY seq").fetchall()
    assert ours[2:] == theirs[2:]
    assert [type(value) for value in ours] == [type(value) for value in theirs]


async def test_a_claim_reads_what_sqlalchemy_wrote(database: Database) -> None:
    accepted = await submit(database)
    async with database.write() as session:
        await session.execute(update(JobRow.__table__).values(crashes=1, cancel_requested=True, finished_at=now()))
    moment = now()
    async with database.write_directly(durable=False) as connection:
        (claimed,) = direct.claim(connection, list(JobKind), 5, moment, moment + timedelta(seconds=60))
        assert direct.claim(connection, list(JobKind), 5, moment, moment) == []
        assert direct.count_waiting(connection) == 0
    assert astuple(claimed) == astuple(await read(database, accepted.id))
    assert (claimed.status, claimed.attempt, claimed.started_at) == (JobStatus.RUNNING, 1, moment)
    assert (claimed.request, claimed.cancel_requested, claimed.crashes) == (REQUEST, True, 1)


async def test_a_claim_takes_the_urgent_first_then_the_old_and_only_its_kinds(database: Database) -> None:
    wanted = [(await submit(database, priority=priority)).id for priority in (0, 1, 0, 1)]
    async with database.write_directly() as connection:
        assert direct.claim(connection, [JobKind.ENVIRONMENT_BUILD], 9, now(), now()) == []
        first = direct.claim(connection, list(JobKind), 3, now(), now())
    assert [job.id for job in first] == [wanted[1], wanted[3], wanted[0]]


async def test_completing_says_which_attempts_still_held_their_job(database: Database) -> None:
    for _ in range(3):
        await submit(database)
    async with database.write_directly() as connection:
        jobs = direct.claim(connection, list(JobKind), 3, now(), now())
        stale = [jobs[0], replace(jobs[1], attempt=9), jobs[2]]
        assert direct.complete(connection, stale, now()) == [True, False, True]
        assert direct.complete(connection, jobs, now()) == [False, True, False], "each job ends once"
    async with database.read() as session:
        assert set(await session.scalars(select(JobRow.status))) == {JobStatus.COMPLETED}
