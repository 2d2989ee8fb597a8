"""/api/generate"""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Request

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.images.input_routes import PICTURE_BODY, sent_picture
from atelier.images.inputs import MAX_UPLOAD_BYTES
from atelier.images.schemas import (
    AcceptedOut,
    GenerationOut,
    ImageToImageIn,
    ImageToVideoIn,
    InpaintIn,
    OutpaintIn,
    TextToImageIn,
    UpscaleIn,
)
from atelier.images.settings import SettingsOut
from atelier.routing import Router

router = Router(prefix="/api", tags=["images"])


IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="The same key gives the same job, however often it is sent."),
]


@router.post("/generate/text-to-image", status_code=202, summary="Make pictures from words", tags=["generate"])
async def text_to_image(
    wanted: TextToImageIn, actor: User, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> AcceptedOut:
    """Accepted means kept: when this answers, the job survives a crash. Follow it at `/api/generate/{job_id}`."""
    return await services.images.ask(actor, wanted, idempotency_key)


@router.post("/generate/image-to-image", status_code=202, summary="Make pictures from a picture", tags=["generate"])
async def image_to_image(
    wanted: ImageToImageIn, actor: User, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> AcceptedOut:
    """Without a size the result has the picture's; where the model cannot make that, its shape with as many pixels as
    the model was made for."""
    return await services.images.ask(actor, wanted, idempotency_key)


@router.post("/generate/inpaint", status_code=202, summary="Paint a part of a picture anew", tags=["generate"])
async def inpaint(
    wanted: InpaintIn, actor: User, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> AcceptedOut:
    """Where the mask is white. Everything else stays as it is, to the pixel."""
    return await services.images.ask(actor, wanted, idempotency_key)


@router.post("/generate/outpaint", status_code=202, summary="Paint on beyond a picture's edges", tags=["generate"])
async def outpaint(
    wanted: OutpaintIn, actor: User, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> AcceptedOut:
    """The result is as large as the picture and what is added at its sides, rounded up to what the model can make: the
    rest is added at a side that grows."""
    return await services.images.ask(actor, wanted, idempotency_key)


@router.post("/generate/upscale", status_code=202, summary="Make a picture larger", tags=["generate"])
async def upscale(
    wanted: UpscaleIn, actor: User, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> AcceptedOut:
    """No side beyond 4096 pixels. With `strength` 0 the picture is only enlarged, else the model draws it once more at
    its new size. Without a prompt a picture of the gallery keeps its own."""
    return await services.images.ask(actor, wanted, idempotency_key)


@router.post("/generate/image-to-video", status_code=202, summary="Make videos from a picture", tags=["generate"])
async def image_to_video(
    wanted: ImageToVideoIn, actor: User, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> AcceptedOut:
    """Without a size it is the model's own, upright for a picture that stands upright; the picture is cut to it."""
    return await services.images.ask(actor, wanted, idempotency_key)


@router.post(
    "/generate/settings",
    summary="Read the settings of a picture back from its file",
    tags=["generate"],
    max_body_size=MAX_UPLOAD_BYTES,
    openapi_extra=PICTURE_BODY,
)
async def read_settings(request: Request, actor: User, services: ServicesDep) -> SettingsOut:
    """Of pictures by Atelier and by A1111 and its kin: PNG, JPEG or WebP, as the field `file` of a form or as the body.
    Nothing of it is kept. What it was made with and is not to be had here is named in `missing`."""
    async with sent_picture(request, services.inputs) as chunks:
        return await services.settings_reader.read(actor, chunks)


@router.get("/generate/{job_id}", summary="How far a request for pictures is", tags=["generate"])
async def get_generation(job_id: str, actor: User, services: ServicesDep) -> GenerationOut:
    return await services.images.get(actor, job_id)
