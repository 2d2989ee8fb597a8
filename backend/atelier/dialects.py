"""Whose API a path belongs to, and how that API tells an error: each door answers as its clients expect it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Dialect = Literal["atelier", "openai", "automatic1111", "creatures", "imagen"]

# A path, or how paths begin; the longest that fits decides.
DIALECTS: dict[str, Dialect] = {
    "/v1/": "openai",
    "/v1/generate": "creatures",
    "/tokenize": "openai",
    "/detokenize": "openai",
    "/sdapi/": "automatic1111",
    "/internal/": "automatic1111",
    "/token": "imagen",
    "/generar-": "imagen",
}

Values = dict[str, Any]


@dataclass(frozen=True)
class Envelope:
    """What an API answers in place of problem details (`problems.Problem`, as plain values): its body, and where they
    differ the status and further headers."""

    body: Callable[[Values], Values]
    status: Callable[[Values], int] = lambda problem: problem["status"]
    headers: Callable[[Values], dict[str, str]] = lambda _problem: {}


Envelopes = Mapping[Dialect, Envelope]


def dialect_of(path: str) -> Dialect:
    fitting = [one for one in DIALECTS if path == one or (one[-1] in "/-" and path.startswith(one))]
    return DIALECTS[max(fitting, key=len)] if fitting else "atelier"


def imagen_body(problem: Values) -> Values:
    """`{"detail": …}`, as FastAPI tells errors: words, or a list with the place of each field that is wrong."""
    if problem["code"] != "validation_failed" or not problem["errors"]:
        return {"detail": problem["detail"]}
    return {"detail": [_field(error) for error in problem["errors"]]}


def _field(error: Values) -> Values:
    said = error.get("said") or {}
    kind = str(said.get("code", "")).removeprefix("field.") or "value_error"
    path = [] if error["field"] == "body" else str(error["field"]).split(".")
    return {"type": kind, "loc": ["body", *path], "msg": error["message"]}
