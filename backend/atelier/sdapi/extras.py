"""Making pictures larger, and reading what stands in their files. It is no job, and nothing is kept."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TypeVar

from atelier.access.actor import Actor
from atelier.errors import BadRequest
from atelier.images.asking import check_sides
from atelier.images.enlarging import Enlarger
from atelier.images.file_texts import picture_format, texts_of
from atelier.images.finishing import Gone
from atelier.images.infotext import parse
from atelier.images.inputs import InputStore
from atelier.images.upscalers import not_found
from atelier.said import Said
from atelier.sdapi.schemas import SdExtrasIn, SdPngInfoOut
from atelier.sdapi.upscalers import UPSCALERS

Answer = TypeVar("Answer")


async def enlarged(
    actor: Actor, inputs: InputStore, enlarger: Enlarger, wanted: SdExtrasIn, image: str, field: str, gone: Gone
) -> bytes:
    """A PNG. `gone` says whether the client has hung up. Raises UpscalerNotFound, RemoteRefused, BadRequest,
    InputRefused, and what enlarging by a model raises."""
    name = next((one for one in UPSCALERS if one.casefold() == wanted.upscaler_1.casefold()), None)
    model = await enlarger.find(actor, wanted.upscaler_1) if name is None else None
    if name is None and model is None:
        known = ", ".join([*UPSCALERS, *(row.key for row in await enlarger.rows(actor))])
        raise not_found(wanted.upscaler_1, known, "upscaler_1")
    data = await inputs.bytes_of(image, field)
    if name == "None":
        return await blaming(field, inputs.rewritten(data))
    width, height = await blaming(field, inputs.size_of(data))
    crop = False
    if wanted.resize_mode == 0:
        width, height = (max(1, round(side * wanted.upscaling_resize)) for side in (width, height))
    elif wanted.upscaling_crop:
        width, height, crop = wanted.upscaling_resize_w, wanted.upscaling_resize_h, True
    else:
        scale = max(wanted.upscaling_resize_w / width, wanted.upscaling_resize_h / height)
        width, height = round(width * scale), round(height * scale)
    if model is not None:
        check_sides(width, height, "upscaling_resize")
        made = partial(enlarger.enlarge, model, width=width, height=height, crop=crop, gone=gone)
        return await blaming(field, inputs.made_anew(data, made))
    resized = inputs.rewritten(data, width=width, height=height, resample=str(name).lower(), crop=crop)
    return await blaming(field, resized)


def notes_of(wanted: SdExtrasIn) -> str:
    """What was asked for and is not done, as the `html_info` of the answer."""
    asked = {
        "GFPGAN": wanted.gfpgan_visibility > 0,
        "CodeFormer": wanted.codeformer_visibility > 0,
        "the second upscaler": wanted.upscaler_2 != "None" and wanted.extras_upscaler_2_visibility > 0,
    }
    ignored = [name for name, wants in asked.items() if wants]
    return f"<p>Atelier does not have: {', '.join(ignored)}.</p>" if ignored else ""


def png_info(data: bytes) -> SdPngInfoOut:
    """What tools wrote into the file. Raises BadRequest for what is no picture."""
    if picture_format(data) is None:
        words = Said("Invalid encoded image", "sdapi.invalid_image")
        raise BadRequest(words, field="image", hint="Send a PNG, JPEG or WebP picture as base64.")
    texts = texts_of(data)
    info = texts.get("parameters", "")
    return SdPngInfoOut(info=info, items=texts, parameters=parse(info) if info else {})


async def blaming(field: str, asked: Awaitable[Answer]) -> Answer:
    """Whatever is wrong with a picture is said of the request's own field."""
    try:
        return await asked
    except BadRequest as error:
        error.in_words_of({"file": field})
        error.blame(field)
        raise
