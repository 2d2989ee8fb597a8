"""Many pictures as one zip file, written while it is sent: no copy on the disk, no more than a piece in memory.

Pictures are stored as they are, being compressed already. So the archive's length is known before its first byte:
for each file a header, the data, a descriptor and an entry of the directory, and one end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from atelier.access.actor import Actor
from atelier.db import Database
from atelier.errors import BadRequest, ImageNotFound
from atelier.images import store
from atelier.said import Said
from atelier.storage import Storage
from atelier.tables import ImageRow

MAX_FILES = 500
# Below what a zip file without 64-bit lengths can hold: every program can read it.
MAX_BYTES = 2_000_000_000
_PIECE = 256 * 1024
_HEADER, _DESCRIPTOR, _ENTRY, _END = 30, 16, 46, 22


@dataclass(frozen=True)
class _Entry:
    name: str
    path: Path
    size: int
    row: ImageRow


@dataclass(frozen=True)
class Zip:
    """`pieces()` blocks while it reads: it is run on a thread."""

    entries: list[_Entry]

    @property
    def length(self) -> int:
        """Bytes of the whole archive."""
        each = (_HEADER + _DESCRIPTOR + _ENTRY + 2 * len(entry.name) + entry.size for entry in self.entries)
        return sum(each) + _END

    def pieces(self) -> Iterator[bytes]:
        sink = _Sink()
        with ZipFile(sink, "w", ZIP_STORED) as archive:  # type: ignore[call-overload]
            for entry in self.entries:
                info = ZipInfo(entry.name, entry.row.created_at.timetuple()[:6])
                info.file_size, info.external_attr = entry.size, 0o600 << 16
                with archive.open(info, "w") as target, entry.path.open("rb") as source:
                    while piece := source.read(_PIECE):
                        target.write(piece)
                        yield sink.taken()
        yield sink.taken()


class _Sink:
    """What was written since somebody last took it. It cannot seek, so zipfile puts lengths behind the data."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class Archive:
    """Puts pictures together for users."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database, self._storage = database, storage

    async def of(self, actor: Actor, ids: list[str]) -> Zip:
        """In the order of `ids`. Raises ImageNotFound, BadRequest."""
        ids = list(dict.fromkeys(ids))
        async with self._database.read() as session:
            found = {row.id: row for row in await store.find_many(session, actor, ids)}
        missing = [at for at, image_id in enumerate(ids) if image_id not in found]
        if missing:
            words = Said(
                f"{len(missing)} of these pictures are not in the gallery.", "image.many_missing", count=len(missing)
            )
            fields = {f"query.ids.{at}": words for at in missing}
            raise ImageNotFound(words, hint="They may have been deleted. Leave them out.", fields=fields)
        entries = await asyncio.to_thread(lambda: [self._entry(found[image_id]) for image_id in ids])
        total = sum(entry.size for entry in entries)
        if total > MAX_BYTES:
            raise BadRequest(
                Said(
                    f"These pictures are {total} bytes together, but an archive holds {MAX_BYTES} at most.",
                    "image.archive_too_large",
                    bytes=total,
                    limit=MAX_BYTES,
                ),
                field="query.ids",
                hint="Download them in several parts.",
            )
        return Zip(entries)

    def _entry(self, row: ImageRow) -> _Entry:
        extension = "jpg" if row.format == "jpeg" else row.format
        path = self._storage.image_file(row.job_id, f"{row.index}.{row.format}")
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise ImageNotFound(
                Said("The file of this picture is gone.", "image.file_gone"),
                hint="Delete the picture, or restore the file.",
            ) from None
        return _Entry(f"{row.created_at:%Y-%m-%d}-{row.seed}-{row.id}.{extension}", path, size, row)
