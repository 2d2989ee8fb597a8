"""What clients get: errors in the words of the API they called, both spellings of reasoning, and streams as they came.

An engine's events pass untouched. Only where something has to change (figures that the client did not ask for,
reasoning under its other name) are they looked at, and then by a search for a few bytes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from atelier.chat.order import Order
from atelier.errors import AtelierError

WITH_STREAM_OPTIONS = frozenset({"/v1/chat/completions", "/v1/completions"})
MESSAGES = "/v1/messages"
CONTEXT_FULL = "context_length_exceeded"
"""OpenAI's code for a request that is longer than the model's context; its clients look for it."""
DONE = b"data: [DONE]\n\n"

OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
    503: "overloaded_error",
}
OPENAI_CODES = {400: "invalid_request", 404: "not_found", 413: "body_too_large", 429: "engine_busy"}
MOST_WORDS = 2000
_TOO_LONG = re.compile(r"maximum (context|model) length|context (window|length)", re.IGNORECASE)
_FIGURES = re.compile(rb'"usage":\s?\{')
_INTERNALS = re.compile(r"(?<![\w/:])(/[\w.-]+){2,}|\b0x[0-9a-fA-F]{6,}\b")

Body = dict[str, Any]


def parsed(raw: bytes) -> Body:
    """An engine's JSON object; empty for what is none."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return found if found.__class__ is dict else {"message": str(found)}


def is_anthropic(path: str) -> bool:
    return path.startswith(MESSAGES)


# ── errors ────────────────────────────────────────────────────────────────────


def openai_error(status: int, answer: Mapping[str, Any]) -> Body:
    """OpenAI's error object, out of whatever an engine answered: words, numbers for codes, types of its own."""
    found = answer.get("error", answer)
    given: Mapping[str, Any] = found if isinstance(found, Mapping) else {"message": found}
    words = given.get("message") or given.get("detail") or ""
    words = words if isinstance(words, str) else orjson.dumps(words).decode()
    if status >= 500:
        words, code = "The engine could not answer this request.", "engine_error"
    else:
        code = given.get("code")
        code = code if isinstance(code, str) and not code.isdigit() else OPENAI_CODES.get(status, "invalid_request")
        if status == 400 and _TOO_LONG.search(words):
            code = CONTEXT_FULL
    return _openai(status, _INTERNALS.sub("…", words)[:MOST_WORDS] or "The engine refused this.", code, given)


def _openai(status: int, words: str, code: str, given: Mapping[str, Any]) -> Body:
    field = given.get("param")
    kind = "server_error" if status >= 500 else OPENAI_TYPES.get(status, "invalid_request_error")
    return {"error": {"message": words, "type": kind, "param": field if isinstance(field, str) else None, "code": code}}


def from_error(error: AtelierError) -> Body:
    """OpenAI's error object for an error of ours."""
    words = " ".join(part for part in (error.message, error.hint) if part)
    return _openai(error.status, words, error.code, {"param": next(iter(error.fields), None)})


def anthropic_error(status: int, error: Body) -> Body:
    """Anthropic's error object, from OpenAI's."""
    kind = ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": error["error"]["message"]}}


def error_event(path: str, error: Body, status: int = 500) -> bytes:
    """The last event of a stream that went wrong, as the clients of this API expect it."""
    if is_anthropic(path):
        return b"event: error\ndata: " + orjson.dumps(anthropic_error(status, error)) + b"\n\n"
    if path.startswith("/v1/responses"):
        inner = error["error"]
        event = {"type": "error", "code": inner["code"], "message": inner["message"], "param": inner["param"]}
        return b"event: error\ndata: " + orjson.dumps({**event, "sequence_number": 0, **error}) + b"\n\n"
    return b"data: " + orjson.dumps(error) + b"\n\n" + DONE


# ── what is changed on the way ────────────────────────────────────────────────


def both_spellings(answer: Body) -> Body:
    """The reasoning of each choice as `reasoning` and as `reasoning_content`, where one of them is there."""
    for choice in answer.get("choices") or ():
        for name in ("message", "delta"):
            if (part := choice.get(name)).__class__ is dict:
                _mirror(part)
    return answer


def _mirror(part: Body) -> None:
    one, other = part.get("reasoning"), part.get("reasoning_content")
    if one is not None and other is None:
        part["reasoning_content"] = one
    elif other is not None and one is None:
        part["reasoning"] = other


class Edit:
    """Changes the events of one stream. Only whole events are passed on: the rest of one waits for its end."""

    def __init__(self, order: Order) -> None:
        self._strips = order.adds_usage
        self._mirrors = order.target.reasons and order.path in WITH_STREAM_OPTIONS
        self.is_needed = self._strips or self._mirrors
        self._rest = b""

    def __call__(self, piece: bytes) -> bytes:
        if self._rest:
            piece, self._rest = self._rest + piece, b""
        if not piece.endswith(b"\n\n"):
            whole, mark, self._rest = piece.rpartition(b"\n\n")
            piece = whole + mark
        strips = self._strips and _FIGURES.search(piece) is not None
        if not strips and not (self._mirrors and b'"reasoning' in piece):
            return piece
        return b"".join(self._changed(event) for event in piece.split(b"\n\n") if event)

    def last(self) -> bytes:
        """What never became whole."""
        rest, self._rest = self._rest, b""
        return rest

    def _changed(self, event: bytes) -> bytes:
        if event.startswith(b"data: {") and (b'"usage":' in event or b'"reasoning' in event):
            body = parsed(event[6:])
            if self._strips and body.get("usage") and not body.get("choices"):
                return b""
            if self._mirrors and b'"reasoning' in event:
                return b"data: " + orjson.dumps(both_spellings(body)) + b"\n\n"
        return event + b"\n\n"
