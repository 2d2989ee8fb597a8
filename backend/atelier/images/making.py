"""Making a task's files on a worker: sized, leased, followed, and once more when memory ran out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from weakref import WeakKeyDictionary

import structlog
from engines import protocol

from atelier.clock import now
from atelier.errors import AtelierError, NotEnoughMemory, WorkerStartFailed
from atelier.images.sharing import AGAIN, Member, Ride, choose, likeness
from atelier.images.tasks import Task, added_bytes, work_of
from atelier.jobs.attempt import Attempt
from atelier.jobs.queue import JobQueue
from atelier.jobs.runner import Stopped, TakenBack
from atelier.models.batching import BatchProfile
from atelier.models.sizing import Need, Sizing
from atelier.runtime import exits, processes
from atelier.runtime.exits import WorkerLost
from atelier.runtime.pool import WorkerPool
from atelier.runtime.waiting import Waiting, gigabytes, starts_again
from atelier.runtime.worker import Worker
from atelier.said import Said
from atelier.shapes import PreviewOut
from atelier.tables import Job, JobKind, ModelRow

log = structlog.get_logger("atelier.images")

LANE = "device"
WINDOW_SECONDS = 0.02
"""So long the next of those expected is waited for."""

PATIENCE_SECONDS = 0.1
PATIENCE_SHARE = 0.2
"""All together are waited for no longer than this share of a run alone."""

COMES_BACK = timedelta(seconds=0.5)
"""Whoever got a picture so long ago is expected to ask for the next."""


class GenerationFailed(AtelierError):
    """The engine ended the run with an error of its own."""

    def __init__(self, update: protocol.Failed) -> None:
        super().__init__(Said(update.message, update.sentence_code, **update.params), hint=update.hint)
        self.code = update.code


class OutOfMemory(GenerationFailed):
    """The run asked for more memory than there was."""


class Maker:
    """Runs the tasks of attempts on leased workers, several of them together where that pays."""

    def __init__(self, sizing: Sizing, pool: WorkerPool, queue: JobQueue) -> None:
        self._sizing, self._pool, self._queue = sizing, pool, queue
        self._profile = BatchProfile(sizing.learning)
        self._alone: set[str] = set()
        self._lately: dict[str, tuple[datetime, int]] = {}
        self._warm: WeakKeyDictionary[Worker, set[tuple[int, int, int]]] = WeakKeyDictionary()

    async def make(self, attempt: Attempt, model: ModelRow, task: Task) -> protocol.Done:
        """What the engine made. Raises Stopped, TakenBack, GenerationFailed, WorkerDied, WorkerStartFailed."""
        joined = attempt.joins
        if isinstance(joined, Ride):
            if joined.model_id != model.id:
                raise TakenBack(AGAIN)
            return await joined.join(attempt, task)
        ride = Ride(model.id, likeness(attempt.job.request) if self._may_share(attempt, model) else None)
        try:
            return await ride.begin(attempt, task, self._drive(ride, attempt, model, task))
        finally:
            if attempt.mates == 1:
                self._alone.discard(attempt.job.id)

    def _may_share(self, attempt: Attempt, model: ModelRow) -> bool:
        job = attempt.job
        fit = job.kind == JobKind.IMAGE_GENERATE and job.crashes == 0 and job.id not in self._alone
        return fit and self._sizing.shares(model)

    async def _drive(self, ride: Ride, attempt: Attempt, model: ModelRow, task: Task) -> None:
        """Once, and when memory ran out once more with a higher estimate, for which more has to make room. Raises
        Stopped, GenerationFailed, WorkerDied."""
        need = await self._need(model, task)
        try:
            return await self._once(ride, attempt, need, model)
        except (OutOfMemory, WorkerStartFailed) as error:
            if isinstance(error, WorkerStartFailed) and not self._sizing.note_failed_start(need, error):
                raise
            if attempt.stop.is_set():
                raise Stopped from None
            ride.worker = ride.task_id = ride.alike = None
            log.warning("images.out_of_memory", job=attempt.job.id, bytes=need.spec.bytes_needed)
            waits = starts_again()
            attempt.waits(waits.reason, waits.words)
            again = await self._need(model, task)
            try:
                return await self._once(ride, attempt, again, model)
            except (OutOfMemory, NotEnoughMemory, WorkerStartFailed) as second:
                if isinstance(second, WorkerStartFailed) and not self._sizing.note_failed_start(again, second):
                    raise
                raise _too_large(again, task) from None

    async def _need(self, model: ModelRow, task: Task, together: int = 1, outputs: int = 0) -> Need:
        work, added = work_of(task), await asyncio.to_thread(added_bytes, task, self._sizing)
        outputs = outputs or len(task.seeds)
        need = await asyncio.to_thread(
            self._sizing.need, model, work, steps=task.steps, outputs=outputs, together=together
        )
        return replace(need, spec=replace(need.spec, bytes_needed=need.spec.bytes_needed + added)) if added else need

    async def _once(self, ride: Ride, attempt: Attempt, need: Need, model: ModelRow) -> None:
        """One run on one worker; what it took is remembered. Raises OutOfMemory besides what `_drive` raises."""

        def tell(what: Waiting) -> None:
            attempt.waits(what.reason, what.words, what.position, what.seconds, what.holders)

        async with self._pool.lease(
            need.spec, priority=attempt.job.priority, waiting=tell, run_seconds=need.run_expected
        ) as worker:
            ride.worker = worker
            self._sizing.note_load(need, worker)
            together = await self._board(ride, need, model, worker)
            ride.leaves()
            kills_before = processes.oom_kills()
            try:
                if len(ride.members) == 1:
                    results = await self._run_one(ride, need, worker)
                else:
                    need = await self._need(model, ride.members[0].task, together, ride.pictures)
                    results = await self._run_together(ride, need, worker, together)
            except WorkerLost as lost:
                if exits.for_want_of_memory(lost.cause, kills_before):
                    self._sizing.note_out_of_memory(need, worker)  # the job's next attempt asks for more
                raise
        if ride.alike is not None:
            self._lately = {ride.alike: (now(), len(results))}
        ride.ends(results)

    # ── who comes along ──

    async def _board(self, ride: Ride, need: Need, model: ModelRow, worker: Worker) -> int:
        """Bring in those of the line that may share this run; how many pictures may go through at once."""
        if ride.alike is None or ride.pictures > (most := await self._most(need, model, worker, ride)):
            return need.work.batch
        begun = latest = time.monotonic()
        patience = min(PATIENCE_SECONDS, PATIENCE_SHARE * (need.run_expected or 1.0))
        while (room := most - ride.pictures) > 0:
            brought = await self._queue.bring(LANE, partial(self._choose, ride, room), ride)
            await ride.boarded(brought)
            moment = time.monotonic()
            latest = moment if brought else latest
            if (
                len(ride.members) >= self._expected(ride)
                or moment - latest > WINDOW_SECONDS
                or moment - begun > patience
            ):
                break
            await asyncio.sleep(WINDOW_SECONDS / 4)
        together = ride.pictures if len(ride.members) > 1 else need.work.batch
        while together > need.work.batch:
            grown = await self._need(model, ride.members[0].task, together, ride.pictures)
            if self._pool.grow(worker, grown.spec.bytes_needed, grown.run_expected):
                break
            together //= 2
        return max(need.work.batch, together)

    def _choose(self, ride: Ride, room: int, waiting: list[Job]) -> list[Job]:
        return choose(waiting, ride.alike or "", room, self._alone)

    async def _most(self, need: Need, model: ModelRow, worker: Worker, ride: Ride) -> int:
        """How many pictures pay to be made at once and have room in memory."""
        most = self._profile.most(need.subject, need.work)
        while most > 1:
            grown = await self._need(model, ride.members[0].task, most, most)
            if self._pool.can_grow(worker, grown.spec.bytes_needed):
                break
            most //= 2
        return most

    def _expected(self, ride: Ride) -> int:
        """How many are likely to be in the next run: who asked while the last one was under way, and those who were
        in it, once they have seen what came of it."""
        ended, count = self._lately.get(ride.alike or "", (now(), 0))
        if now() - ended > COMES_BACK:
            return 1
        return count + sum(member.attempt.job.created_at < ended for member in ride.members)

    # ── the run ──

    async def _run_one(self, ride: Ride, need: Need, worker: Worker) -> dict[str, protocol.Done | Exception]:
        member = ride.members[0]
        ride.task_id = member.task.task_id
        async for update in worker.run(member.task):
            match update:
                case protocol.Progress():
                    previews = [_preview(p) for p in update.previews]
                    member.attempt.progress(update.step, update.total, update.message, previews)
                case protocol.Done():
                    self._sizing.note_run(need, worker, update)
                    self._note_pace(need, worker, need.work.batch, len(member.task.seeds), member.task.steps, update)
                    return {member.task.task_id: update}
                case protocol.Failed(code="out_of_memory"):
                    self._sizing.note_out_of_memory(need, worker)
                    raise OutOfMemory(update)
                case protocol.Failed():
                    raise GenerationFailed(update)
                case protocol.Cancelled():
                    raise Stopped
        raise GenerationFailed(_no_result())

    async def _run_together(
        self, ride: Ride, need: Need, worker: Worker, together: int
    ) -> dict[str, protocol.Done | Exception]:
        members = list(ride.members)
        steps, pictures = members[0].task.steps, ride.pictures
        ride.task_id = f"{members[0].task.task_id}-together"
        log.info("images.together", jobs=[member.attempt.job.id for member in members], pictures=pictures)
        batch = protocol.Batch(
            task_id=ride.task_id,
            tasks=[m.task for m in members if isinstance(m.task, protocol.TextToImage)],
            at_once=together,
        )
        async for update in worker.run(batch):
            match update:
                case protocol.Progress():
                    _share_progress(members, update)
                case protocol.BatchDone():
                    if update.at_once < together:
                        self._profile.note_memory(need.subject, need.work, update.at_once)
                    else:
                        self._sizing.note_run(need, worker, update)
                        self._note_pace(need, worker, together, pictures, steps, update)
                    return {task_id: _result(end) for task_id, end in update.ends.items()}
                case protocol.Failed():
                    log.warning("images.not_together", code=update.code, reason=update.message)
                    self._alone.update(member.attempt.job.id for member in members)
                    raise TakenBack(AGAIN)
                case protocol.Cancelled():
                    raise Stopped
        raise TakenBack(AGAIN)

    def _note_pace(
        self,
        need: Need,
        worker: Worker,
        together: int,
        pictures: int,
        steps: int,
        done: protocol.Done | protocol.BatchDone,
    ) -> None:
        """Remember how fast it was, but for the first of its kind on this worker: that one warmed it up."""
        kind = (need.work.width, need.work.height, together)
        warm = self._warm.setdefault(worker, set())
        if kind in warm:
            self._profile.note(need.subject, need.work, together, pictures * steps, done.seconds)
        warm.add(kind)


def _share_progress(members: list[Member], update: protocol.Progress) -> None:
    """Each member hears its part: all go through together, so all are equally far."""
    first = 0
    for member in members:
        count = len(member.task.seeds)
        own = member.task.steps * count
        mine = [_preview(p, p.index - first) for p in update.previews if first <= p.index < first + count]
        if not member.end.done():
            member.attempt.progress(update.step * own // max(1, update.total), own, update.message, mine)
        first += count


def _result(end: protocol.Done | protocol.Failed | protocol.Cancelled) -> protocol.Done | Exception:
    match end:
        case protocol.Failed(code="out_of_memory"):
            return OutOfMemory(end)
        case protocol.Failed():
            return GenerationFailed(end)
        case protocol.Cancelled():
            return Stopped()
    return end


def _no_result() -> protocol.Failed:
    return protocol.Failed(code="no_result", message="The engine ended without a result.", hint="Try again.")


def _too_large(need: Need, task: Task) -> OutOfMemory:
    """What is said after the second time, with what would help."""
    had = gigabytes(need.spec.bytes_needed)
    words = Said(
        f"{task.width} × {task.height} pixels do not fit into memory: {had} were kept for them the second time, and it "
        "was not enough.",
        "memory.ran_out_twice",
        width=task.width,
        height=task.height,
        bytes=need.spec.bytes_needed,
    )
    hint = "Ask for smaller or fewer pictures; POST /api/plan says what would help, and how much."
    error = OutOfMemory(protocol.Failed(code="out_of_memory", message=words, hint=hint))
    error.message = words
    return error


def _preview(preview: protocol.Preview, index: int | None = None) -> PreviewOut:
    index = preview.index if index is None else index
    return PreviewOut(index=index, data_url=f"data:image/jpeg;base64,{preview.jpeg}", final=preview.final)
