"""/api/generate"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.images.input_routes import PICTURE_BODY, sent_picture
from atelier.images.inputs import MAX_UPLOAD_BYTES
from atelier.images.schemas import AcceptedOut, GenerationOut, ImageToImageIn, TextToImageIn
from atelier.images.settings import SettingsOut

router = APIRouter(prefix="/api", tags=["images"])


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
    async with sent_picture(request) as chunks:
        return await services.settings_reader.read(actor, chunks)


@router.get("/generate/{job_id}", summary="How far a request for pictures is", tags=["generate"])
async def get_generation(job_id: str, actor: User, services: ServicesDep) -> GenerationOut:
    return await services.images.get(actor, job_id)
