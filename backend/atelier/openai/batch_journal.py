"""What a batch has answered so far: a file that only grows, so that no answer is lost and none is there twice.

Each record is a line of text and the answer as it will stand in the output:

    <line> <o or e> <bytes> <crc32> <tokens>\\n<answer>\\n            o: for the output file, e: for the error file

`tokens` are those that the answer's engine counted: of the prompt, from its cache, of the answer, of reasoning.
It is on disk (fdatasync) before the line counts as answered. A power failure may leave half a record at the end: `open`
cuts it off, and that line is asked again. Should a line be there twice, the first counts.
"""

from __future__ import annotations

import os
import re
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

# Without tokens as an earlier Atelier wrote them.
_HEAD = re.compile(rb"(\d+) ([oe]) (\d+) ([0-9a-f]{8})(?: (\d+) (\d+) (\d+) (\d+))?\n")
_LONGEST_HEAD = 160


class Tokens(NamedTuple):
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Tokens:
        """What an answer says of itself, in the words of any endpoint; nothing where it says nothing."""
        usage = body.get("usage")
        if not isinstance(usage, dict):
            return cls()
        given = _details(usage, "input_tokens_details", "prompt_tokens_details")
        made = _details(usage, "output_tokens_details", "completion_tokens_details")
        return cls(
            _count(usage, "input_tokens", "prompt_tokens"),
            _count(given, "cached_tokens"),
            _count(usage, "output_tokens", "completion_tokens"),
            _count(made, "reasoning_tokens"),
        )

    def plus(self, other: Tokens) -> Tokens:
        return Tokens(*(one + more for one, more in zip(self, other, strict=True)))


def _details(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    return next((usage[name] for name in names if isinstance(usage.get(name), dict)), {})


def _count(usage: dict[str, Any], *names: str) -> int:
    return next((usage[name] for name in names if isinstance(usage.get(name), int) and 0 <= usage[name] < 2**40), 0)


@dataclass(frozen=True)
class Answer:
    """A line of the output or error file: which line of the input it answers, from 1."""

    line: int
    is_error: bool
    text: bytes
    tokens: Tokens = Tokens()


@dataclass(frozen=True)
class Kept:
    is_error: bool
    offset: int
    length: int


class Journal:
    """One attempt writes it; others may read meanwhile. All calls block, and may come from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: int | None = None
        self.kept: dict[int, Kept] = {}
        self.failed = 0
        self.tokens = Tokens()

    def open(self) -> None:
        """Read what is there, cut off what is not whole, and take more."""
        with self._lock:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            end = self._read(check=True)
            os.ftruncate(self._file, end)
            os.lseek(self._file, end, os.SEEK_SET)

    def look(self) -> None:
        """Read what is there, and take no more."""
        with self._lock:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._read(check=False)

    def _read(self, *, check: bool) -> int:
        """Index the records; where the last whole one ends. Without `check` their answers are not read."""
        assert self._file is not None
        at, size = 0, os.fstat(self._file).st_size
        while head := _HEAD.match(os.pread(self._file, _LONGEST_HEAD, at)):
            line, kind, length, crc = int(head[1]), head[2], int(head[3]), int(head[4], 16)
            begin = at + head.end()
            if begin + length + 1 > size:
                break
            if check and zlib.crc32(os.pread(self._file, length, begin)) != crc:
                break
            self._note(line, Kept(kind == b"e", begin, length), Tokens(*map(int, filter(None, head.groups()[4:]))))
            at = begin + length + 1
        return at

    def _note(self, line: int, kept: Kept, tokens: Tokens) -> None:
        if line not in self.kept:
            self.kept[line] = kept
            self.tokens = self.tokens.plus(tokens)
            self.failed += kept.is_error

    def append(self, answers: Sequence[Answer]) -> None:
        """All of them on disk, or an OSError and none of them counted. Nothing once it was closed."""
        with self._lock:
            if self._file is None:
                return
            at, notes, pieces = os.lseek(self._file, 0, os.SEEK_CUR), [], []
            begin = at
            for one in answers:
                kind = b"e" if one.is_error else b"o"
                crc = zlib.crc32(one.text)
                head = b"%d %b %d %08x %d %d %d %d\n" % (one.line, kind, len(one.text), crc, *one.tokens)
                notes.append((one.line, Kept(one.is_error, at + len(head), len(one.text)), one.tokens))
                pieces += [head, one.text, b"\n"]
                at += len(head) + len(one.text) + 1
            try:
                _write(self._file, b"".join(pieces))
                os.fdatasync(self._file)
            except OSError:
                os.ftruncate(self._file, begin)
                os.lseek(self._file, begin, os.SEEK_SET)
                raise
            for note in notes:
                self._note(*note)

    def answers(self, *, errors: bool) -> Iterator[bytes]:
        """The lines of the output or of the error file, in the order of the input, as far as they are there."""
        with self._lock:
            chosen = [kept for _, kept in sorted(self.kept.items(), key=_line) if kept.is_error == errors]
        file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for kept in chosen:
                yield os.pread(file, kept.length, kept.offset) + b"\n"
        finally:
            os.close(file)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def _line(item: tuple[int, Kept]) -> int:
    return item[0]


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
