"""Asking for pictures, and making them: the handler of `image.generate` jobs.

ask ──> job row committed ──> runner claims ──> worker leased ──> files in staging/<job>/<attempt>
    ──> renamed to images/<job>/ ──> image rows and the job's end in one transaction ──> events
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import structlog
from engines import protocol
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor, Role
from atelier.clock import new_id, now
from atelier.config import RuntimeSettings
from atelier.db import Database, after_commit
from atelier.errors import AtelierError, ModelNotFound, NotEnoughMemory
from atelier.events import EventBus, ImagesAdded
from atelier.failpoints import failpoint
from atelier.images import store
from atelier.images.asking import TASKS, Wanted, resolve
from atelier.images.finishing import Gone, OnProgress, finished
from atelier.images.inputs import InputStore
from atelier.images.schemas import AcceptedOut, GenerationOut
from atelier.images.tasks import Task, task_of, work_of
from atelier.jobs.attempt import Attempt, Publish
from atelier.jobs.driving import until_stopped
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.runner import Stopped
from atelier.jobs.service import JobService
from atelier.models.registry import ModelRegistry
from atelier.models.sizing import Need, Sizing
from atelier.runtime import exits, processes
from atelier.runtime.exits import WorkerLost
from atelier.runtime.pool import WorkerPool
from atelier.runtime.waiting import Waiting, gigabytes
from atelier.runtime.worker import Worker
from atelier.said import Said
from atelier.shapes import ImageOut, JobOut, PreviewOut
from atelier.storage import Storage, publish
from atelier.tables import ImageRow, JobKind, ModelRow

log = structlog.get_logger("atelier.images")


class GenerationFailed(AtelierError):
    """The engine ended the run with an error of its own."""

    def __init__(self, update: protocol.Failed) -> None:
        super().__init__(Said(update.message, update.sentence_code, **update.params), hint=update.hint)
        self.code = update.code


class OutOfMemory(GenerationFailed):
    """The run asked for more memory than there was."""


class ImageService:
    """Turns a request into a job, and an attempt of that job into published pictures."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        registry: ModelRegistry,
        sizing: Sizing,
        queue: JobQueue,
        jobs: JobService,
        pool: WorkerPool,
        bus: EventBus,
        inputs: InputStore,
        settings: RuntimeSettings,
    ) -> None:
        self._database, self._storage, self._registry, self._sizing = database, storage, registry, sizing
        self._queue, self._jobs, self._pool, self._bus, self._settings = queue, jobs, pool, bus, settings
        self._inputs = inputs

    async def prepare(self) -> None:
        """Import the engine's libraries ahead of the first picture, once somebody looks at the page. Failing is no
        harm: the first picture tries again, and says why it cannot be made."""
        try:
            await self._pool.prepare("fake" if self._settings.fake_engine else "diffusers_image")
        except AtelierError as error:
            log.info("images.not_prepared", reason=error.message)

    # ── asking ──

    async def ask(self, actor: Actor, wanted: Wanted, idempotency_key: str | None = None) -> AcceptedOut:
        """Accept a request: durable when this returns. Raises ModelNotFound, BadRequest, TooManyJobs, Conflict,
        ImageNotFound, InputNotFound."""
        model = await self._registry.require(actor, wanted.model, _model_task(TASKS[type(wanted)]))
        if not await asyncio.to_thread((self._registry.path_of(model) / "model_index.json").is_file):
            raise ModelNotFound(
                Said(f"The files of the model {model.key!r} are missing.", "model.files_missing", model=model.key),
                field="model",
                hint="Choose another model, or restore its folder.",
            )
        resolved = await resolve(actor, wanted, model, self._inputs)
        request = {**wanted.model_dump(exclude_unset=True), "resolved": resolved}
        row = await self._queue.submit(
            NewJob(JobKind.IMAGE_GENERATE, actor.id, resolved["prompt"], request, idempotency_key=idempotency_key)
        )
        return AcceptedOut(job_id=row.id, status=row.status, position=await self._jobs.position(row.id))

    async def get(self, actor: Actor, job_id: str) -> GenerationOut:
        job = await self._jobs.get(actor, job_id, JobKind.IMAGE_GENERATE)
        return _generation(job)

    async def finish(
        self, actor: Actor, job_id: str, gone: Gone | None = None, on_progress: OnProgress | None = None
    ) -> GenerationOut:
        """For doors that answer with the pictures: the job once it has completed. `gone` says whether the client has
        hung up (then the job is cancelled), `on_progress` hears how far it is. Raises JobNotFound, JobFailed, and
        Conflict when it was cancelled."""
        return _generation(await finished(self._jobs, self._bus, actor, job_id, gone, on_progress))

    # ── making ──

    async def run(self, attempt: Attempt) -> Publish:
        """The handler: generate, move the files to their place, answer how to publish their rows."""
        owner = Actor(attempt.job.owner_id, "", Role.USER)
        resolved = attempt.job.request["resolved"]
        model = await self._registry.require(owner, resolved["model"], _model_task(resolved["task"]))
        folder = await asyncio.to_thread(self._storage.make_attempt_folder, attempt.job.id, attempt.job.attempt)
        task = await task_of(attempt, model, folder, self._inputs)
        attempt.progress(0, task.steps * len(task.seeds))
        done = await until_stopped(attempt, task.task_id, lambda holding: self._drive(attempt, model, task, holding))
        await asyncio.to_thread(self._move, attempt.job.id, folder, done.files)
        rows = [_image_row(attempt, model, file, resolved) for file in done.files]

        async def publish_rows(session: AsyncSession) -> None:
            session.add_all(rows)
            await session.flush()
            images = [ImageOut.of(row) for row in rows]
            self._jobs.publish_images(attempt.job.id, images)
            event = ImagesAdded(job_id=attempt.job.id, images=images)
            after_commit(session, lambda: self._bus.publish(event, owner=attempt.job.owner_id))

        return publish_rows

    async def forget(self, job_id: str) -> None:
        """Drop what an ended job left in staging, and files that were moved but never got a row."""
        async with self._database.read() as session:
            rows = await store.files_of(session, [job_id])
        kept = {(job_id, name) for _, index, form in rows for name in (f"{index}.{form}", f"{index}.thumb.webp")}
        await asyncio.to_thread(self._storage.drop_staging, job_id)
        await asyncio.to_thread(self._storage.keep_only, [job_id], kept)

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
        work = work_of(task)
        return await asyncio.to_thread(self._sizing.need, model, work, steps=task.steps, outputs=len(task.seeds))

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

    def _move(self, job_id: str, folder: Path, files: list[protocol.File]) -> None:
        """Check what the engine wrote and rename it to its final place. Blocking."""
        for file in files:
            path = folder / Path(file.path).name
            with path.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
            if digest != file.sha256:
                raise GenerationFailed(
                    protocol.Failed(
                        code="file_damaged",
                        message="A picture was damaged while it was written.",
                        hint="Try again; check the disk.",
                    )
                )
        target = self._storage.job_images(job_id)
        names = [name for file in files for name in (file.path, file.thumbnail)]
        failpoint("images.before_rename")
        publish(
            [(folder / Path(name).name, target / Path(name).name) for name in names],
            after_each=lambda: failpoint("images.mid_rename"),
        )
        failpoint("images.after_rename")


