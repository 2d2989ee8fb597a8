"""How `/sdapi` says that something is wrong: A1111's four fields."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from atelier.dialects import Envelope


def body(problem: dict[str, Any]) -> dict[str, Any]:
    """From problem details to the body of the answer. Clients show `detail`."""
    fields = "; ".join(f"{one['field']}: {one['message']}" for one in problem["errors"])
    more = " ".join(part for part in (problem["hint"], fields if fields not in problem["detail"] else "") if part)
    return {"error": "HTTPException", "detail": problem["detail"], "body": "", "errors": more}


class SdError(BaseModel):
    error: str
    detail: str
    body: str
    errors: str


ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": SdError, "description": "A1111's four fields."}}
ENVELOPE = Envelope(body)
