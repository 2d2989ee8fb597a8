"""The queue and its runner against a model of what they promise, with restarts and crashes in any order.

Real SQLite, real queue, real runner; only the handler is scripted. A restart drops the runner without a word (as
SIGKILL would: nothing is written on the way out) and starts a new one on the same file.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from atelier.access.actor import LOCAL_ADMIN
from atelier.config import JobSettings
from atelier.db import Database
from atelier.errors import AtelierError, Conflict, TooManyJobs, WorkerDied
from atelier.events import EventBus
from atelier.jobs import store
from atelier.jobs.attempt import Attempt, Handler, Publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.runner import JobRunner, Stopped
from atelier.tables import JobKind, JobStatus
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from tests.databases import migrated

LIMIT = 6


class Failed(AtelierError):
    code = "scripted"


class Script:
    """What the handler of a running job waits for: the machine says how each attempt ends."""

    def __init__(self) -> None:
        self.running: dict[str, asyncio.Future[str]] = {}
        self.published: list[str] = []

    async def run(self, attempt: Attempt) -> Publish:
        job_id = attempt.job.id
        future = self.running[job_id] = asyncio.get_running_loop().create_future()
        stop = asyncio.ensure_future(attempt.stop.wait())
        try:
            await asyncio.wait({future, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise Stopped
            match future.result():
                case "fail":
                    raise Failed("as the script says")
                case "crash":
                    raise WorkerDied("as the script says")
        finally:
            stop.cancel()
            self.running.pop(job_id, None)

        async def publish(_session: object) -> None:
            self.published.append(job_id)

        return publish


class Queue(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.expected: dict[str, str] = {}  # job -> the status that the machine knows it must have, or "open"
        self.crashes: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.script = Script()

    def do(self, coroutine):  # type: ignore[no-untyped-def]
        return self.loop.run_until_complete(coroutine)

    async def open(self) -> None:
        self.database = Database(self.folder / "atelier.db")
        config = JobSettings(queue_limit=LIMIT)
        self.queue = JobQueue(self.database, config)
        bus = EventBus()
        handlers = {
            JobKind.IMAGE_GENERATE: Handler("device", self.script.run),
            JobKind.ENVIRONMENT_BUILD: Handler("setup", self.script.run),
        }
        make = lambda row: Attempt(row, bus)  # noqa: E731
        self.runner = JobRunner(self.database, self.queue, handlers, {"device": 2, "setup": 1}, config, make)
        await self.runner.start()
        await self.settle()

    async def settle(self) -> None:
        """Let the runner do what it can do."""
        deadline = self.loop.time() + 20
        while self.loop.time() < deadline:
            await asyncio.sleep(0.001)
            rows = await self.rows()
            running = {row.id for row in rows if row.status == JobStatus.RUNNING}
            waiting = [row for row in rows if row.status == JobStatus.QUEUED]
            # Started attempts have no verdict yet; those with one are on their way to being written.
            idle = running == set(self.script.running) == set(self.runner.live)
            if idle and (not waiting or len(running) >= 2):
                return
        raise AssertionError(f"the queue does not come to rest: {[(r.id, r.status) for r in rows]}")

    async def rows(self) -> list:  # type: ignore[type-arg]
        async with self.database.read() as session:
            return await store.page(session, LOCAL_ADMIN, limit=1000)

    @initialize()
    def start(self) -> None:
        migrated(self.folder / "atelier.db")
        self.do(self.open())

    @rule(
        target=jobs, priority=st.integers(-1, 1), key=st.sampled_from(["", "a", "b", "c"]), title=st.sampled_from("xy")
    )
    def submit(self, priority: int, key: str, title: str) -> str | None:
        async def act() -> str:
            job = NewJob(
                JobKind.IMAGE_GENERATE, "local", title, {"title": title}, priority=priority, idempotency_key=key or None
            )
            row = await self.queue.submit(job)
            await self.settle()
            return row.id

        try:
            job_id = self.do(act())
        except TooManyJobs:
            assert sum(status == "open" for status in self.expected.values()) >= LIMIT
            return "refused"
        except Conflict:
            assert key in self.keys
            return "refused"
        if key in self.keys:
            assert job_id == self.keys[key], "the same key gave another job"
        elif key:
            self.keys[key] = job_id
        self.expected.setdefault(job_id, "open")
        return job_id

    @rule(how=st.sampled_from(["done", "done", "fail", "crash"]), which=st.integers(0, 1))
    def finish(self, how: str, which: int) -> None:
        if not self.script.running:
            return
        job_id = sorted(self.script.running)[which % len(self.script.running)]

        async def act() -> None:
            self.script.running[job_id].set_result(how)
            await asyncio.sleep(0)
            await self.settle()

        self.do(act())
        if how == "crash":
            self.crashes[job_id] = self.crashes.get(job_id, 0) + 1
            self.expected[job_id] = "failed" if self.crashes[job_id] >= 2 else "open"
        else:
            self.expected[job_id] = "completed" if how == "done" else "failed"

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        if job_id not in self.expected:
            return

        async def act() -> None:
            await self.queue.cancel(LOCAL_ADMIN, job_id)
            await self.settle()

        self.do(act())
        if self.expected[job_id] == "open":
            self.expected[job_id] = "cancelled"

    @rule(job_id=jobs)
    def retry(self, job_id: str) -> None:
        if job_id not in self.expected:
            return

        async def act() -> None:
            await self.queue.retry(LOCAL_ADMIN, job_id)
            await self.settle()

        if self.expected[job_id] in {"failed", "cancelled"}:
            self.do(act())
            self.expected[job_id] = "open"
            self.crashes[job_id] = 0
        else:
            try:
                self.do(act())
                raise AssertionError("a job that did not fail was tried again")
            except Conflict:
                pass

    @rule(marked=st.booleans())
    def killed(self, marked: bool) -> None:
        """The server dies; `marked`: while a cancel had been written and nobody had acted on it yet."""

        async def act() -> str | None:
            running = sorted(self.script.running)
            chosen = running[0] if marked and running else None
            if chosen:
                self.queue.stop_attempt = lambda _job_id: None
                await self.queue.cancel(LOCAL_ADMIN, chosen)
            await self.database.close()  # from here on nothing can be written: the tasks end without a trace
            for task in [*self.runner._tasks, *self.runner._loops]:
                task.cancel()
            await asyncio.gather(*self.runner._tasks, *self.runner._loops, return_exceptions=True)
            await self.database.close()
            self.script.running.clear()
            return chosen

        # Cut the writer off first, so that the cancelled tasks cannot put anything back in the line.
        async def dead(*_arguments: object, **_named: object) -> bool:
            raise asyncio.CancelledError

        self.runner._take_back = dead  # type: ignore[method-assign]
        self.runner._end = dead  # type: ignore[method-assign]
        chosen = self.do(act())
        if chosen:
            self.expected[chosen] = "cancelled"
        self.do(self.open())

    @invariant()
    def nothing_is_lost_and_nothing_twice(self) -> None:
        if not hasattr(self, "database"):
            return
        rows = {row.id: row for row in self.do(self.rows())}
        assert set(rows) == set(self.expected)
        for job_id, status in self.expected.items():
            if status == "open":
                assert rows[job_id].status in {JobStatus.QUEUED, JobStatus.RUNNING}, (job_id, rows[job_id].status)
            else:
                assert rows[job_id].status == status
        completed = [job_id for job_id, status in self.expected.items() if status == "completed"]
        assert sorted(self.script.published) == sorted(completed)
        running = [row for row in rows.values() if row.status == JobStatus.RUNNING]
        waiting = [row for row in rows.values() if row.status == JobStatus.QUEUED]
        assert len(running) <= 2
        assert not waiting or len(running) == 2

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.do(self.runner.close())
            self.do(self.database.close())
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