def _generation(job: JobOut) -> GenerationOut:
    return GenerationOut(
        job_id=job.id,
        status=job.status,
        progress=job.progress,
        step=job.step,
        total_steps=job.total_steps,
        images=job.images,
        error=job.error,
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


def _image_row(attempt: Attempt, model: ModelRow, file: protocol.File, resolved: dict[str, Any]) -> ImageRow:
    return ImageRow(
        id=new_id("img"),
        owner_id=attempt.job.owner_id,
        job_id=attempt.job.id,
        index=file.index,
        format=resolved["format"],
        width=file.width,
        height=file.height,
        bytes=file.bytes,
        sha256=file.sha256,
        seed=file.seed,
        model=model.key,
        prompt=resolved["prompt"],
        recipe=_recipe(file, resolved),
        kind="video" if resolved["task"] == "image_to_video" else "image",
        parent_id=resolved.get("parent_id"),
        created_at=now(),
    )


def _model_task(task: str) -> str:
    """What a model must do to be asked for this."""
    return "video" if task == "image_to_video" else "image"


def _recipe(file: protocol.File, resolved: dict[str, Any]) -> dict[str, Any]:
    recipe = {name: value for name, value in resolved.items() if name not in {"seeds", "parent_id"}}
    moving = {"frames": file.frames, "fps": file.fps} if file.fps else {}
    return {**recipe, "seed": file.seed, **file.recipe, **moving}
