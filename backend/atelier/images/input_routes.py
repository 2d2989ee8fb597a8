"""/api/inputs"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.errors import BadRequest
from atelier.images.inputs import MAX_UPLOAD_BYTES, InputStore, once
from atelier.images.schemas import InputOut
from atelier.images.transfer import in_pieces, stored_file
from atelier.routing import Router
from atelier.said import Said

router = Router(prefix="/api/inputs", tags=["inputs"])

_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary", "description": "PNG, JPEG or WebP."}},
    }
}
_WRITTEN = {
    "schema": {
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "description": "A `data:` URL, or an address where those are fetched."}
        },
    }
}
PICTURE_BODY: dict[str, dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _FORM,
            "image/png": _PICTURE,
            "image/jpeg": _PICTURE,
            "image/webp": _PICTURE,
        },
    }
}

_PICTURES = PICTURE_BODY["requestBody"]["content"]
INPUT_BODY = {"requestBody": {"required": True, "content": {**_PICTURES, "application/json": _WRITTEN}}}


@router.post(
    "",
    status_code=201,
    summary="Upload a picture to start from",
    max_body_size=MAX_UPLOAD_BYTES,
    openapi_extra=INPUT_BODY,
)
async def add_input(
    request: Request,
    actor: User,
    services: ServicesDep,
    mask: Annotated[
        bool, Query(description="Keep it as a mask: its brightness, black where it is transparent.")
    ] = False,
) -> InputOut:
    """PNG, JPEG or WebP, 25 MiB and 50 megapixels at most, no animation: as the field `file` of a form, as the body
    itself, or as JSON with its `data:` URL (an address where those are switched on). It is decoded, turned upright and
    kept as a PNG without metadata; the same picture twice is one input. What no request uses goes after a day."""
    async with sent_picture(request, services.inputs) as chunks:
        return await services.inputs.take(actor, chunks, mask=mask)


@router.get("/{input_id}", summary="One uploaded picture")
async def get_input(input_id: str, actor: User, services: ServicesDep) -> InputOut:
    return await services.inputs.get(actor, input_id)


@router.get(
    "/{input_id}/file",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}, "description": "The picture, as it is kept."}},
    summary="The picture as it is kept",
)
async def get_input_file(input_id: str, actor: User, services: ServicesDep) -> FileResponse:
    return stored_file(str(await services.inputs.file(actor, input_id)), "image/png")


@router.delete("/{input_id}", status_code=204, summary="Remove an uploaded picture")
async def delete_input(input_id: str, actor: User, services: ServicesDep) -> None:
    await services.inputs.delete(actor, input_id)


@asynccontextmanager
async def sent_picture(request: Request, inputs: InputStore) -> AsyncIterator[AsyncIterator[bytes]]:
    """The picture of a request in pieces: its body, the field `file` of its form, or the `url` of its JSON."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        yield once(await inputs.bytes_of(await _url_of(request), "url"))
        return
    if not kind.startswith("multipart/form-data"):
        yield request.stream()
        return
    async with request.form(max_files=1, max_fields=4, max_part_size=4096) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            words = Said("The form has no file named `file`.", "input.file_missing")
            raise BadRequest(words, field="file", hint="Send the picture as the form's field `file`.")
        yield in_pieces(file)


async def _url_of(request: Request) -> str:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and isinstance(body.get("url"), str):
        return body["url"]
    words = Said("The JSON has no `url`.", "input.url_missing")
    raise BadRequest(words, field="url", hint="Send the picture as a `data:` URL there.")
