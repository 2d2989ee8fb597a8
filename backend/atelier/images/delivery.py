"""For doors that answer with the pictures themselves: ask, wait with the client, hand over the bytes.

One call of such a door may be several jobs, in the same line and the same gallery as everybody's. A client that hangs
up cancels those that are not done yet.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from atelier.access.actor import Actor
from atelier.errors import AtelierError, Conflict, JobNotFound
from atelier.images.gallery import Gallery
from atelier.images.schemas import MAX_SEED, GenerationIn, GenerationOut
from atelier.images.service import ImageService
from atelier.jobs.service import JobService
from atelier.said import Said
from atelier.shapes import ErrorOut, ImageOut
from atelier.tables import JobStatus

MOST_OF_A_JOB = 8
Wanted = TypeVar("Wanted", bound=GenerationIn)
Gone = Callable[[], Awaitable[bool]]
OnProgress = Callable[[GenerationOut], None]


class PictureFailed(AtelierError):
    """The job ended with an error; its code, words and hint are passed on."""

    def __init__(self, error: ErrorOut) -> None:
        message = Said(error.message, error.said.code, **error.said.params) if error.said else error.message
        super().__init__(message, hint=error.hint)
        self.code = error.code
        self.status = 503 if error.code in {"not_enough_memory", "environment_not_ready"} else 500


class PictureCancelled(Conflict):
    """Somebody cancelled the job while its client waited."""

    code = "cancelled"


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

    async def collect(
        self, actor: Actor, job_ids: Sequence[str], gone: Gone, on_progress: OnProgress | None = None
    ) -> list[GenerationOut]:
        """How the jobs ended, in their order. When the client is gone, or this is cancelled, none of them goes on."""
        ended = []
        try:
            for job_id in job_ids:
                ended.append(await self._images.finish(actor, job_id, gone, on_progress))
        finally:
            await self.cancel(actor, job_ids[len(ended) :])
        return ended

    async def pictures(
        self, actor: Actor, job_ids: Sequence[str], gone: Gone, on_progress: OnProgress | None = None
    ) -> list[ImageOut]:
        """All that the jobs made. Raises PictureFailed, PictureCancelled."""
        ended = await self.collect(actor, job_ids, gone, on_progress)
        return [image for one in ended for image in images_of(one)]

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
            await self._jobs.cancel_or_remove(actor, job_id)
        except JobNotFound:  # somebody took it off the list
            return False
        return True


def images_of(ended: GenerationOut) -> list[ImageOut]:
    """The pictures of a job that ended well. Raises PictureFailed, PictureCancelled for one that did not."""
    if ended.error is not None:
        raise PictureFailed(ended.error)
    if ended.status is not JobStatus.COMPLETED:
        raise PictureCancelled("The job of this request was cancelled.", hint="Ask again.")
    return ended.images


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def with_prompt(kind: type[Wanted], prompt: str, **settings: Any) -> Wanted:
    """A request whose prompt may be empty: clients of other APIs let the model draw what it likes."""
    return kind(prompt=prompt if prompt.strip() else "-", **settings).model_copy(update={"prompt": prompt})


def portions(count: int, size: int = MOST_OF_A_JOB) -> list[int]:
    """`count` pictures as jobs of `size` at most: 10 -> [8, 2]."""
    return [min(size, count - begin) for begin in range(0, count, size)]


def counted_up(seed: int, by: int) -> int:
    return (seed + by) % (MAX_SEED + 1)
