"""The input of a batch, line by line: what each asks, and what is wrong with those that ask nothing.

All of it blocks, and is meant for a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from atelier.openai.batch_schemas import LineError

MOST_LINES = 50_000
MOST_LINE_BYTES = 32 * 2**20
MOST_ERRORS = 100
MOST_ID = 512


@dataclass(frozen=True)
class Line:
    """One request: the number of its line, from 1."""

    number: int
    custom_id: str
    body: dict[str, Any]


class _Wrong(Exception):
    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        self.code, self.message, self.param = code, message, param


def check(path: Path, endpoint: str) -> tuple[int, list[LineError]]:
    """How many requests there are, and what is wrong (the first hundred)."""
    errors: list[LineError] = []
    seen: dict[str, int] = {}
    count = 0
    for number, text in _texts(path):
        count += 1
        try:
            if count > MOST_LINES:
                raise _Wrong("too_many_requests", f"A batch has {MOST_LINES} lines at most; split it.")
            line = _line(number, text, endpoint)
            if (before := seen.setdefault(line.custom_id, number)) != number:
                raise _Wrong("duplicate_custom_id", f"Line {before} has the same custom_id.", "custom_id")
        except _Wrong as wrong:
            errors.append(LineError(code=wrong.code, line=number, message=wrong.message, param=wrong.param))
            if len(errors) >= MOST_ERRORS or count > MOST_LINES:
                break
    if not count:
        errors.append(LineError(code="empty_file", message="The file has no line.", param="input_file_id"))
    return count, errors


def requests(path: Path, endpoint: str) -> Iterator[Line]:
    """The requests of a file that was checked."""
    for number, text in _texts(path):
        yield _line(number, text, endpoint)


def _texts(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and text of the lines that are not empty."""
    with path.open("rb") as file:
        number = 0
        while text := file.readline(MOST_LINE_BYTES + 1):
            number += 1
            if text.strip():
                yield number, text
            if len(text) > MOST_LINE_BYTES:  # the rest of a line that is too long is no line of its own
                return


def _line(number: int, text: bytes, endpoint: str) -> Line:
    if len(text) > MOST_LINE_BYTES:
        raise _Wrong("line_too_long", f"The line is longer than {MOST_LINE_BYTES // 2**20} MiB.")
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _Wrong("invalid_json_line", f"This is not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise _Wrong("invalid_json_line", "This is not a JSON object.")
    custom_id, body = given.get("custom_id"), given.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MOST_ID:
        raise _Wrong("invalid_custom_id", f"custom_id must be text of 1 to {MOST_ID} characters.", "custom_id")
    if given.get("method") != "POST":
        raise _Wrong("invalid_method", 'method must be "POST".', "method")
    if given.get("url") != endpoint:
        raise _Wrong("mismatched_url", f"url must be the endpoint of the batch, {endpoint}.", "url")
    if not isinstance(body, dict):
        raise _Wrong("invalid_body", "body must be a JSON object.", "body")
    if body.get("stream"):
        raise _Wrong("invalid_body", "A line of a batch cannot be streamed; leave out stream.", "body.stream")
    return Line(number, custom_id, body)
