"""Pictures over HTTP: how the doors hand out stored files and read those of a form."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from atelier.errors import ImageNotFound
from atelier.said import Said

CHUNK = 256 * 1024
# A picture never changes under its id. It is served as data, never as a page: see `Content-Security-Policy: sandbox`.
FILE_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


def stored_file(path: str, media_type: str, name: str | None = None) -> FileResponse:
    """A picture of ours as an answer; with a `name` as a download."""
    return _ImageFile(path, media_type=media_type, filename=name, headers=FILE_HEADERS)


async def in_pieces(file: UploadFile) -> AsyncIterator[bytes]:
    """A form's file, as `InputStore.take` wants it."""
    while chunk := await file.read(CHUNK):
        yield chunk


class _ImageFile(FileResponse):
    """A file response that answers a missing file with our own 404."""

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        try:
            await super().__call__(scope, receive, send)
        except RuntimeError as error:
            if "does not exist" not in str(error):
                raise
            raise file_gone() from None


def file_gone() -> ImageNotFound:
    words = Said("The file of this picture is gone.", "image.file_gone")
    return ImageNotFound(words, hint="Delete the picture, or restore the file.")
