"""Verify: makes a picture again from its recipe and compares. The handler of `image.verify` jobs.

ask ──> job row ──> the same task for its one seed, in staging ──> hash, else pixels ──> verdict on the picture's row

Nothing is published: the file that was made again is thrown away with the attempt's folder.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from engines import protocol
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor, Role
from atelier.clock import now
from atelier.db import Database, after_commit
from atelier.errors import BadRequest, ImageNotFound, InputRefused
from atelier.events import EventBus, ImagesChanged
from atelier.images import additions, store
from atelier.images.gallery import no_picture
from atelier.images.inputs import InputStore
from atelier.images.making import Maker
from atelier.images.schemas import AcceptedOut
from atelier.images.tasks import task_of
from atelier.jobs.attempt import Attempt, Publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.service import JobService
from atelier.models.registry import ModelRegistry
from atelier.said import Said
from atelier.shapes import ImageOut, VerdictOut
from atelier.storage import Storage
from atelier.tables import ImageRow, JobKind


class Verifier:
    """Asks whether a picture is what its recipe says."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        registry: ModelRegistry,
        queue: JobQueue,
        jobs: JobService,
        bus: EventBus,
        inputs: InputStore,
        maker: Maker,
    ) -> None:
        self._database, self._storage, self._registry = database, storage, registry
        self._queue, self._jobs, self._bus = queue, jobs, bus
        self._inputs, self._maker = inputs, maker

    async def ask(self, actor: Actor, image_id: str) -> AcceptedOut:
        """Accepted when this returns. Raises ImageNotFound, BadRequest for a video and for a grid's sheet,
        ModelNotFound, TooManyJobs."""
        row = await self._find(actor, image_id)
        if row.kind == "video":
            words = Said("Videos cannot be verified, pictures can.", "verify.video")
            raise BadRequest(words, field="image_id", hint="Verify the picture that the video was made from.")
        request = await self._jobs.request_of(row.job_id)
        if request is None or "resolved" not in request:
            raise BadRequest(
                Said("What this picture was asked with is not known any more.", "verify.request_gone"),
                field="image_id",
                hint="Its recipe is still in the file: use its settings, and compare by eye.",
            )
        resolved = _alone(request, row.index)
        await self._registry.require(actor, resolved["model"], "image")
        asked = {"image_id": row.id, "prompt": row.prompt, "resolved": resolved}
        job = NewJob(JobKind.IMAGE_VERIFY, actor.id, f"Verify: {row.prompt}", asked)
        queued = await self._queue.submit(job)
        return AcceptedOut(job_id=queued.id, status=queued.status, position=await self._jobs.position(queued.id))

    async def run(self, attempt: Attempt) -> Publish:
        """The handler. Raises what making a picture raises, and ImageNotFound when it was deleted meanwhile."""
        # Whether its owner may look at the picture was asked when the request was accepted.
        anybody = Actor(attempt.job.owner_id, "", Role.ADMIN)
        row = await self._find(anybody, attempt.job.request["image_id"])
        resolved = attempt.job.request["resolved"]
        model = await self._registry.require(anybody, resolved["model"], "image")
        folder = await asyncio.to_thread(self._storage.make_attempt_folder, attempt.job.id, attempt.job.attempt)
        uses = await additions.uses_of(anybody, resolved, self._registry)
        task = await task_of(attempt, model, folder, self._inputs, uses)
        attempt.progress(0, task.steps)
        done = await self._maker.make(attempt, model, task)
        verdict = await self._compare(row, folder, done.files[0])

        async def publish(session: AsyncSession) -> None:
            kept = await store.find(session, anybody, row.id)
            if kept is not None:
                kept.verified = verdict.model_dump(mode="json")
                event = ImagesChanged(images=[ImageOut.of(kept)])
                after_commit(session, lambda: self._bus.publish(event, owner=kept.owner_id))

        return publish

    async def forget(self, job_id: str) -> None:
        await asyncio.to_thread(self._storage.drop_staging, job_id)

    async def _find(self, actor: Actor, image_id: str) -> ImageRow:
        async with self._database.read() as session:
            row = await store.find(session, actor, image_id)
        if row is None:
            raise no_picture(image_id)
        return row

    async def _compare(self, row: ImageRow, folder: Path, file: protocol.File) -> VerdictOut:
        changed = _changed(row.recipe, file.recipe)
        then = self._storage.image_file(row.job_id, f"{row.index}.{row.format}")
        # The file as it lies there now, not as its row remembers it: somebody may have written over it.
        if file.sha256 == await asyncio.to_thread(_sha256, then):
            return VerdictOut(result="same_bytes", most=0, share=0.0, changed=changed, at=now())
        try:
            found = await self._inputs.reader.compare(then, folder / Path(file.path).name)
        except InputRefused as error:  # not for the other one, which was made a moment ago
            if error.code not in ("picture_format", "picture_unreadable"):
                raise
            words = Said("The picture's file is damaged: it cannot be compared.", "verify.file_damaged")
            raise BadRequest(words, hint="Restore it from a backup, or delete the picture.") from error
        results = {0: "same_pixels", 1: "within_one"}
        result = results.get(found["most"], "different") if found["same_size"] else "different"
        return VerdictOut(result=result, most=found["most"], share=found["share"], changed=changed, at=now())


def _sha256(file: Path) -> str:
    """Raises ImageNotFound for a file that is gone. Blocking."""
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError:
        words = Said("The picture's file is gone: nothing is there to compare with.", "verify.file_gone")
        raise ImageNotFound(words, hint="Restore it from a backup, or delete the picture.") from None


def _alone(request: dict[str, Any], index: int) -> dict[str, Any]:
    """What is asked for one picture of a job only: of a grid, its cell. Raises BadRequest for a grid's sheet."""
    if "cells" in request:
        if index >= len(request["cells"]):
            words = Said("The sheet of a grid is drawn from its pictures; it cannot be verified.", "verify.sheet")
            raise BadRequest(words, field="image_id", hint="Verify the pictures on it.")
        return request["cells"][index]
    resolved = request["resolved"]
    return {**resolved, **{name: [resolved[name][index]] for name in ("seeds", "subseeds") if resolved.get(name)}}


def _changed(then: dict[str, Any], now_: dict[str, Any]) -> list[str]:
    """What is not as it was: the weights, and libraries with both versions."""
    changed = ["model"] if then.get("model_hash") != now_.get("model_hash") else []
    names = ("device", "dtype")
    before = {**then.get("versions", {}), **{name: then.get(name) for name in names}}
    after = {**now_.get("versions", {}), **{name: now_.get(name) for name in names}}
    return changed + [f"{name} {was} → {after[name]}" for name, was in before.items() if after.get(name, was) != was]
