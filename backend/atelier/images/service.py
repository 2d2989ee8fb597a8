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
from atelier.errors import AtelierError, Complaints, ModelNotFound
from atelier.events import EventBus, ImagesAdded
from atelier.failpoints import failpoint
from atelier.images import additions, store, upscalers
from atelier.images.asking import TASKS, Wanted, resolve
from atelier.images.finishing import Gone, OnProgress, finished
from atelier.images.inputs import InputStore
from atelier.images.making import GenerationFailed, Maker
from atelier.images.prompts import PromptBook
from atelier.images.schemas import AcceptedOut, GenerationIn, GenerationOut
from atelier.images.tasks import task_of
from atelier.images.typed import typed
from atelier.jobs.attempt import Attempt, Publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.service import JobService
from atelier.models.registry import ModelRegistry
from atelier.models.sizing import Sizing
from atelier.runtime.pool import WorkerPool
from atelier.said import Said
from atelier.shapes import ImageOut, JobOut
from atelier.storage import Storage, publish
from atelier.tables import ImageRow, JobKind, ModelRow

log = structlog.get_logger("atelier.images")


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
        prompts: PromptBook,
        settings: RuntimeSettings,
    ) -> None:
        self._database, self._storage, self._registry = database, storage, registry
        self._queue, self._jobs, self._pool, self._bus, self._settings = queue, jobs, pool, bus, settings
        self._inputs, self._prompts, self.maker = inputs, prompts, Maker(sizing, pool, queue)

    async def prepare(self) -> None:
        """Import the engine's libraries ahead of the first picture, once somebody looks at the page. Failing is no
        harm: the first picture tries again, and says why it cannot be made."""
        try:
            await self._pool.prepare("fake" if self._settings.fake_engine else "diffusers_image")
        except AtelierError as error:
            log.info("images.not_prepared", reason=error.message)

    # ── asking ──

    async def ask(
        self, actor: Actor, wanted: Wanted, idempotency_key: str | None = None, priority: int = 0
    ) -> AcceptedOut:
        """Accept a request: durable when this returns. Raises what `decide` raises, TooManyJobs, Conflict."""
        _, resolved = await self.decide(actor, wanted)
        request = {**wanted.model_dump(exclude_unset=True), "resolved": resolved}
        title = _title(resolved)
        row = await self._queue.submit(
            NewJob(JobKind.IMAGE_GENERATE, actor.id, title, request, priority, idempotency_key=idempotency_key)
        )
        if isinstance(wanted, GenerationIn) and wanted.prompt:
            await self._prompts.note(actor, wanted.prompt, wanted.negative_prompt)
        return AcceptedOut(job_id=row.id, status=row.status, position=await self._jobs.position(row.id))

    async def decide(self, actor: Actor, wanted: Wanted) -> tuple[ModelRow, dict[str, Any]]:
        """The model, and everything that the request left open. Raises ModelNotFound, ImageNotFound, InputNotFound and
        BadRequest; where several fields are wrong, one that names each."""
        model = await self._registry.require(actor, wanted.model, _model_task(TASKS[type(wanted)]))
        if not await asyncio.to_thread(_lies_there, self._registry.path_of(model)):
            raise ModelNotFound(
                Said(f"The files of the model {model.key!r} are missing.", "model.files_missing", model=model.key),
                field="model",
                hint="Choose another model, or restore its folder.",
            )
        complaints = Complaints()
        styled = wanted
        with complaints.heard():
            styled = await self._prompts.applied(actor, wanted)
        # Stands in for what `resolve` makes of them, should it find something wrong.
        resolved = styled.model_dump(include={"prompt", "negative_prompt", "hires"})
        with complaints.heard():
            resolved = await resolve(actor, styled, model, self._inputs)
        if isinstance(styled, GenerationIn):
            with complaints.heard():
                resolved = await additions.resolve(actor, styled, resolved, model, self._registry)
            with complaints.heard():
                resolved = await upscalers.resolve(actor, styled, resolved, self._registry)
        complaints.raise_any()
        if isinstance(wanted, GenerationIn) and (asked := typed(wanted, resolved)):
            resolved["asked"] = asked
        return model, resolved

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
        uses = await additions.uses_of(owner, resolved, self._registry)
        task = await task_of(attempt, model, folder, self._inputs, uses)
        attempt.progress(0, task.steps * len(task.seeds))
        done = await self.maker.make(attempt, model, task)
        await asyncio.to_thread(self._move, attempt.job.id, folder, done.files)
        rows = [row_of(attempt, model, file, resolved, file.index) for file in done.files]

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

    def _move(self, job_id: str, folder: Path, files: list[protocol.File]) -> None:
        """Check what the engine wrote and rename it to its final place. Blocking."""
        self.check_files(folder, files)
        names = [name for file in files for name in (file.path, file.thumbnail)]
        self.put_in_place(job_id, [(folder / Path(name).name, Path(name).name) for name in names])

    def check_files(self, folder: Path, files: list[protocol.File]) -> None:
        """Raises GenerationFailed when a file is not what the engine said of it. Blocking."""
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

    def put_in_place(self, job_id: str, moves: list[tuple[Path, str]]) -> None:
        """Rename files to where the job's pictures lie, under these names. Blocking."""
        target = self._storage.job_images(job_id)
        failpoint("images.before_rename")
        publish(
            [(source, target / name) for source, name in moves],
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


def row_of(attempt: Attempt, model: ModelRow, file: protocol.File, resolved: dict[str, Any], index: int) -> ImageRow:
    """The row of a picture that an attempt made, as number `index` of its job."""
    return ImageRow(
        id=new_id("img"),
        owner_id=attempt.job.owner_id,
        job_id=attempt.job.id,
        index=index,
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


def _title(resolved: dict[str, Any]) -> str:
    """What the list of jobs calls it: its prompt, or for what goes by the picture alone the task."""
    return resolved["prompt"] or resolved["task"].replace("_", " ").capitalize()


def _model_task(task: str) -> str:
    """What a model must do to be asked for this."""
    return "video" if task == "image_to_video" else "image"


def _recipe(file: protocol.File, resolved: dict[str, Any]) -> dict[str, Any]:
    recipe = {name: value for name, value in resolved.items() if name not in {"seeds", "subseeds", "parent_id"}}
    moving = {"frames": file.frames, "fps": file.fps} if file.fps else {}
    asked = {"task": resolved["task"]}  # an engine knows outpainting and upscaling as what they are made of
    return {**recipe, "seed": file.seed, **file.recipe, **moving, **asked}


def _lies_there(path: Path) -> bool:
    """A folder in diffusers' layout, or a checkpoint in one file."""
    return path.is_file() or (path / "model_index.json").is_file()
