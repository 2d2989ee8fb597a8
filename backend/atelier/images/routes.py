"""/api/generate"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.images.schemas import AcceptedOut, GenerationOut, ImageToImageIn, TextToImageIn

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


@router.get("/generate/{job_id}", summary="How far a request for pictures is", tags=["generate"])
async def get_generation(job_id: str, actor: User, services: ServicesDep) -> GenerationOut:
    return await services.images.get(actor, job_id)
