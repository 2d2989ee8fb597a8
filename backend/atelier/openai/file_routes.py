"""/v1/files"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Header, Path, Query, Request
from fastapi.responses import FileResponse

from atelier.access.actor import ApiUser
from atelier.config import BatchSettings
from atelier.deps import ServicesDep
from atelier.openai.envelope import ERRORS
from atelier.openai.file_schemas import UPLOAD, FileDeleted, FileObject, FileObjects, Purpose
from atelier.routing import Router

router = Router(prefix="/v1/files", tags=["openai"], responses=ERRORS)

MAX_UPLOAD_BYTES = BatchSettings.file_bytes + 2**20
"""Of the file and the form around it."""
# What somebody gave is never shown as a page of ours.
ATTACHED = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="The same key gives the same answer, however often it is sent."),
]
FileId = Annotated[str, Path(max_length=64)]


@router.post(
    "", summary="Upload a file", name="openai_create_file", max_body_size=MAX_UPLOAD_BYTES, openapi_extra=UPLOAD
)
async def create_file(
    request: Request, actor: ApiUser, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> FileObject:
    """For batches: JSON lines, one request each. The file goes to disk as it comes; it is there once this answers."""
    return await services.files.take(actor, request.headers, request.stream(), idempotency_key)


@router.get("", summary="List the files", name="openai_list_files")
async def list_files(
    actor: ApiUser,
    services: ServicesDep,
    after: Annotated[str | None, Query(max_length=64, description="The last id of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="How many files at most.")] = 10_000,
    order: Annotated[
        Literal["asc", "desc"], Query(description="By the time that they were made; `desc`: newest first.")
    ] = "desc",
    purpose: Annotated[Purpose | Literal["batch_output"] | None, Query(description="Only files for this.")] = None,
) -> FileObjects:
    return await services.files.page(actor, after=after, purpose=purpose, order=order, limit=limit)


@router.get("/{file_id}", summary="Show a file", name="openai_get_file")
async def get_file(file_id: FileId, actor: ApiUser, services: ServicesDep) -> FileObject:
    return await services.files.get(actor, file_id)


@router.get(
    "/{file_id}/content",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file's bytes."}},
    summary="Download a file",
    name="openai_file_content",
)
async def file_content(file_id: FileId, actor: ApiUser, services: ServicesDep) -> FileResponse:
    path, file = await services.files.path(actor, file_id)
    return FileResponse(path, media_type="application/octet-stream", filename=file.filename, headers=ATTACHED)


@router.delete("/{file_id}", summary="Delete a file", name="openai_delete_file")
async def delete_file(file_id: FileId, actor: ApiUser, services: ServicesDep) -> FileDeleted:
    """Refused while a batch that has not ended needs it."""
    await services.files.delete(actor, file_id)
    return FileDeleted(id=file_id)
