"""Benchmarks of chat models: asked for, measured by a job, kept, compared, handed out.

What one model does at one level of concurrency is a stage; its figures are a row as soon as they are there, so that a
job which begins anew goes on with the stages that are missing. What another server did can be kept beside them.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor, Role
from atelier.chat import benchmark_rows
from atelier.chat.benchmark_measuring import Goals, NoAnswer, Rounds, Sample, Sizes, plan, stage, warm_up
from atelier.chat.benchmark_schemas import BenchmarkIn, BenchmarkList, BenchmarkOut, FiguresOut, ReportIn, StageOut
from atelier.chat.serving import ChatServing
from atelier.clock import new_id, now
from atelier.db import Database
from atelier.errors import AtelierError, BenchmarkNotFound, Conflict, NotFound
from atelier.jobs.attempt import Attempt, Publish, nothing_to_publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.runner import Stopped
from atelier.jobs.service import JobService
from atelier.runtime.waiting import Waiting
from atelier.said import Said
from atelier.tables import BenchmarkResultRow, BenchmarkRow, JobKind, JobStatus

MOST_LISTED = 100
SPREADS = ("ttft_ms", "tpot_ms", "itl_ms", "icl_ms", "e2el_ms")


class Benchmarks:
    """Every call takes the actor: a benchmark is its owner's alone (and the administrators')."""

    def __init__(self, database: Database, queue: JobQueue, jobs: JobService, serving: ChatServing) -> None:
        self._database, self._queue, self._jobs, self._serving = database, queue, jobs, serving

    async def create(self, actor: Actor, wanted: BenchmarkIn) -> BenchmarkOut:
        """Accept a benchmark: durable when this returns. Raises ModelNotFound, TooManyJobs."""
        models = [(await self._target(actor, name)) for name in wanted.models]
        wanted = wanted.model_copy(update={"models": list(dict.fromkeys(models))})
        benchmark_id = new_id("bench")
        title = wanted.name or ", ".join(wanted.models)
        asked = {"benchmark": benchmark_id, "name": title}
        job = NewJob(JobKind.CHAT_BENCHMARK, actor.id, f"Benchmark: {title}", asked)
        row = _row(benchmark_id, actor, wanted.name, wanted, job_id=job.id)
        await self._queue.submit_beside(row, job, lambda session: benchmark_rows.forget(session, benchmark_id))
        return _out(row, [], JobStatus.QUEUED)

    async def keep(self, actor: Actor, report: ReportIn) -> BenchmarkOut:
        """Keep what was measured elsewhere."""
        row = _row(new_id("bench"), actor, report.name, report.settings, server=report.server)
        found = {(one.model, one.concurrency): one for one in report.stages}
        results = [_result(row.id, *at, one.figures.model_dump()) for at, one in found.items()]
        async with self._database.write() as session:
            session.add(row)
            await session.flush()
            session.add_all(results)
        return await self.get(actor, row.id)

    async def get(self, actor: Actor, benchmark_id: str) -> BenchmarkOut:
        """Raises BenchmarkNotFound, also for somebody else's."""
        async with self._database.read() as session:
            row = await self._find(session, actor, benchmark_id)
        return (await self._present([row]))[0]

    async def newest(self, actor: Actor) -> BenchmarkList:
        async with self._database.read() as session:
            rows = await benchmark_rows.newest(session, actor, MOST_LISTED)
        return BenchmarkList(items=await self._present(rows))

    async def delete(self, actor: Actor, benchmark_id: str) -> None:
        """Raises BenchmarkNotFound, Conflict while it is being measured."""
        found = await self.get(actor, benchmark_id)
        if not found.status.ended:
            words = Said("This benchmark is still being measured.", "benchmark.runs")
            raise Conflict(words, hint="Stop its job first.")
        async with self._database.write() as session:
            await benchmark_rows.forget(session, benchmark_id)

    # ── measuring ──

    async def run(self, attempt: Attempt) -> Publish:
        """The handler of `chat.benchmark` jobs. Raises Stopped."""
        benchmark_id = attempt.job.request["benchmark"]
        actor = Actor(attempt.job.owner_id, "", Role.USER)
        async with self._database.read() as session:
            row = await benchmark_rows.find(session, Actor(actor.id, "", Role.ADMIN), benchmark_id)
            if row is None:
                raise BenchmarkNotFound(f"There is no benchmark {benchmark_id!r}.", hint="Ask for a new one.")
            there = (await benchmark_rows.results(session, [row.id]))[row.id]
        run = _Run(attempt, actor, BenchmarkIn(**row.settings), self._serving)
        work = asyncio.create_task(self._measure(run, row.id, {(one.model, one.concurrency) for one in there}))
        stop = asyncio.create_task(attempt.stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Stopped
            await work
        finally:
            for task in (work, stop):
                task.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
        return nothing_to_publish

    async def _measure(self, run: _Run, benchmark_id: str, there: set[tuple[str, int]]) -> None:
        wanted = run.wanted
        for model, concurrency in plan(wanted.models, wanted.concurrency, wanted.seed, wanted.rounds):
            if (model, concurrency) in there:
                run.skip()
                continue
            found = await run.stage(model, concurrency)
            if found is None:  # in a later round
                continue
            async with self._database.write() as session:
                session.add(_result(benchmark_id, model, concurrency, found))

    # ── inside ──

    async def _target(self, actor: Actor, name: str) -> str:
        try:
            return (await self._serving.targets.find(actor, name)).name
        except NotFound as error:
            error.in_words_of({"model": "models"})
            raise

    async def _find(self, session: AsyncSession, actor: Actor, benchmark_id: str) -> BenchmarkRow:
        row = await benchmark_rows.find(session, actor, benchmark_id)
        if row is None:
            raise BenchmarkNotFound(f"There is no benchmark {benchmark_id[:80]!r}.", hint="It may have been deleted.")
        return row

    async def _present(self, rows: list[BenchmarkRow]) -> list[BenchmarkOut]:
        """How they stand is read before their figures: of one that has ended, all of them are there."""
        statuses = [await self._status(row) for row in rows]
        async with self._database.read() as session:
            results = await benchmark_rows.results(session, [row.id for row in rows])
        return [_out(row, results[row.id], status) for row, status in zip(rows, statuses, strict=True)]

    async def _status(self, row: BenchmarkRow) -> JobStatus:
        if row.job_id is None:
            return JobStatus.COMPLETED
        outcome = await self._jobs.outcome(row.job_id)
        return outcome[0] if outcome else JobStatus.CANCELLED


class _Run:
    """One attempt at a benchmark: its requests go the way of everybody's, and count against nobody's limits."""

    def __init__(self, attempt: Attempt, actor: Actor, wanted: BenchmarkIn, serving: ChatServing) -> None:
        self._attempt, self._actor, self.wanted, self._serving = attempt, actor, wanted, serving
        self._sizes: dict[str, Sizes | str] = {}
        self._rounds = Rounds(wanted.rounds, Goals.of(wanted.ttft_goal_ms, wanted.tpot_goal_ms))
        self._done = 0

    def skip(self) -> None:
        self._done += self.wanted.requests

    async def stage(self, model: str, concurrency: int) -> dict[str, Any] | None:
        """One round of it; its figures after the last one."""
        self._tell(model, concurrency)
        sizes = self._sizes.get(model)
        if sizes is None:
            sizes = self._sizes[model] = await self._warm_up(model)
        begun = self._done
        wanted = self.wanted
        if isinstance(sizes, str):  # it gives no answer: that is what there is to say of it
            samples, seconds = [Sample(error=sizes)] * wanted.requests, 0.0
        else:
            seed = self._rounds.seed(model, concurrency, wanted.seed)
            samples, seconds = await stage(
                self._ask, model, sizes, concurrency=concurrency, requests=wanted.requests, seed=seed,
                done=lambda _sample: self._count(model, concurrency),
            )  # fmt: skip
        self._done = begun + wanted.requests
        return self._rounds.add(model, concurrency, samples, seconds)

    async def _warm_up(self, model: str) -> Sizes | str:
        wanted = self.wanted
        try:
            return await warm_up(self._ask, model, wanted.prompt_tokens, wanted.output_tokens, wanted.seed)
        except NoAnswer as error:
            return str(error)

    async def _ask(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        try:
            async for piece in self._serving.stream(self._actor, "/v1/chat/completions", body, tell=self._waits):
                yield piece
        except AtelierError as error:
            raise RuntimeError(error.message) from error

    def _waits(self, what: Waiting) -> None:
        self._attempt.waits(what.reason, what.words, what.position, what.seconds, what.holders)

    def _count(self, model: str, concurrency: int) -> None:
        self._done += 1
        self._tell(model, concurrency)

    def _tell(self, model: str, concurrency: int) -> None:
        total = self.wanted.requests * len(self.wanted.models) * len(set(self.wanted.concurrency)) * self.wanted.rounds
        text = f"{model}, {concurrency} at once"
        words = Said(text, "benchmark.stage", model=model, concurrency=concurrency)
        self._attempt.progress(self._done, total, words)


def as_csv(benchmark: BenchmarkOut) -> str:
    """A line for each stage."""
    out = io.StringIO()
    plain = [name for name in FiguresOut.model_fields if name not in {*SPREADS, "error"}]
    spreads = [(name, part) for name in SPREADS for part in ("mean", "p50", "p90", "p99")]
    writer = csv.writer(out)
    head = ["benchmark", "server", "model", "concurrency", "prompt_tokens", "max_output_tokens"]
    writer.writerow([*head, *plain, *(f"{part}_{name}" for name, part in spreads), "error"])
    settings = benchmark.settings
    for one in benchmark.stages:
        found = one.figures.model_dump()
        values = [found[name][part] if found[name] else "" for name, part in spreads]
        error = one.figures.error or ""
        cells = [
            benchmark.name or benchmark.id, benchmark.server, one.model, one.concurrency, settings.prompt_tokens,
            settings.output_tokens, *(found[name] for name in plain), *values, error,
        ]  # fmt: skip
        writer.writerow([_inert(cell) for cell in cells])
    return out.getvalue()


def _inert(cell: Any) -> Any:
    """Spreadsheets run what begins like a formula; words that came from elsewhere must not."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _row(
    benchmark_id: str, actor: Actor, name: str, wanted: BenchmarkIn, *, job_id: str | None = None, server: str = ""
) -> BenchmarkRow:
    return BenchmarkRow(
        id=benchmark_id,
        owner_id=actor.id,
        job_id=job_id,
        name=name,
        server=server,
        settings=wanted.model_dump(),
        created_at=now(),
    )


def _result(benchmark_id: str, model: str, concurrency: int, found: dict[str, Any]) -> BenchmarkResultRow:
    return BenchmarkResultRow(benchmark_id=benchmark_id, model=model, concurrency=concurrency, figures=found)


def _out(row: BenchmarkRow, results: list[BenchmarkResultRow], status: JobStatus) -> BenchmarkOut:
    return BenchmarkOut(
        id=row.id,
        name=row.name,
        server=row.server,
        job_id=row.job_id,
        status=status,
        settings=BenchmarkIn(**row.settings),
        stages=[StageOut(model=one.model, concurrency=one.concurrency, figures=one.figures) for one in results],
        created_at=row.created_at,
    )
