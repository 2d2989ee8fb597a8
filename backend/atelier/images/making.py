"""Making a task's files on a worker: sized, leased, followed, and once more when memory ran out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog
from engines import protocol

from atelier.errors import AtelierError, NotEnoughMemory
from atelier.images.tasks import Task, added_bytes, work_of
from atelier.jobs.attempt import Attempt
from atelier.jobs.driving import until_stopped
from atelier.jobs.runner import Stopped
from atelier.models.sizing import Need, Sizing
from atelier.runtime import exits, processes
from atelier.runtime.exits import WorkerLost
from atelier.runtime.pool import WorkerPool
from atelier.runtime.waiting import Waiting, gigabytes
from atelier.runtime.worker import Worker
from atelier.said import Said
from atelier.shapes import PreviewOut
from atelier.tables import ModelRow

log = structlog.get_logger("atelier.images")


class GenerationFailed(AtelierError):
    """The engine ended the run with an error of its own."""

    def __init__(self, update: protocol.Failed) -> None:
        super().__init__(Said(update.message, update.sentence_code, **update.params), hint=update.hint)
        self.code = update.code


class OutOfMemory(GenerationFailed):
    """The run asked for more memory than there was."""


class Maker:
    """Runs the tasks of attempts on leased workers."""

    def __init__(self, sizing: Sizing, pool: WorkerPool) -> None:
        self._sizing, self._pool = sizing, pool

    async def make(self, attempt: Attempt, model: ModelRow, task: Task) -> protocol.Done:
        """What the engine made. Raises Stopped, GenerationFailed, WorkerDied, WorkerStartFailed."""
        return await until_stopped(attempt, task.task_id, lambda holding: self._drive(attempt, model, task, holding))

    async def _drive(self, attempt: Attempt, model: ModelRow, task: Task, holding: list[Worker]) -> protocol.Done:
        """Once, and when memory ran out once more with a higher estimate, for which more has to make room. Raises
        Stopped, GenerationFailed, WorkerDied."""
        need = await self._need(model, task)
        try:
            return await self._once(attempt, need, task, holding)
        except OutOfMemory:
            if attempt.stop.is_set():
                raise Stopped from None
            holding.clear()
            log.warning("images.out_of_memory", job=attempt.job.id, bytes=need.spec.bytes_needed)
            attempt.waits("memory", Said("starts again with more memory: the estimate was too low", "waiting.again"))
            again = await self._need(model, task)
            try:
                return await self._once(attempt, again, task, holding)
            except (OutOfMemory, NotEnoughMemory):
                raise _too_large(again, task) from None

    async def _need(self, model: ModelRow, task: Task) -> Need:
        work, added = work_of(task), await asyncio.to_thread(added_bytes, task)
        need = await asyncio.to_thread(self._sizing.need, model, work, steps=task.steps, outputs=len(task.seeds))
        return replace(need, spec=replace(need.spec, bytes_needed=need.spec.bytes_needed + added)) if added else need

    async def _once(self, attempt: Attempt, need: Need, task: Task, holding: list[Worker]) -> protocol.Done:
        """One run on one worker; what it took is remembered. Raises OutOfMemory besides what `_drive` raises."""

        def tell(what: Waiting) -> None:
            attempt.waits(what.reason, what.words, what.position, what.seconds)

        async with self._pool.lease(
            need.spec, priority=attempt.job.priority, waiting=tell, run_seconds=need.run_expected
        ) as worker:
            holding.append(worker)
            self._sizing.note_load(need, worker)
            kills_before = processes.oom_kills()
            try:
                async for update in worker.run(task):
                    match update:
                        case protocol.Progress():
                            previews = [_preview(p) for p in update.previews]
                            attempt.progress(update.step, update.total, update.message, previews)
                        case protocol.Done():
                            self._sizing.note_run(need, worker, update)
                            return update
                        case protocol.Failed(code="out_of_memory"):
                            self._sizing.note_out_of_memory(need, worker)
                            raise OutOfMemory(update)
                        case protocol.Failed():
                            raise GenerationFailed(update)
                        case protocol.Cancelled():
                            raise Stopped
            except WorkerLost as lost:
                by_kernel = lost.cause.code == "killed" and processes.oom_kills() > kills_before
                if by_kernel or lost.cause.code in exits.OUT_OF_MEMORY:
                    self._sizing.note_out_of_memory(need, worker)  # the job's next attempt asks for more
                raise
        raise GenerationFailed(
            protocol.Failed(code="no_result", message="The engine ended without a result.", hint="Try again.")
        )


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


def _preview(preview: protocol.Preview) -> PreviewOut:
    return PreviewOut(index=preview.index, data_url=f"data:image/jpeg;base64,{preview.jpeg}", final=preview.final)
