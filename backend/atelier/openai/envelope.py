"""How `/v1` says that something is wrong: OpenAI's error object.

Clients tell errors by the status: a wrong request is 400 (never 422), and 409, 429 and 5xx are tried again unless
`x-should-retry: false` says that it would be in vain.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from atelier.dialects import Envelope

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
IN_VAIN = {409, 500, 507}
IN_VAIN_CODES = {"not_enough_memory", "out_of_memory", "poison"}


def body(problem: dict[str, Any]) -> dict[str, Any]:
    """From problem details to the body of the answer."""
    status, errors = problem["status"], problem["errors"]
    words = " ".join(part for part in (problem["detail"], problem["hint"]) if part)
    kind = "server_error" if status >= 500 else TYPES.get(status, "invalid_request_error")
    return {
        "error": {
            "message": words,
            "type": kind,
            "param": errors[0]["field"] if errors else None,
            "code": problem["code"],
        }
    }


def status_of(problem: dict[str, Any]) -> int:
    return 400 if problem["status"] == 422 else problem["status"]


def headers_of(problem: dict[str, Any]) -> dict[str, str]:
    in_vain = problem["status"] in IN_VAIN or problem["code"] in IN_VAIN_CODES
    return {"x-should-retry": "false"} if in_vain else {}


class ErrorWords(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorObject(BaseModel):
    error: ErrorWords


ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorObject, "description": "OpenAI's error object."}}
ENVELOPE = Envelope(body, status_of, headers_of)
