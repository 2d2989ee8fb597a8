"""Pictures as a stream: previews on the way, then each picture as it is done. Server-sent events whose name stands in
the `event:` line and in the data, because clients look for either."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import orjson

from atelier.access.actor import Actor
from atelier.errors import AtelierError
from atelier.images.delivery import Delivery, Gone, images_of
from atelier.jobs.service import JobService
from atelier.openai.envelope import envelope
from atelier.openai.image_schemas import ImageEvent, PromptedIn
from atelier.openai.image_service import usage_of
from atelier.problems import from_error
from atelier.shapes import ImageOut, PreviewOut

BREATH_SECONDS = 15.0
"""After so long without an event, a comment is sent: proxies hang up on a connection that says nothing."""


class PictureStream:
    """One streamed call: its events in order. Closing it early cancels its jobs."""

    def __init__(
        self,
        delivery: Delivery,
        jobs: JobService,
        actor: Actor,
        wanted: PromptedIn,
        job_ids: Sequence[str],
        *,
        kind: str,
        input_pixels: int = 0,
    ) -> None:
        self._delivery, self._jobs, self._actor, self._wanted = delivery, jobs, actor, wanted
        self._job_ids, self._kind, self._input_pixels = job_ids, kind, input_pixels
        self._moved = asyncio.Event()
        self._size = ""

    async def events(self, gone: Gone) -> AsyncIterator[bytes]:
        """Encoded events. An error on the way is the last of them: the answer's status has long been sent."""
        left = list(self._job_ids)
        try:
            while left:
                ending = asyncio.create_task(self._delivery.collect(self._actor, left[:1], gone, self._note))
                try:
                    async for event in self._partial_images(left[0], ending):
                        yield event
                    images = images_of((await ending)[0])
                finally:
                    ending.cancel()
                    await asyncio.gather(ending, return_exceptions=True)
                for image in images:
                    yield await self._completed(image)
                left.pop(0)
        except AtelierError as error:
            yield encoded("error", envelope(from_error(error).model_dump()))
        finally:
            await self._delivery.cancel(self._actor, left)

    def _note(self, *_progress: object) -> None:
        self._moved.set()

    async def _partial_images(self, job_id: str, ending: asyncio.Task) -> AsyncIterator[bytes]:
        """As many previews of each picture as were asked for, spread over its making."""
        sent: dict[int, int] = {}
        ending.add_done_callback(self._note)
        while not ending.done():
            self._moved.clear()
            if self._wanted.partial_images:
                for preview in await self._due(job_id, sent):
                    number = sent.get(preview.index, 0)
                    sent[preview.index] = number + 1
                    yield self._partial(preview, number)
            try:
                async with asyncio.timeout(BREATH_SECONDS):
                    await self._moved.wait()
            except TimeoutError:
                yield b": still at work\n\n"

    async def _due(self, job_id: str, sent: dict[int, int]) -> list[PreviewOut]:
        """Previews whose turn it is: the first of three after a quarter of the steps, the second after a half, …"""
        previews = self._jobs.previews(self._actor).get(job_id, [])
        job = await self._jobs.get(self._actor, job_id)
        count, most = job.request["resolved"]["seeds"], self._wanted.partial_images
        due = []
        for preview in previews:
            number = sent.get(preview.index, 0)
            done = job.progress * len(count) - preview.index  # pictures are made one after another
            if number < most and not preview.final and done >= (number + 1) / (most + 1):
                due.append(preview)
        return due

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
