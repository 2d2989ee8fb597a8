"""Log files of engine processes: opened for them, read from the end, kept from growing without bound.

A worker may write a gigabyte; the file is cut back to its last part whenever it is seen to be larger than `MAX_BYTES`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

LINES = 40
LINE_CHARACTERS = 400
READ_BYTES = 64 * 1024
KEPT_BYTES = 256 * 1024
MAX_BYTES = 64 * 1024 * 1024
FRAMES = 3
FRAME = re.compile(r'  File ".*", line (\d+|\?\?\?) in ')


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file for a process's output, appended to, readable by this user only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "ab", buffering=0) as file:
        yield file


def read(path: Path, lines: int = LINES) -> tuple[str, ...]:
    """The last lines, each shortened, control characters removed; from the part that was cut off when it must."""
    found = _lines(path)
    if len(found) < lines:
        found = _lines(_older(path)) + found
    return tuple(found[-lines:])


def follow(path: Path, after: int, most: int) -> tuple[list[str], int, bool]:
    """The whole lines after byte `after`, of the last `most` bytes; where they end; whether some were left out.

    A file that was cut back is shorter than `after`: it is read from its beginning then.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            was_cut = after > size
            begin = max(0 if was_cut else after, size - most)
            file.seek(begin)
            read = file.read(most)
    except OSError:
        return [], 0, False
    skipped = was_cut or begin > after
    first = read.find(b"\n") + 1 if skipped and begin else 0  # a line whose beginning is not here is left out
    stop = read.rfind(b"\n") + 1
    return _clean(read[first:stop].lstrip(b"\0").decode(errors="replace")), begin + stop, skipped


def cut(path: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Cut the file back when it is too large. The writer keeps it open, so it is emptied, not replaced."""
    try:
        if path.stat().st_size <= max_bytes:
            return False
        kept = _end(path, KEPT_BYTES)
        _older(path).write_bytes(kept)
        os.truncate(path, 0)
    except OSError:
        return False
    return True


def remove(path: Path) -> None:
    for part in (path, _older(path)):
        part.unlink(missing_ok=True)


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def _end(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - size))
        return file.read(size)


def _lines(path: Path) -> list[str]:
    try:
        text = _end(path, READ_BYTES).lstrip(b"\0").decode(errors="replace")
    except OSError:
        return []
    return _clean(text)


def _clean(text: str) -> list[str]:
    rows = (row.rpartition("\r")[2] if not row.endswith("\r") else row[:-1] for row in text.split("\n"))
    clean = ("".join(c for c in row if c.isprintable() or c == "\t") for row in rows)
    return list(_short(row for row in clean if row.strip()))


def _short(rows: Iterable[str]) -> Iterator[str]:
    """Long rows cut; of each stack that Python dumps when it crashes, the innermost frames only."""
    frames = 0
    for row in rows:
        frames = frames + 1 if FRAME.match(row) else 0
        if frames <= FRAMES:
            yield row if len(row) <= LINE_CHARACTERS else row[:LINE_CHARACTERS] + "…"
