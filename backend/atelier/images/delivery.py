"""For doors that answer with the pictures themselves: ask, wait with the client, hand over the bytes.

One call of such a door may be several jobs, in the same line and the same gallery as everybody's. A client that hangs
up cancels those that are not done yet.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from atelier.access.actor import Actor
from atelier.errors import Conflict, JobNotFound
from atelier.images.finishing import Gone, OnProgress
from atelier.images.gallery import Gallery
from atelier.images.schemas import MAX_SEED, GenerationIn, says_something
from atelier.images.service import ImageService
from atelier.jobs.service import JobService
from atelier.shapes import ImageOut
from atelier.tables import JobStatus

MOST_OF_A_JOB = 8
Wanted = TypeVar("Wanted", bound=GenerationIn)


class Delivery:
    """Shared by the doors; keeps nothing."""

    def __init__(self, images: ImageService, gallery: Gallery, jobs: JobService) -> None:
        self._images, self._gallery, self._jobs = images, gallery, jobs

    async def order(self, actor: Actor, wanted: Sequence[GenerationIn]) -> list[str]:
        """The jobs' ids: all of them are accepted, or none. Raises what `ImageService.ask` raises."""
        accepted: list[str] = []
        try:
            for one in wanted:
                accepted.append((await self._images.ask(actor, one, None)).job_id)
        except BaseException:
            await self.cancel(actor, accepted)
            raise
        return accepted

    async def order_again(self, actor: Actor, wanted: GenerationIn, key: str, priority: int) -> str:
        """The job's id: the one that was accepted under this key before, or a new one. One that was cancelled or failed
        is tried again. Raises what `ImageService.ask` raises."""
        job = await self._images.ask(actor, wanted, key, priority)
        if job.status in {JobStatus.CANCELLED, JobStatus.FAILED}:
            await self._jobs.retry(actor, job.job_id)
        return job.job_id

    async def pictures_in_background(
        self, actor: Actor, job_ids: Sequence[str], stopped: Callable[[], bool]
    ) -> list[ImageOut]:
        """As `pictures`, for nobody who waits: the jobs go on when the server stops, and are found again by their keys.
        They are cancelled once `stopped`."""
        try:
            return [one for job_id in job_ids for one in (await self._images.finish(actor, job_id)).images]
        except asyncio.CancelledError:
            if stopped():
                await asyncio.shield(self.cancel(actor, job_ids))
            raise

    async def pictures(
        self, actor: Actor, job_ids: Sequence[str], gone: Gone, on_progress: OnProgress | None = None
    ) -> list[ImageOut]:
        """All that the jobs made, in their order. Raises JobFailed, and Conflict for a job that was cancelled; then,
        and when the client is gone, none of them goes on."""
        made, ended = [], 0
        try:
            for job_id in job_ids:
                made += (await self._images.finish(actor, job_id, gone, on_progress)).images
                ended += 1
        finally:
            await self.cancel(actor, job_ids[ended:])
        return made

    async def what_there_is(self, actor: Actor, job_ids: Sequence[str], gone: Gone) -> list[ImageOut]:
        """As `pictures`, but a job that somebody cancelled is no error: it made nothing, and the next one counts."""
        made, ended = [], 0
        try:
            for job_id in job_ids:
                try:
                    made += (await self._images.finish(actor, job_id, gone)).images
                except Conflict:
                    if await gone():
                        raise
                ended += 1
        finally:
            await self.cancel(actor, job_ids[ended:])
        return made

    async def read(self, actor: Actor, image: ImageOut) -> bytes:
        """The file of a picture."""
        path, _ = await self._gallery.file(actor, image.id, thumbnail=False)
        return await asyncio.to_thread(path.read_bytes)

    async def base64(self, actor: Actor, image: ImageOut) -> str:
        return encoded(await self.read(actor, image))

    async def cancel(self, actor: Actor, job_ids: Sequence[str]) -> None:
        """Those that have not ended. The last first, so that none begins just to be stopped."""
        for job_id in reversed(job_ids):
            await self._cancel(actor, job_id)

    async def cancel_first(self, actor: Actor, job_ids: Sequence[str]) -> None:
        """The first that has not ended."""
        for job_id in job_ids:
            if await self._cancel(actor, job_id):
                return

    async def _cancel(self, actor: Actor, job_id: str) -> bool:
        """Whether it had not ended."""
        try:
            if (await self._jobs.get(actor, job_id)).status.ended:
                return False
            await self._jobs.cancel(actor, job_id)
        except JobNotFound:  # somebody took it off the list
            return False
        return True


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def with_prompt(kind: type[Wanted], prompt: str, **settings: Any) -> Wanted:
    """A request whose prompt may be empty: clients of other APIs let the model draw what it likes."""
    return kind(prompt=prompt if says_something(prompt) else "-", **settings).model_copy(update={"prompt": prompt})


def portions(count: int, size: int = MOST_OF_A_JOB) -> list[int]:
    """`count` pictures as jobs of `size` at most: 10 -> [8, 2]."""
    return [min(size, count - begin) for begin in range(0, count, size)]


def counted_up(seed: int, by: int) -> int:
    return (seed + by) % (MAX_SEED + 1)
