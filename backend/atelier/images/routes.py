"""/api/generate and /api/gallery"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import FileResponse

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.errors import ImageNotFound
from atelier.images.schemas import (
    AcceptedOut,
    GalleryPage,
    GenerationOut,
    ImageDeletedOut,
    ImageToImageIn,
    TextToImageIn,
)
from atelier.said import Said
from atelier.shapes import ImageOut

router = APIRouter(prefix="/api", tags=["images"])

# A picture never changes under its id. It is served as data, never as a page: see `Content-Security-Policy: sandbox`.
_FILE_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
_FILE_RESPONSE = {
    200: {
        "content": {"image/png": {}, "image/webp": {}, "image/jpeg": {}, "video/mp4": {}},
        "description": "The picture or video. Parts of it are answered when they are asked for with `Range`.",
    }
}


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


@router.get("/gallery", summary="A page of the gallery, newest first")
async def list_gallery(
    actor: User,
    services: ServicesDep,
    cursor: Annotated[str | None, Query(max_length=40, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 60,
    model: Annotated[str | None, Query(max_length=200, description="Only pictures of this model.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="Words that the prompt holds.")] = None,
) -> GalleryPage:
    return await services.gallery.page(actor, cursor=cursor, limit=limit, model=model, words=q)


@router.get("/gallery/{image_id}", summary="One picture with its recipe")
async def get_image(image_id: str, actor: User, services: ServicesDep) -> ImageOut:
    return await services.gallery.get(actor, image_id)


@router.delete("/gallery/{image_id}", summary="Delete a picture; it can be restored for an hour")
async def delete_image(image_id: str, actor: User, services: ServicesDep) -> ImageDeletedOut:
    return await services.gallery.delete(actor, image_id)


@router.post("/gallery/{image_id}/restore", summary="Take a picture back out of the trash")
async def restore_image(image_id: str, actor: User, services: ServicesDep) -> ImageOut:
    return await services.gallery.restore(actor, image_id)


@router.get("/gallery/{image_id}/file", response_class=FileResponse, responses=_FILE_RESPONSE, summary="The picture")
async def get_file(
    image_id: str,
    actor: User,
    services: ServicesDep,
    download: Annotated[bool, Query(description="Answer as a download with a file name.")] = False,
) -> FileResponse:
    path, image = await services.gallery.file(actor, image_id, thumbnail=False)
    name = f"atelier-{image.seed}-{image.id}.{image.format}" if download else None
    return stored_file(str(path), _media_type(image.format), name)


@router.get(
    "/gallery/{image_id}/thumbnail", response_class=FileResponse, responses=_FILE_RESPONSE, summary="The picture, small"
)
async def get_thumbnail(image_id: str, actor: User, services: ServicesDep) -> FileResponse:
    path, _image = await services.gallery.file(actor, image_id, thumbnail=True)
    return stored_file(str(path), "image/webp")


def _media_type(form: str) -> str:
    return f"video/{form}" if form == "mp4" else f"image/{form}"


class _ImageFile(FileResponse):
    """A file response that answers a missing file with our own 404."""

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        try:
            await super().__call__(scope, receive, send)
        except RuntimeError as error:
            if "does not exist" not in str(error):
                raise
            raise ImageNotFound(
                Said("The file of this picture is gone.", "image.file_gone"),
                hint="Delete the picture, or restore the file.",
            ) from None


def stored_file(path: str, media_type: str, name: str | None = None) -> FileResponse:
    """A picture of ours as an answer; with a `name` as a download."""
    return _ImageFile(path, media_type=media_type, filename=name, headers=_FILE_HEADERS)
