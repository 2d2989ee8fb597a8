"""OpenAI's calls for pictures, said in Atelier's words: the same requests, jobs and gallery as everybody's.

A call for more pictures than one job makes becomes two jobs whose seeds go on counting.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any

from fastapi import UploadFile

from atelier.access.actor import Actor
from atelier.errors import AtelierError, BadRequest
from atelier.images.delivery import Delivery, counted_up, portions, with_prompt
from atelier.images.inputs import InputStore
from atelier.images.schemas import MAX_SEED, GenerationIn, ImageToImageIn, InpaintIn, InputOut, TextToImageIn
from atelier.images.transfer import in_pieces
from atelier.models.registry import ModelRegistry
from atelier.openai.files import FileStore
from atelier.openai.image_schemas import (
    ImageObject,
    ImagesObject,
    ImageUsage,
    InputTokens,
    Picture,
    PictureEditIn,
    PictureGenerateIn,
    PictureIn,
    PictureVaryIn,
    PromptedIn,
)
from atelier.said import Said
from atelier.shapes import ImageOut
from atelier.tables import ModelRow

TASKS = frozenset({"image"})
# Of a model's own steps, when a request does not say how many.
QUALITY_STEPS = {"low": 0.5, "high": 1.5, "hd": 1.5, "xhigh": 2.0, "max": 3.0}
MOST_STEPS = 200
BYTES_A_TOKEN, PIXELS_A_TOKEN = 4, 16 * 16

# What Atelier calls a field, and what this API calls it.
NAMES = {
    "num_outputs": "n",
    "width": "size",
    "height": "size",
    "format": "output_format",
    "quality": "output_compression",
}
FILE_PREFIX = "file-"
# How much of a picture may change, by `input_fidelity`.
FIDELITY = {"high": 0.4, "low": 0.75, None: 0.6}


class OpenAIImages:
    """Shared by the routes of `/v1/images`; keeps nothing."""

    def __init__(self, registry: ModelRegistry, delivery: Delivery, inputs: InputStore, files: FileStore) -> None:
        self._registry, self.delivery, self._inputs, self._files = registry, delivery, inputs, files

    async def order(self, actor: Actor, wanted: PictureGenerateIn) -> list[str]:
        """The jobs that make what is wanted. Raises ModelNotFound, BadRequest, TooManyJobs."""
        settings = settings_of(wanted, await self._model(actor, wanted))
        settings |= {"prompt": wanted.prompt, "loras": wanted.loras}
        return await self._accepted(actor, wanted, lambda more: TextToImageIn(**settings, **more))

    async def in_background(
        self, actor: Actor, wanted: PictureGenerateIn, key: str, priority: int, stopped: Callable[[], bool]
    ) -> list[ImageOut]:
        """The pictures, for nobody who waits. Asked again under the same key, these are the same pictures. Raises what
        `order` raises, JobFailed, Conflict."""
        if wanted.seed is None:
            seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4])
            wanted = wanted.model_copy(update={"seed": seed})
        settings = settings_of(wanted, await self._model(actor, wanted))
        settings |= {"prompt": wanted.prompt, "loras": wanted.loras}
        requests = self._requests(wanted, lambda more: TextToImageIn(**settings, **more))
        try:
            job_ids = [
                await self.delivery.order_again(actor, one, f"{key}/{at}", priority) for at, one in enumerate(requests)
            ]
        except AtelierError as error:
            error.in_words_of(NAMES)
            raise
        return await self.delivery.pictures_in_background(actor, job_ids, stopped)

    async def order_edit(self, actor: Actor, wanted: PictureEditIn) -> tuple[list[str], int]:
        """As `order`, for a picture that is changed; and how many pixels came in. Raises InputRefused as well."""
        settings = settings_of(wanted, await self._model(actor, wanted))
        picture = await self._picture(actor, [*wanted.image, *wanted.image_list])
        settings |= {"prompt": wanted.prompt, "image": picture.id}
        if wanted.mask is None:
            settings["strength"] = FIDELITY[wanted.input_fidelity] if wanted.strength is None else wanted.strength
            job_ids = await self._accepted(actor, wanted, lambda more: ImageToImageIn(**settings, **more))
            return job_ids, picture.width * picture.height
        mask = await self._input(actor, wanted.mask, "mask", alpha=True)
        settings |= {"mask": mask.id, "strength": 1.0 if wanted.strength is None else wanted.strength}
        job_ids = await self._accepted(actor, wanted, lambda more: InpaintIn(**settings, **more))
        return job_ids, picture.width * picture.height + mask.width * mask.height

    async def order_variation(self, actor: Actor, wanted: PictureVaryIn) -> tuple[list[str], int]:
        """As `order_edit`, without words."""
        settings = settings_of(wanted, await self._model(actor, wanted))
        picture = await self._picture(actor, [*wanted.image, *wanted.image_list])
        settings |= {"image": picture.id, "strength": wanted.strength}
        job_ids = await self._accepted(actor, wanted, lambda more: with_prompt(ImageToImageIn, "", **settings, **more))
        return job_ids, picture.width * picture.height

    async def _picture(self, actor: Actor, files: list[Picture]) -> InputOut:
        if len(files) != 1:
            words = Said(f"{len(files)} pictures came; one is changed at a time.", "openai.one_image", count=len(files))
            raise BadRequest(words, field="image", hint="Send one file as the form's field image.")
        return await self._input(actor, files[0], "image")

    async def _input(self, actor: Actor, given: Picture, field: str, *, alpha: bool = False) -> InputOut:
        try:
            if not isinstance(given, str):
                return await self._inputs.take(actor, in_pieces(given), alpha=alpha)
            if not given.startswith(FILE_PREFIX):
                return await self._inputs.add_text(actor, given, field=field, alpha=alpha)
            path, _ = await self._files.path(actor, given)
            with await asyncio.to_thread(path.open, "rb") as file:
                return await self._inputs.take(actor, in_pieces(UploadFile(file)), alpha=alpha)
        except AtelierError as error:
            error.in_words_of({"file": field})
            error.blame(field)
            raise

    async def _model(self, actor: Actor, wanted: PictureIn) -> ModelRow:
        key = wanted.model or TextToImageIn.model_fields["model"].default
        return await self._registry.named(actor, key, TASKS)

    async def _accepted(
        self, actor: Actor, wanted: PictureIn, make: Callable[[dict[str, Any]], GenerationIn]
    ) -> list[str]:
        requests = self._requests(wanted, make)
        try:
            return await self.delivery.order(actor, requests)
        except AtelierError as error:
            error.in_words_of(NAMES)
            raise

    def _requests(self, wanted: PictureIn, make: Callable[[dict[str, Any]], GenerationIn]) -> list[GenerationIn]:
        """One for each job that it takes."""
        seed = secrets.randbelow(MAX_SEED + 1) if wanted.seed is None else wanted.seed
        requests, begun = [], 0
        for size in portions(wanted.n):
            requests.append(make({"num_outputs": size, "seed": counted_up(seed, begun)}))
            begun += size
        return requests


def settings_of(wanted: PictureIn, model: ModelRow) -> dict[str, Any]:
    """What every task takes, for Atelier's own request."""
    steps = wanted.steps
    if steps is None and isinstance(wanted, PromptedIn) and wanted.quality in QUALITY_STEPS:
        steps = min(MOST_STEPS, max(1, round(model.defaults["steps"] * QUALITY_STEPS[wanted.quality])))
    width, height = wanted.sides or (None, None)
    compression = wanted.output_compression
    return {
        "negative_prompt": wanted.negative_prompt,
        "model": model.key,
        "steps": steps,
        "guidance_scale": wanted.guidance_scale,
        "width": width,
        "height": height,
        "scheduler": wanted.scheduler,
        "clip_skip": wanted.clip_skip,
        "format": wanted.output_format,
        **({} if compression is None else {"quality": max(1, compression)}),
    }


