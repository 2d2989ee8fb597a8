"""/v1/images"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Form, Request
from fastapi.responses import FileResponse, StreamingResponse

from atelier.access.actor import Actor, ApiUser
from atelier.deps import Services, ServicesDep
from atelier.images.transfer import stored_file
from atelier.openai.envelope import ERRORS
from atelier.openai.image_forms import JSON_EDIT, MAX_BODY_BYTES, PictureRoute
from atelier.openai.image_schemas import (
    ImagesObject,
    PictureEditIn,
    PictureGenerateIn,
    PictureIn,
    PictureVaryIn,
    PromptedIn,
)
from atelier.openai.image_service import answer
from atelier.openai.image_stream import PictureStream
from atelier.routing import Router

router = Router(prefix="/v1/images", tags=["openai"], responses=ERRORS, route_class=PictureRoute)

_STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_STREAMED = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The pictures."}}


def _post(path: str, summary: str, name: str, **more: Any) -> Callable[[Callable], Callable]:
    """A route that answers with pictures, or with a stream of them."""
    return router.post(
        path,
        summary=summary,
        name=name,
        response_model=ImagesObject,
        response_model_exclude_none=True,
        max_body_size=MAX_BODY_BYTES,
        **more,
    )


@_post("/generations", "Make pictures from words", "openai_generate_images", responses=_STREAMED)
async def generate(wanted: PictureGenerateIn, request: Request, actor: ApiUser, services: ServicesDep) -> Any:
    """The answer comes when the pictures are done; a caller that hangs up cancels them. With `stream` they come as
    server-sent events."""
    job_ids = await services.openai_images.order(actor, wanted)
    return await _answer(services, actor, wanted, job_ids, request)


@_post(
    "/edits",
    "Change a picture, or the part that a mask leaves open",
    "openai_edit_image",
    responses=_STREAMED,
    openapi_extra=JSON_EDIT,
)
async def edit(
    wanted: Annotated[PictureEditIn, Form(media_type="multipart/form-data")],
    request: Request,
    actor: ApiUser,
    services: ServicesDep,
) -> Any:
    """What is transparent in the mask is painted anew. Of the size `auto` it is as large as it was, or nearly. A
    picture may be a file, a `data:` URL, the id of a file of `/v1/files`, or an address where the server's owner
    switched those on."""
    job_ids, pixels = await services.openai_images.order_edit(actor, wanted)
    return await _answer(services, actor, wanted, job_ids, request, pixels)


@_post("/variations", "Make pictures that are like one", "openai_vary_image")
async def vary(
    wanted: Annotated[PictureVaryIn, Form(media_type="multipart/form-data")],
    request: Request,
    actor: ApiUser,
    services: ServicesDep,
) -> Any:
    job_ids, pixels = await services.openai_images.order_variation(actor, wanted)
    return await _answer(services, actor, wanted, job_ids, request, pixels)


async def _answer(
    services: Services, actor: Actor, wanted: PictureIn, job_ids: list[str], request: Request, pixels: int = 0
) -> Any:
    delivery, gone = services.openai_images.delivery, request.is_disconnected
    if isinstance(wanted, PromptedIn) and wanted.stream:
        stream = PictureStream(delivery, actor, wanted, job_ids, input_pixels=pixels)
        return StreamingResponse(stream.events(gone), media_type="text/event-stream", headers=_STREAM)
    images = await delivery.pictures(actor, job_ids, gone)
    return await answer(delivery, actor, wanted, images, lambda id_: link(request, id_), pixels)


@router.get(
    "/{image_id}/content", response_class=FileResponse, summary="A picture by its `url`", name="openai_image_content"
)
async def content(image_id: str, actor: ApiUser, services: ServicesDep) -> FileResponse:
    path, image = await services.gallery.file(actor, image_id, thumbnail=False)
    return stored_file(str(path), f"image/{image.format}")


def link(request: Request, image_id: str) -> str:
    """Where a client that called as this one did finds the picture."""
    return str(request.base_url).rstrip("/") + f"/v1/images/{image_id}/content"
