"""G16, G17: the job queue beside huey, both durable on a SQLite file.

    python -m bench.queue

Atelier's side is the real `JobQueue` and `JobRunner` on a migrated database (WAL, synchronous=FULL), with a handler
that does nothing. huey's side is `SqliteHuey` and its own consumer with threads, as they come (WAL, SQLite's default of
synchronous=FULL; polls after 0.1 s, backing off by 1.15 up to 10 s), and once more with a poll every 10 ms.

Three figures: from calling `submit` to the first line of the handler while the queue idles (gaps of 0.15 to 0.35 s);
jobs accepted per second; jobs claimed, run and finished per second. Atelier accepts from 256 coroutines, as many as a
busy server has requests; huey from one thread or four, whichever is faster. Atelier runs up to 256 jobs at once, huey
has one worker thread or four, whichever is faster. Each side is a process of its own; every job must have run exactly
once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.measuring import Goal, Report, WrongAnswer, least, middle, options_for, quantile, run_side, take_turns

GAP_SECONDS = (0.15, 0.35)
SUBMITTERS = 256
AT_ONCE = 256
WARM_UP = 200  # jobs accepted before the clock starts, on both sides


def main() -> int:
    parser = options_for(__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs of Atelier's rounds (10,000)")
    parser.add_argument("--huey-jobs", type=int, default=1_500, help="jobs of huey's rounds (1,500)")
    parser.add_argument("--starts", type=int, default=12, help="single jobs of each round (12)")
    parser.add_argument("--side", choices=["atelier", "huey", "huey-10ms"], help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_run_one(options)))
        return 0

    def side(name: str, jobs: int, threads: int = 1) -> Any:
        arguments = ["--side", name, "--jobs", str(jobs), "--starts", str(options.starts), "--threads", str(threads)]
        return lambda: run_side("bench.queue", *arguments)

    few = options.huey_jobs
    sides = {
        "Atelier": side("atelier", options.jobs),
        "huey": side("huey", few),
        "huey, 4 threads": side("huey", few, 4),
        "huey, 10 ms poll": side("huey-10ms", few),
    }
    return _report(take_turns(sides, options.rounds), options).finish(options)


def _report(found: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> Report:
    report = Report("queue")
    for name, rounds in found.items():
        report.row(
            name,
            **{
                "start p50 ms": middle(rounds, "start_p50") * 1000,
                "p95 ms": middle(rounds, "start_p95") * 1000,
                "enqueue/s": 1 / middle(rounds, "enqueue_wall"),
                "CPU µs": least(rounds, "enqueue_cpu") * 1e6,
                "claim+finish/s": 1 / middle(rounds, "work_wall"),
                "CPU µs ": least(rounds, "work_cpu") * 1e6,
            },
        )
    ours = found["Atelier"]
    theirs = [rounds for name, rounds in found.items() if name != "Atelier"]

    def faster(figure: str) -> float:
        """How many times more per second than the best of huey's, by the medians of wall time."""
        return min(middle(rounds, figure) for rounds in theirs) / middle(ours, figure)

    start = middle(ours, "start_p50")
    report.goals = [
        Goal("G16", "enqueue to start, p50, of huey's", start / middle(found["huey"], "start_p50"), 1 / 20),
        Goal("G16", "enqueue to start, p50 ms", start * 1000, 3.0),
        Goal("G17", "enqueue/s, of the best huey's", faster("enqueue_wall"), 10, at_most=False),
        Goal("G17", "claim+finish/s, of the best huey's", faster("work_wall"), 10, at_most=False),
    ]
    polling = middle(found["huey, 10 ms poll"], "start_p50")
    report.notes = [
        f"Atelier: {SUBMITTERS} coroutines submit, {AT_ONCE} jobs run at once. Wall: medians of {options.rounds}.",
        f"Of huey's start time with a 10 ms poll: {start / polling:.3f}.",
    ]
    return report