async def answer(
    delivery: Delivery, actor: Actor, wanted: PictureIn, images: list[ImageOut], link: Callable[[str], str], inputs: int
) -> ImagesObject:
    """`link` makes an address out of a picture's id; `inputs` is how many pixels came in."""
    data = []
    for image in images:
        body = None if wanted.response_format == "url" else await delivery.base64(actor, image)
        url = link(image.id) if wanted.response_format == "url" else None
        data.append(ImageObject(b64_json=body, url=url, seed=image.seed, id=image.id))
    first = images[0]
    return ImagesObject(
        created=int(time.time()),
        data=data,
        output_format=first.format,
        quality=wanted.quality if isinstance(wanted, PromptedIn) else "auto",
        size=f"{first.width}x{first.height}",
        usage=usage_of(wanted, images, inputs),
        model=first.model,
    )


def usage_of(wanted: PictureIn, images: list[ImageOut], input_pixels: int) -> ImageUsage:
    words = wanted.prompt + wanted.negative_prompt if isinstance(wanted, PromptedIn) else wanted.negative_prompt
    text = -(-len(words.encode()) // BYTES_A_TOKEN)
    came_in, went_out = input_pixels // PIXELS_A_TOKEN, sum(one.width * one.height for one in images) // PIXELS_A_TOKEN
    return ImageUsage(
        input_tokens=text + came_in,
        input_tokens_details=InputTokens(image_tokens=came_in, text_tokens=text),
        output_tokens=went_out,
        total_tokens=text + came_in + went_out,
    )
