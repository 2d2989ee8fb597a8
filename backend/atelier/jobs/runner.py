"""Claims waiting jobs and runs their handlers. The only writer of a running job's row.

Each attempt is one task. Its row carries a lease that a heartbeat prolongs; whatever it writes at the end is fenced by
its attempt number, so that an attempt that was taken back can never publish. There is no polling: `wake()` is called
by whatever could have made work possible.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.clock import now
from atelier.config import JobSettings
from atelier.db import Database, after_commit
from atelier.errors import AtelierError, WorkerDied, WorkerStartFailed
from atelier.failpoints import failpoint
from atelier.jobs import direct, store
from atelier.jobs.attempt import Attempt, Handler, Publish, nothing_to_publish
from atelier.jobs.batch import Batch
from atelier.jobs.pace import LAST, Pace
from atelier.jobs.queue import Choose, JobQueue
from atelier.jobs.store import Fence
from atelier.said import Said
from atelier.shapes import ErrorOut, WaitingOut
from atelier.tables import Job, JobKind, JobStatus

log = structlog.get_logger("atelier.jobs")

HEARTBEAT_SECONDS = 2.0
CANCEL_SECONDS = 9.0
LOOK = 64
"""So far down the line `bring` looks."""


_NOT_WRITTEN = AtelierError(
    Said("Its end could not be written.", "job.end_not_written"), hint="Look whether the disk is full, then try again."
)
_UNFORESEEN = ErrorOut.told(
    "internal_error",
    "Something went wrong inside Atelier.",
    "Try again. If it stays, look for this job's id in the log.",
)


class Stopped(Exception):
    """A handler ends with this when its attempt was asked to stop and nothing is left running."""


class TakenBack(Exception):
    """A handler ends with this when its attempt is to begin anew, and nothing is to be held against the job."""


class JobRunner:
    """`slots` says how many jobs of each lane run at once."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        handlers: Mapping[JobKind, Handler],
        slots: Mapping[str, int],
        settings: JobSettings,
        make_attempt: Any,
    ) -> None:
        self._database, self._queue = database, queue
        self._handlers: Mapping[str, Handler] = handlers
        self._slots, self._settings, self._make_attempt = slots, settings, make_attempt
        self.live: dict[str, Attempt] = {}
        self.pace = Pace()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._complete = Batch(self._commit_completed)
        self.is_stopping = False
        self._turned = time.monotonic()
        queue.wake = self._wake.set
        queue.stop_attempt = self.stop_attempt
        queue.bring = self.bring

    async def start(self) -> None:
        await self._recover()
        async with self._database.read() as session:
            for kind in self._handlers:
                for seconds in await store.recent_seconds(session, kind, LAST):
                    self.pace.note(kind, seconds)
        self._loops = [
            asyncio.create_task(self._claim_forever(), name="jobs.claim"),
            asyncio.create_task(self._beat_forever(), name="jobs.heartbeat"),
        ]
        self._wake.set()

    async def close(self) -> None:
        """Stop claiming, put what runs back in the line."""
        self.is_stopping = True
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        self._wake.set()

    def silent_seconds(self) -> float:
        """How long ago the queue last turned; what health looks at."""
        return time.monotonic() - self._turned

    def stop_attempt(self, job_id: str) -> None:
        """Ask a running attempt to stop. Its handler has `CANCEL_SECONDS`, then its task is cancelled."""
        attempt = self.live.get(job_id)
        if attempt is None or attempt.task is None or attempt.stop.is_set():
            return
        attempt.stop.set()
        asyncio.get_running_loop().call_later(CANCEL_SECONDS, attempt.task.cancel)

    def blocked(self, kind: JobKind) -> WaitingOut | None:
        """Why jobs of this kind cannot begin at present."""
        return self._handlers[kind].blocked()

    def seconds_until(self, kind: JobKind, ahead: int) -> float | None:
        """How long a waiting job will wait, with `ahead` others before it; None when nothing is known."""
        lane = self._handlers[kind].lane
        running = self._in_lane(lane)
        return self.pace.until(kind, ahead, self._slots[lane], (self._left(attempt) for attempt in running))

    def _in_lane(self, lane: str) -> list[Attempt]:
        return [one for one in self.live.values() if one.in_lane and self._handlers[one.job.kind].lane == lane]

    def _left(self, attempt: Attempt) -> float | None:
        if attempt.eta_seconds is not None:
            return attempt.eta_seconds
        usual = self.pace.mean(attempt.job.kind)
        return None if usual is None else max(0.0, usual - attempt.seconds)

    # ── claiming ──

    async def _claim_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                for lane, slots in self._slots.items():
                    await self._fill(lane, slots)
            except Exception:  # loop edge: a failing database must not end the queue
                log.exception("jobs.claim_failed")
                await asyncio.sleep(1)
                self._wake.set()

    async def _fill(self, lane: str, slots: int) -> None:
        kinds = [kind for kind, handler in self._handlers.items() if handler.lane == lane and handler.blocked() is None]
        free = slots - len(self._in_lane(lane))
        if not kinds or free <= 0:
            return
        moment = now()
        # A claim that the power failure forgets is a job that waits again: that is what would be made of it anyway.
        async with self._database.write_directly(durable=False) as connection:
            rows = direct.claim(connection, kinds, free, moment, moment + self._lease)
        if rows:
            failpoint("jobs.after_claim")
        for row in rows:
            self._begin(row)

    async def bring(self, lane: str, choose: Choose, joins: Any) -> list[Attempt]:
        """Begin waiting jobs ahead of their turn, to share a run that is under way: those that `choose` picks among the
        first of the line. They take no slot of the lane, and find `joins` in their attempt."""
        kinds = [kind for kind, handler in self._handlers.items() if handler.lane == lane]
        if self.is_stopping:
            return []
        moment = now()
        async with self._database.write_directly(durable=False) as connection:
            rows = direct.claim_chosen(connection, kinds, LOOK, choose, moment, moment + self._lease)
        if rows:
            failpoint("jobs.after_bring")
        return [self._begin(row, joins) for row in rows]

    def _begin(self, row: Job, joins: Any = None) -> Attempt:
        attempt = self._make_attempt(row)
        attempt.joins, attempt.in_lane, attempt.out_of_lane = joins, joins is None, self._wake.set
        self.live[row.id] = attempt
        if row.cancel_requested:
            attempt.stop.set()
        attempt.task = asyncio.create_task(self._run(attempt), name=row.id)
        self._tasks.add(attempt.task)
        self._queue.changed(row)
        return attempt

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self._settings.lease_seconds)

    # ── one attempt ──

    async def _run(self, attempt: Attempt) -> None:
        handler = self._handlers[attempt.job.kind]
        try:
            await self._run_to_end(attempt, handler)
        except Exception:  # loop edge: what could not be written is tried again, as the same job
            log.exception("jobs.end_not_written", job=attempt.job.id)
            with contextlib.suppress(Exception):  # if this fails too, the row's lease ends and it is taken back then
                await self._after_crash(attempt, handler, _NOT_WRITTEN)
        finally:
            attempt.over()
            self._let_go(attempt)
            self._tasks.discard(attempt.task)
            self._wake.set()

    def _let_go(self, attempt: Attempt) -> None:
        """Forget an attempt, but never the next one of the same job: that may have begun already."""
        if self.live.get(attempt.job.id) is attempt:
            del self.live[attempt.job.id]

    async def _run_to_end(self, attempt: Attempt, handler: Handler) -> None:
        try:
            publish = await handler.run(attempt)
        except Stopped:
            await self._end(attempt, handler, JobStatus.CANCELLED, {})
        except TakenBack as reason:
            await self._take_back(attempt, handler, crashed=False, message=f"Started again: {reason}"[:500])
        except asyncio.CancelledError:
            # Cancelled from outside: the user's patience with a stuck handler is over, or the server stops.
            if attempt.stop.is_set() and not self.is_stopping:
                await self._end(attempt, handler, JobStatus.CANCELLED, {})
            else:
                await asyncio.shield(
                    self._take_back(attempt, handler, crashed=False, message="Waits for the server to start again.")
                )
                raise
        except (WorkerDied, WorkerStartFailed) as error:
            await self._after_crash(attempt, handler, error)
        except AtelierError as error:
            await self._fail(attempt, handler, ErrorOut.of(error))
        except Exception:  # loop edge: an unforeseen error fails this job and no other
            log.exception("jobs.unexpected", job=attempt.job.id)
            await self._fail(attempt, handler, _UNFORESEEN)
        else:
            await self._publish(attempt, handler, publish)

    async def _publish(self, attempt: Attempt, handler: Handler, publish: Publish) -> None:
        attempt.over()
        if publish is nothing_to_publish:
            held = await self._complete(attempt)
        else:
            held = await self._end(attempt, handler, JobStatus.COMPLETED, {"message": None}, publish)
        if held:
            self.pace.note(attempt.job.kind, attempt.seconds / attempt.mates)
        else:
            log.warning("jobs.stale_attempt", job=attempt.job.id, attempt=attempt.job.attempt)

    async def _after_crash(self, attempt: Attempt, handler: Handler, error: AtelierError) -> None:
        """A worker ended under the job: once more, unless it was asked to stop or did that before (poison). When other
        jobs shared the run, nobody knows whose doing it was: none is condemned for it."""
        crash = getattr(error, "crash", True)
        if attempt.stop.is_set():
            await self._end(attempt, handler, JobStatus.CANCELLED, {})
        elif not crash and isinstance(error, WorkerDied):
            await self._take_back(attempt, handler, crashed=False, message=f"Started again: {error.message}"[:500])
        elif not crash:
            await self._fail(attempt, handler, ErrorOut.of(error))
        elif attempt.mates == 1 and attempt.job.crashes + 1 >= self._settings.max_crashes:
            await self._fail(attempt, handler, _poison(attempt.job, error.message, error.hint, error.log_tail))
        else:
            log.warning("jobs.crashed", job=attempt.job.id, cause=error.message)
            await self._take_back(attempt, handler, crashed=True, message=f"Started again: {error.message}"[:500])

    async def _fail(self, attempt: Attempt, handler: Handler, error: ErrorOut) -> None:
        log.info("jobs.failed", job=attempt.job.id, code=error.code, reason=error.message)
        await self._end(attempt, handler, JobStatus.FAILED, {"error": error.model_dump(), "message": None})

    async def _end(
        self,
        attempt: Attempt,
        handler: Handler,
        status: JobStatus,
        values: dict[str, Any],
        publish: Publish = nothing_to_publish,
    ) -> bool:
        """End the job and publish its rows in one transaction, if this attempt still holds it."""
        attempt.over()
        row = attempt.job
        async with self._database.write() as session:
            moment = now()
            progress = {"step": attempt.step, "total_steps": attempt.total_steps}
            held = await store.finish(session, attempt.fence, moment, status, {**progress, **values})
            if held:
                await publish(session)
                row.status, row.finished_at, row.error = status, moment, values.get("error")
                row.step, row.total_steps, row.message = attempt.step, attempt.total_steps, None
                if status is not JobStatus.COMPLETED:
                    # Once this is committed the job may be tried again: tidy up before, not beside the next attempt.
                    await self._tidy(handler, row.id)
                after_commit(session, lambda: self._let_go(attempt))
                after_commit(session, lambda: self._queue.changed(row))
            failpoint("jobs.before_finish_commit")
        failpoint("jobs.after_finish_commit")
        if held and status is JobStatus.COMPLETED:
            await self._tidy(handler, row.id)
        return held

    async def _tidy(self, handler: Handler, job_id: str) -> None:
        if handler.forget is None:
            return
        try:
            await handler.forget(job_id)
        except Exception:  # loop edge: what stays behind is swept later, the end of the job counts
            log.exception("jobs.not_tidied", job=job_id)

    async def _commit_completed(self, attempts: list[Attempt]) -> list[bool | Exception]:
        moment = now()
        async with self._database.write_directly() as connection:
            held: list[bool | Exception] = list(direct.complete(connection, [one.job for one in attempts], moment))
        for attempt, was_held in zip(attempts, held, strict=True):
            if was_held:
                attempt.job.status, attempt.job.finished_at, attempt.job.message = JobStatus.COMPLETED, moment, None
                self._let_go(attempt)
                self._queue.changed(attempt.job)
        return held

    async def _take_back(self, attempt: Attempt, handler: Handler, *, crashed: bool, message: str) -> None:
        attempt.over()
        row = attempt.job
        async with self._database.write() as session:
            if await store.requeue(session, attempt.fence, crashed=crashed, message=message):
                row.status, row.message, row.step, row.total_steps = JobStatus.QUEUED, message, 0, 0
                row.crashes += int(crashed)
                after_commit(session, lambda: self._let_go(attempt))
                after_commit(session, lambda: self._queue.changed(row))

    # ── leases and recovery ──

    async def _beat_forever(self) -> None:
        while True:
            await asyncio.sleep(min(HEARTBEAT_SECONDS, self._settings.lease_seconds / 4))
            try:
                await self._beat()
                self._turned = time.monotonic()
            except Exception:  # loop edge: a missed heartbeat is made good by the next
                log.exception("jobs.heartbeat_failed")

    async def _beat(self) -> None:
        until = now() + self._lease
        beats = [
            {
                "job": attempt.job.id,
                "fence": attempt.job.attempt,
                "until": until,
                "at_step": attempt.step,
                "of_steps": attempt.total_steps,
                "words": attempt.message,
            }
            for attempt in self.live.values()
        ]
        async with self._database.read() as session:
            lost = [row for row in await store.expired(session, now()) if row.id not in self.live]
        if not beats and not lost:
            return
        async with self._database.write(durable=False) as session:
            if beats:
                await store.heartbeat(session, beats)
            for row in lost:
                await self._give_back(session, row, crashed=True, message="Started again: its attempt fell silent.")
            after_commit(session, self._wake.set)

    async def _recover(self) -> None:
        """Nothing can be running when the server starts: what is marked so goes back in the line, or is cancelled when
        that had been asked."""
        async with self._database.write() as session:
            for row in await store.running(session):
                await self._give_back(session, row, crashed=False, message="Started again after the server restarted.")
                log.info("jobs.recovered", job=row.id, cancelled=row.cancel_requested)

    async def _give_back(self, session: AsyncSession, row: Job, *, crashed: bool, message: str) -> None:
        """End or requeue a running row that no attempt of this process holds."""
        fence, moment = Fence(row.id, row.attempt), now()
        if row.cancel_requested:
            held = await store.finish(session, fence, moment, JobStatus.CANCELLED, {})
            row.status, row.finished_at = JobStatus.CANCELLED, moment
        elif crashed and row.crashes + 1 >= self._settings.max_crashes:
            silent = Said("Its attempts fell silent.", "job.fell_silent")
            error = _poison(row, silent, "If it stays, look for this job's id in the log.", None).model_dump()
            held = await store.finish(session, fence, moment, JobStatus.FAILED, {"error": error, "message": None})
            row.status, row.finished_at, row.error = JobStatus.FAILED, moment, error
        else:
            held = await store.requeue(session, fence, crashed=crashed, message=message)
            row.status, row.message, row.step, row.total_steps = JobStatus.QUEUED, message, 0, 0
        if held:
            after_commit(session, lambda: self._queue.changed(row))


def _poison(job: Job, message: str, hint: str, log_tail: str | None) -> ErrorOut:
    """Why a job is not tried once more. `cause` is the code of the sentence that says what broke it off."""
    times = job.crashes + 1
    text = f"It was broken off {times} times, so it is not tried again. {message}"
    cause = {"cause": message.code, **message.params} if isinstance(message, Said) else {}
    return ErrorOut.told("poison", Said(text, "poison", count=times, **cause), hint, log_tail)
