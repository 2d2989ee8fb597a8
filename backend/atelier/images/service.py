"""Asking for pictures, and making them: the handler of `image.generate` jobs.

ask ──> job row committed ──> runner claims ──> worker leased ──> files in staging/<job>/<attempt>
    ──> renamed to images/<job>/ ──> image rows and the job's end in one transaction ──> events
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from pathlib import Path
from typing import Any

import structlog
from engines import protocol
from engines.schedulers import SCHEDULERS, choices_for
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor, Role
from atelier.clock import new_id, now
from atelier.config import RuntimeSettings
from atelier.db import Database, after_commit
from atelier.errors import AtelierError, BadRequest, ModelNotFound
from atelier.events import EventBus, ImagesAdded
from atelier.failpoints import failpoint
from atelier.images import store
from atelier.images.making import GenerationFailed, Maker
from atelier.images.schemas import MAX_SEED, AcceptedOut, GenerationOut, TextToImageIn
from atelier.jobs.attempt import Attempt, Publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.service import JobService
from atelier.models.families import sampling
from atelier.models.registry import ModelRegistry
from atelier.models.schemas import ImageDefaults, ImageLimits
from atelier.models.sizing import Sizing
from atelier.runtime.pool import WorkerPool
from atelier.said import Said
from atelier.shapes import ImageOut
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
        settings: RuntimeSettings,
    ) -> None:
        self._database, self._storage, self._registry = database, storage, registry
        self._queue, self._jobs, self._pool, self._bus, self._settings = queue, jobs, pool, bus, settings
        self._maker = Maker(sizing, pool, queue)

    async def prepare(self) -> None:
        """Import the engine's libraries ahead of the first picture, once somebody looks at the page. Failing is no
        harm: the first picture tries again, and says why it cannot be made."""
        try:
            await self._pool.prepare("fake" if self._settings.fake_engine else "diffusers_image")
        except AtelierError as error:
            log.info("images.not_prepared", reason=error.message)

    # ── asking ──

    async def ask(self, actor: Actor, wanted: TextToImageIn, idempotency_key: str | None) -> AcceptedOut:
        """Accept a request: durable when this returns. Raises ModelNotFound, BadRequest, TooManyJobs, Conflict."""
        model = await self._registry.require(actor, wanted.model, "image")
        if not await asyncio.to_thread((self._registry.path_of(model) / "model_index.json").is_file):
            raise ModelNotFound(
                Said(f"The files of the model {model.key!r} are missing.", "model.files_missing", model=model.key),
                field="model",
                hint="Choose another model, or restore its folder.",
            )
        resolved = _resolve(wanted, model)
        request = {**wanted.model_dump(exclude_unset=True), "resolved": resolved}
        row = await self._queue.submit(
            NewJob(JobKind.IMAGE_GENERATE, actor.id, wanted.prompt, request, idempotency_key=idempotency_key)
        )
        return AcceptedOut(job_id=row.id, status=row.status, position=await self._jobs.position(row.id))

    async def get(self, actor: Actor, job_id: str) -> GenerationOut:
        job = await self._jobs.get(actor, job_id, JobKind.IMAGE_GENERATE)
        return GenerationOut(
            job_id=job.id,
            status=job.status,
            progress=job.progress,
            step=job.step,
            total_steps=job.total_steps,
            images=job.images,
            error=job.error,
        )

    # ── making ──

    async def run(self, attempt: Attempt) -> Publish:
        """The handler: generate, move the files to their place, answer how to publish their rows."""
        owner = Actor(attempt.job.owner_id, "", Role.USER)
        resolved = attempt.job.request["resolved"]
        model = await self._registry.require(owner, resolved["model"], "image")
        folder = await asyncio.to_thread(self._storage.make_attempt_folder, attempt.job.id, attempt.job.attempt)
        task = protocol.TextToImage(
            task_id=f"{attempt.job.id}-{attempt.job.attempt}",
            output_dir=str(folder),
            prompt=resolved["prompt"],
            negative_prompt=resolved["negative_prompt"],
            seeds=resolved["seeds"],
            steps=resolved["steps"],
            guidance_scale=resolved["guidance_scale"],
            width=resolved["width"],
            height=resolved["height"],
            scheduler=resolved["scheduler"],
            format=resolved["format"],
            model_key=model.key,
        )
        attempt.progress(0, task.steps * len(task.seeds))
        done = await self._maker.make(attempt, model, task)
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


def _resolve(wanted: TextToImageIn, model: ModelRow) -> dict[str, Any]:
    """Everything decided: defaults filled in, seeds drawn. Raises BadRequest for what this model cannot do."""
    defaults, limits = ImageDefaults(**model.defaults), ImageLimits(**model.limits)
    width, height = wanted.width or defaults.width, wanted.height or defaults.height
    for field, side in (("width", width), ("height", height)):
        if not limits.min_side <= side <= limits.max_side or side % limits.multiple:
            raise BadRequest(
                Said(
                    f"{field} is {side} pixels, but the model {model.key!r} makes {limits.min_side} to "
                    f"{limits.max_side}, in multiples of {limits.multiple}.",
                    f"request.{field}_unfit",
                    side=side,
                    model=model.key,
                    min=limits.min_side,
                    max=limits.max_side,
                    multiple=limits.multiple,
                    default=getattr(defaults, field),
                ),
                field=field,
                hint=f"Leave it out for {getattr(defaults, field)}.",
            )
    scheduler = wanted.scheduler or defaults.scheduler
    fitting = choices_for(sampling(model.family))
    if scheduler is not None and scheduler not in fitting:
        known = ", ".join(fitting)
        values = {"scheduler": scheduler, "model": model.key, "known": known}
        if scheduler in SCHEDULERS:
            words = f"The scheduler {scheduler!r} does not fit the model {model.key!r}."
            said = Said(words, "request.scheduler_unfit", **values)
        else:
            said = Said(f"The scheduler {scheduler!r} does not exist.", "request.scheduler_unknown", **values)
        raise BadRequest(said, field="scheduler", hint=f"Take one of {known}.")
    seed = secrets.randbelow(MAX_SEED + 1) if wanted.seed is None else wanted.seed
    return {
        "model": model.key,
        "prompt": wanted.prompt,
        "negative_prompt": wanted.negative_prompt,
        "steps": wanted.steps or defaults.steps,
        "guidance_scale": defaults.guidance_scale if wanted.guidance_scale is None else wanted.guidance_scale,
        "width": width,
        "height": height,
        "scheduler": scheduler,
        "format": wanted.format,
        "seeds": [(seed + index) % (MAX_SEED + 1) for index in range(wanted.num_outputs)],
    }


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
        recipe={**{k: v for k, v in resolved.items() if k != "seeds"}, "seed": file.seed, **file.recipe},
        created_at=now(),
    )
