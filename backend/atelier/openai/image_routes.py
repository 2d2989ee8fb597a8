"""/v1/images"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, StreamingResponse

from atelier.access.actor import ApiUser
from atelier.deps import ServicesDep
from atelier.images.routes import stored_file
from atelier.openai.image_schemas import ImageGenerateIn, ImagesObject
from atelier.openai.image_service import answer
from atelier.openai.image_stream import PictureStream

router = APIRouter(prefix="/v1/images", tags=["openai"])

MAX_UPLOAD_BYTES = 32 * 1024 * 1024
_STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_ANSWERS = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The pictures."}}


@router.post(
    "/generations",
    summary="Make pictures from words",
    response_model=ImagesObject,
    response_model_exclude_none=True,
    responses=_ANSWERS,
    name="openai_generate_images",
)
async def generate(wanted: ImageGenerateIn, request: Request, actor: ApiUser, services: ServicesDep):  # type: ignore[no-untyped-def]
    """The answer comes when the pictures are done; a caller that hangs up cancels them. With `stream` they come as
    server-sent events."""
    images = services.openai_images
    job_ids = await images.order(actor, wanted)
    if wanted.stream:
        kind = "image_generation"
        stream = PictureStream(images.delivery, actor, wanted, job_ids, kind=kind)
        events = stream.events(request.is_disconnected)
        return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM)
    made = await images.delivery.pictures(actor, job_ids, request.is_disconnected)
    return await answer(images.delivery, actor, wanted, made, lambda id_: link(request, id_), 0)


@router.get(
    "/{image_id}/content", response_class=FileResponse, summary="A picture by its `url`", name="openai_image_content"
)
async def content(image_id: str, actor: ApiUser, services: ServicesDep) -> FileResponse:
    path, image = await services.gallery.file(actor, image_id, thumbnail=False)
    return stored_file(str(path), f"image/{image.format}")


def link(request: Request, image_id: str) -> str:
    """Where a client that called as this one did finds the picture."""
    return str(request.base_url).rstrip("/") + f"/v1/images/{image_id}/content"
