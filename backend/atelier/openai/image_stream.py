"""Pictures as a stream: previews on the way, then each picture as it is done. Server-sent events whose name stands in
the `event:` line and in the data, because clients look for either."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import orjson

from atelier.access.actor import Actor
from atelier.errors import AtelierError
from atelier.events import JobProgress
from atelier.images.delivery import MOST_OF_A_JOB, Delivery
from atelier.images.finishing import Gone
from atelier.openai.envelope import body
from atelier.openai.image_schemas import ImageEvent, PictureEditIn, PromptedIn
from atelier.openai.image_service import usage_of
from atelier.problems import from_error
from atelier.shapes import ImageOut, PreviewOut

BREATH_SECONDS = 15.0
"""After so long without an event, a comment is sent: proxies hang up on a connection that says nothing."""


_MAKING: set[asyncio.Task[None]] = set()
"""Those that run or end, so that none is forgotten on its way."""


class PictureStream:
    """One streamed call: its events in order. Closing it early cancels its jobs."""

    def __init__(
        self,
        delivery: Delivery,
        actor: Actor,
        wanted: PromptedIn,
        job_ids: Sequence[str],
        *,
        input_pixels: int = 0,
    ) -> None:
        self._delivery, self._actor, self._wanted = delivery, actor, wanted
        self._job_ids, self._input_pixels = job_ids, input_pixels
        self._kind = "image_edit" if isinstance(wanted, PictureEditIn) else "image_generation"
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._sent: dict[tuple[str, int], int] = {}

    async def events(self, gone: Gone) -> AsyncIterator[bytes]:
        """Encoded events. An error on the way is the last of them: the answer's status has long been sent."""
        making = asyncio.create_task(self._make(gone), name="openai.stream")
        _MAKING.add(making)
        making.add_done_callback(_MAKING.discard)
        making.add_done_callback(lambda _task: self._waiting.put_nowait(None))
        try:
            while (event := await self._next()) is not None:
                yield event
            await making
        finally:
            # Not waited for: whoever closes this is being cancelled, and would interrupt the cancelling of the jobs.
            making.cancel()

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout(BREATH_SECONDS):
                return await self._waiting.get()
        except TimeoutError:
            return b": still at work\n\n"

    async def _make(self, gone: Gone) -> None:
        left = list(self._job_ids)
        try:
            while left:
                images = await self._delivery.pictures(self._actor, left[:1], gone, self._hear)
                left.pop(0)
                for image in images:
                    self._waiting.put_nowait(await self._completed(image))
        except AtelierError as error:
            self._waiting.put_nowait(encoded("error", body(from_error(error).model_dump())))
        finally:
            await self._delivery.cancel(self._actor, left)

    async def _hear(self, progress: JobProgress) -> None:
        """Send on the previews whose turn it is: the first of three after a quarter of the steps, and so on."""
        most = self._wanted.partial_images
        count = min(self._wanted.n, MOST_OF_A_JOB)
        for preview in progress.previews or []:
            number = self._sent.get((progress.id, preview.index), 0)
            done = progress.progress * count - preview.index  # pictures are made one after another
            if number < most and not preview.final and done >= (number + 1) / (most + 1):
                self._sent[progress.id, preview.index] = number + 1
                self._waiting.put_nowait(self._partial(preview, number))

    def _partial(self, preview: PreviewOut, number: int) -> bytes:
        event = ImageEvent(
            type=f"{self._kind}.partial_image",
            b64_json=preview.data_url.partition(",")[2],
            created_at=int(time.time()),
            output_format="jpeg",
            quality=self._wanted.quality,
            size=self._wanted.size,
            partial_image_index=number,
        )
        return encoded(event.type, event.model_dump(exclude_none=True))

    async def _completed(self, image: ImageOut) -> bytes:
        event = ImageEvent(
            type=f"{self._kind}.completed",
            b64_json=await self._delivery.base64(self._actor, image),
            created_at=int(time.time()),
            output_format=image.format,
            quality=self._wanted.quality,
            size=f"{image.width}x{image.height}",
            usage=usage_of(self._wanted, [image], self._input_pixels),
            safety_identifier=self._wanted.safety_identifier or self._wanted.user,
        )
        return encoded(event.type, event.model_dump(exclude_none=True))


def encoded(name: str, data: dict) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
