"""A form whose file goes straight to its place on disk: hashed, counted and capped on the way, in pieces.

(Starlette's own parser puts it into the folder for temporary files first: there is not always room for it twice.)
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import UploadFile
from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from atelier.errors import FileRefused
from atelier.said import Said

MOST_FIELDS = 8
MOST_FIELD_BYTES = 4096
WRITTEN_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Sink:
    """The file on disk that takes an upload's bytes. Raises FileRefused past `limit`, and when the disk is full."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path, self._limit = path, limit
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._hash.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            raise no_room(error) from error

    def finish(self) -> str:
        """The file is whole and on disk; its SHA-256."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise no_room(error) from error
        self._file.close()
        return self._hash.hexdigest()

    def seek(self, _position: int) -> int:
        """Nobody reads what was written here."""
        return 0

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:  # what could not be written is thrown away
            return


class UploadParser(MultiPartParser):
    """Takes one file, into the sink, and a few short fields beside it."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], sink: Sink) -> None:
        super().__init__(headers, stream, max_files=1, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES)
        self._sink = sink

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        part = self._current_part
        if part.file is not None:
            part.file.file.close()
            part.file = UploadFile(file=self._sink, size=0, filename=part.file.filename)  # type: ignore[arg-type]

    async def form(self) -> FormData:
        """The form. Raises FileRefused, and HTTPException for what is no form."""
        if not self.headers.get("content-type", "").startswith("multipart/form-data"):
            raise HTTPException(400, "It is no multipart/form-data.")
        try:
            return await self.parse()
        except MultiPartException as error:
            raise HTTPException(400, error.message) from error


def too_large(limit: int) -> FileRefused:
    words = Said(f"The file is larger than {limit / 2**20:g} MiB.", "file.too_large", mebibytes=round(limit / 2**20, 3))
    return FileRefused(words, code="file_too_large", hint="Split it into several files.")


def no_room(error: OSError) -> FileRefused | OSError:
    if error.errno not in WRITTEN_FULL:
        return error
    words = Said("There is no room on the server's disk for the file.", "file.no_room")
    return FileRefused(words, code="file_no_room", hint="Free some space, then try again.")
