"""/api/gallery: looking, changing, files"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Query
from fastapi.responses import FileResponse, Response, StreamingResponse

from atelier.access.actor import User
from atelier.clock import now
from atelier.deps import ServicesDep
from atelier.errors import BadRequest
from atelier.images.archive import MAX_FILES
from atelier.images.gallery_schemas import (
    AmountOut,
    BulkEditIn,
    BulkEditOut,
    FacetsOut,
    ImageEditIn,
    LineageOut,
    MarksPage,
    StorageOut,
    Tag,
)
from atelier.images.schemas import AcceptedOut, GalleryPage, ImageDeletedOut
from atelier.images.search import Aspect, Look, Sort
from atelier.images.settings import SettingsOut
from atelier.images.transfer import FILE_HEADERS, file_gone, stored_file
from atelier.routing import Router
from atelier.said import Said
from atelier.shapes import ImageOut

router = Router(prefix="/api", tags=["images"])

_FILE_RESPONSE = {
    200: {
        "content": {"image/png": {}, "image/webp": {}, "image/jpeg": {}, "video/mp4": {}},
        "description": "The picture or video. Parts of it are answered when they are asked for with `Range`.",
    }
}


async def _look(
    q: Annotated[str | None, Query(max_length=200, description="Words that the prompt holds.")] = None,
    model: Annotated[str | None, Query(max_length=200, description="Only pictures of this model: its key.")] = None,
    lora: Annotated[str | None, Query(max_length=200, description="Made with this LoRA: its key.")] = None,
    size: Annotated[str | None, Query(pattern="^[0-9]{1,6}x[0-9]{1,6}$", description="`512x768`, pixels.")] = None,
    aspect: Annotated[
        Aspect | None, Query(description="Wider than high, higher than wide, or as wide as high.")
    ] = None,
    since: Annotated[datetime | None, Query(description="Made at this time or later; without a zone in UTC.")] = None,
    until: Annotated[datetime | None, Query(description="Made before this time; without a zone in UTC.")] = None,
    kind: Annotated[Literal["image", "video"] | None, Query(description="Only pictures, or only videos.")] = None,
    favourite: Annotated[bool | None, Query(description="Only favourites, or only what is none.")] = None,
    rating: Annotated[int | None, Query(ge=1, le=5, description="So many stars or more.")] = None,
    unrated: Annotated[bool | None, Query(description="Only those without a rating.")] = None,
    tag: Annotated[list[Tag], Query(max_length=5, description="Each of these tags.")] = [],  # noqa: B006
    collection: Annotated[str | None, Query(max_length=40, description="Id of a collection.")] = None,
    parent: Annotated[str | None, Query(max_length=40, description="Made from this picture: its id.")] = None,
    sort: Annotated[Sort, Query(description="`rating`: most stars first, and of equals the newest.")] = "newest",
) -> Look:
    """What of the gallery is asked for: all filters together."""
    return Look(
        words=q or None,
        model=model,
        lora=lora,
        size=None if size is None else (int(size.partition("x")[0]), int(size.partition("x")[2])),
        aspect=aspect,
        since=_in_utc(since),
        until=_in_utc(until),
        kind=kind,
        favourite=favourite,
        rating=rating,
        unrated=unrated or None,
        tags=tuple(dict.fromkeys(tag)),
        collection=collection,
        parent=parent,
        sort=sort,
    )


Cursor = Annotated[str | None, Query(max_length=40, description="`next_cursor` of the page before.")]


@router.get("/gallery", summary="A page of the gallery, newest first")
async def list_gallery(
    actor: User,
    services: ServicesDep,
    look: Annotated[Look, Depends(_look)],
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many pictures at most.")] = 60,
) -> GalleryPage:
    """All filters together. A page goes on with the same filters and the same order as the one before."""
    return await services.gallery.page(actor, look, cursor=cursor, limit=limit)


@router.get("/gallery/marks", summary="Which pictures match, with no more than what was said of them")
async def list_marks(
    actor: User,
    services: ServicesDep,
    look: Annotated[Look, Depends(_look)],
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=2000, description="How many pictures at most.")] = 2000,
) -> MarksPage:
    """For one change to all that a search finds: filters, orders and pages as of `GET /api/gallery`, a hundredth of the
    bytes. `POST /api/gallery/edit` takes the ids, 500 at once."""
    return await services.gallery.marks(actor, look, cursor=cursor, limit=limit)


@router.get("/gallery/facets", summary="What the gallery can be filtered by")
async def gallery_facets(actor: User, services: ServicesDep) -> FacetsOut:
    return await services.gallery.facets(actor)


@router.get("/gallery/storage", summary="What pictures take on the disk, and what could be freed")
async def gallery_storage(actor: User, services: ServicesDep) -> StorageOut:
    return await services.usage.get(actor)


@router.delete("/gallery/trash", summary="Empty the trash now: what was deleted is gone for good")
async def empty_trash(actor: User, services: ServicesDep) -> AmountOut:
    return await services.usage.empty_trash(actor)


@router.get(
    "/gallery/archive",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "A zip file."}},
    summary="Download many pictures as a zip file",
)
async def get_archive(
    actor: User,
    services: ServicesDep,
    ids: Annotated[str, Query(min_length=1, max_length=MAX_FILES * 41, description="Ids of pictures, with commas.")],
) -> StreamingResponse:
    """500 pictures and 2 GB at most. The length is said beforehand, so that a browser can show how far it is."""
    wanted = ids.split(",")
    if len(wanted) > MAX_FILES:
        raise BadRequest(
            Said(f"An archive holds {MAX_FILES} pictures at most.", "image.archive_too_many", limit=MAX_FILES),
            field="query.ids",
            hint="Download them in several parts.",
        )
    found = await services.archive.of(actor, wanted)
    name = f"atelier-{now():%Y-%m-%d}-{len(found.entries)}.zip"
    headers = {**FILE_HEADERS, "Cache-Control": "no-store", "Content-Length": str(found.length)}
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return StreamingResponse(found.pieces(), media_type="application/zip", headers=headers)


@router.post("/gallery/edit", summary="Change many pictures at once: all of them or none")
async def edit_images(wanted: BulkEditIn, actor: User, services: ServicesDep) -> BulkEditOut:
    return await services.editor.change_many(actor, wanted)


@router.get("/gallery/{image_id}", summary="One picture with its recipe")
async def get_image(image_id: str, actor: User, services: ServicesDep) -> ImageOut:
    return await services.gallery.get(actor, image_id)


@router.get("/gallery/{image_id}/settings", summary="The settings that make a picture again, as they were typed")
async def get_image_settings(image_id: str, actor: User, services: ServicesDep) -> SettingsOut:
    """With the styles, the `<lora:…>` and the words before a translation, where they come to the same picture today;
    else with the words that were drawn."""
    return await services.settings_reader.of(actor, await services.gallery.get(actor, image_id))


@router.patch("/gallery/{image_id}", summary="Rate a picture, mark it, tag it, write a note")
async def edit_image(image_id: str, wanted: ImageEditIn, actor: User, services: ServicesDep) -> ImageOut:
    return await services.editor.change(actor, image_id, wanted)


@router.get("/gallery/{image_id}/lineage", summary="What a picture was made from, and what came of it")
async def image_lineage(image_id: str, actor: User, services: ServicesDep) -> LineageOut:
    return await services.gallery.lineage(actor, image_id)


@router.post("/gallery/{image_id}/verify", status_code=202, summary="Make a picture again from its recipe, and compare")
async def verify_image(image_id: str, actor: User, services: ServicesDep) -> AcceptedOut:
    """A job like any other; what came of it stands in the picture's `verified`. What was made again is thrown away."""
    return await services.verifier.ask(actor, image_id)


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
async def get_thumbnail(image_id: str, actor: User, services: ServicesDep) -> Response:
    path, _image = await services.gallery.file(actor, image_id, thumbnail=True)
    try:  # a gallery that is scrolled asks for hundreds: one turn of a thread for each instead of four
        content = await asyncio.to_thread(path.read_bytes)
    except FileNotFoundError:
        raise file_gone() from None
    return Response(content, media_type="image/webp", headers=FILE_HEADERS)


def _media_type(form: str) -> str:
    return f"video/{form}" if form == "mp4" else f"image/{form}"


def _in_utc(time: datetime | None) -> datetime | None:
    return time and (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC))