def _run_one(options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        if options.side == "atelier":
            import uvloop

            return uvloop.run(_atelier(Path(folder), options.jobs, options.starts))
        poll = {"initial_delay": 0.01, "max_delay": 0.01} if options.side == "huey-10ms" else {}
        return _huey(Path(folder), options.jobs, options.starts, options.threads, poll)


class Meter:
    """Wall and CPU time of this process per unit since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _own_cpu()

    def per(self, name: str, units: int) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self._wall, _own_cpu() - self._cpu
        return {f"{name}_wall": wall / units, f"{name}_cpu": cpu / units}


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# ── Atelier ───────────────────────────────────────────────────────────────────


async def _atelier(folder: Path, jobs: int, starts: int) -> dict[str, float]:
    from atelier import garbage
    from atelier.access.actor import LOCAL_USER_ID
    from atelier.config import JobSettings
    from atelier.db import Database
    from atelier.events import EventBus
    from atelier.jobs import store
    from atelier.jobs.attempt import Attempt, Handler, Publish, nothing_to_publish
    from atelier.jobs.queue import JobQueue, NewJob
    from atelier.jobs.runner import JobRunner
    from atelier.migrate import migrate
    from atelier.tables import JobKind, JobStatus

    ran: dict[str, float] = {}
    twice = 0
    started, finished = asyncio.Event(), asyncio.Event()

    async def handle(attempt: Attempt) -> Publish:
        nonlocal twice
        twice += attempt.job.id in ran
        ran[attempt.job.id] = time.perf_counter()
        started.set()
        return nothing_to_publish

    def changed(row: Any) -> None:
        nonlocal ended
        ended += row.status == JobStatus.COMPLETED
        if expected and ended == expected:
            finished.set()

    def new_job() -> NewJob:
        request = {"prompt": "a red dragon", "seed": 7, "resolved": {"steps": 20, "seeds": [7]}}
        return NewJob(JobKind.IMAGE_GENERATE, LOCAL_USER_ID, "a red dragon", request)

    def machinery() -> tuple[JobQueue, JobRunner]:
        queue = JobQueue(database, settings)
        queue.changed = changed
        handlers = {JobKind.IMAGE_GENERATE: Handler("device", handle)}
        return queue, JobRunner(database, queue, handlers, {"device": AT_ONCE}, settings, lambda row: Attempt(row, bus))

    migrate(folder / "atelier.db")
    database, bus, settings = Database(folder / "atelier.db"), EventBus(), JobSettings(queue_limit=1_000_000)
    ended, expected = 0, 0

    garbage.settle()  # as the server does when it has started

    # Accepting. Nothing runs yet.
    queue, runner = machinery()

    async def accept(count: int) -> None:
        left = iter(range(count))

        async def submitter() -> None:
            for _ in left:
                await queue.submit(new_job())

        await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))

    await accept(WARM_UP)
    meter = Meter()
    await accept(jobs - WARM_UP)
    figures = meter.per("enqueue", jobs - WARM_UP)

    # Working the line off.
    ended, expected = 0, jobs
    meter = Meter()
    await runner.start()
    await asyncio.wait_for(finished.wait(), 240)
    figures |= meter.per("work", jobs)

    # One at a time, from rest.
    waits = []
    for _ in range(starts):
        await asyncio.sleep(random.uniform(*GAP_SECONDS))
        job = new_job()
        started.clear()
        finished.clear()
        expected += 1
        begun = time.perf_counter()
        await queue.submit(job)
        await asyncio.wait_for(started.wait(), 15)
        waits.append(ran[job.id] - begun)
        await asyncio.wait_for(finished.wait(), 15)
    await runner.close()
    async with database.read() as session:
        from atelier.tables import JobRow
        from sqlalchemy import func, select

        counted = await session.scalar(select(func.count()).where(JobRow.status == JobStatus.COMPLETED.value))
        waiting = await store.count_waiting(session)
    await database.close()
    if twice or counted != jobs + starts or len(ran) != jobs + starts or waiting:
        raise WrongAnswer(f"of {jobs + starts} jobs {counted} completed, {len(ran)} ran, {twice} twice, {waiting} wait")
    return figures | {"start_p50": statistics.median(waits), "start_p95": quantile(waits, 0.95)}


# ── huey ──────────────────────────────────────────────────────────────────────


def _huey(folder: Path, jobs: int, starts: int, threads: int, poll: dict[str, float]) -> dict[str, float]:
    from huey import SqliteHuey

    logging.disable(logging.CRITICAL)
    huey = SqliteHuey("bench", filename=str(folder / "huey.db"))
    ran: dict[str, float] = {}
    twice = 0
    finished = threading.Event()
    expected = jobs

    @huey.task()
    def handle(job_id: str, request: dict[str, Any]) -> None:
        nonlocal twice
        twice += job_id in ran
        ran[job_id] = time.perf_counter()
        if len(ran) >= expected:
            finished.set()

    def submit(job_id: str) -> None:
        handle(job_id, {"prompt": "a red dragon", "seed": 7, "resolved": {"steps": 20, "seeds": [7]}})

    for number in range(WARM_UP):
        submit(f"warm{number}")
    left = iter(range(jobs - WARM_UP))
    lock = threading.Lock()

    def submitter() -> None:
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            submit(f"job{number}")

    meter = Meter()
    workers = [threading.Thread(target=submitter) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    figures = meter.per("enqueue", jobs - WARM_UP)

    consumer = huey.create_consumer(workers=threads, periodic=False, check_worker_health=False, **poll)
    meter = Meter()
    consumer.start()
    if not finished.wait(240):
        raise WrongAnswer(f"huey ran {len(ran)} of {jobs} jobs")
    figures |= meter.per("work", jobs)

    waits = []
    for number in range(starts):
        time.sleep(random.uniform(*GAP_SECONDS))
        begun = time.perf_counter()
        submit(f"single{number}")
        deadline = time.monotonic() + 15
        while f"single{number}" not in ran and time.monotonic() < deadline:
            time.sleep(0.0005)
        waits.append(ran[f"single{number}"] - begun)
    consumer.stop()
    if twice or len(ran) != jobs + starts or len(huey):
        raise WrongAnswer(f"of {jobs + starts} jobs huey ran {len(ran)}, {twice} twice, {len(huey)} wait")
    return figures | {"start_p50": statistics.median(waits), "start_p95": quantile(waits, 0.95)}


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
