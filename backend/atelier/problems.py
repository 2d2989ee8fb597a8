"""Errors on the wire: RFC 9457 problem details for `/api`, and for the doors of other APIs what their clients expect
(`install` is told how). One place, so that no route writes its own.

The response carries the request's id; paths, addresses and tracebacks stay in the log under that id.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from atelier.dialects import Envelopes, dialect_of
from atelier.errors import AtelierError, TooManyJobs, Unauthorized
from atelier.shapes import SaidOut

log = structlog.get_logger("atelier.http")


class FieldProblem(BaseModel):
    field: str = Field(description="Where in the request: `prompt`, `query.limit`, `header.idempotency-key`.")
    message: str
    said: SaidOut | None = None


class Problem(BaseModel):
    """An error as RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="What is wrong, with the field and the limit.")
    code: str = Field(description="A stable word for programs.")
    hint: str = Field("", description="What to do next.")
    said: SaidOut | None = Field(None, description="Which sentence `detail` is, where one code has several.")
    errors: list[FieldProblem] = Field(
        [], description="Every field that is wrong, each with what is wrong with it; empty where none is to blame."
    )
    request_id: str = Field("", description="Under which the log has more; the response's header `x-request-id` too.")


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request cannot be served; the body says why and what to do."},
}


def problem_response(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    problem.request_id = request.scope.get("atelier.request_id", "")
    envelopes: Envelopes = request.app.state.envelopes
    if envelope := envelopes.get(dialect_of(request.scope["path"])):
        values = problem.model_dump()
        return JSONResponse(
            envelope.body(values), envelope.status(values), {**envelope.headers(values), **(headers or {})}
        )
    return JSONResponse(problem.model_dump(), problem.status, headers, media_type="application/problem+json")


def from_error(error: AtelierError) -> Problem:
    said = SaidOut.of(error.message)
    fields = [FieldProblem(field=name, message=words, said=SaidOut.of(words)) for name, words in error.fields.items()]
    return Problem(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        said=said,
        errors=fields,
    )


async def _atelier_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AtelierError)
    headers: dict[str, str] = {}
    if isinstance(error, TooManyJobs):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = error.scheme
    return problem_response(request, from_error(error), headers)


def _field_of(location: tuple[int | str, ...]) -> str:
    where, *path = location
    names = ".".join(str(part) for part in path)
    return names if where == "body" else f"{where}.{names}"


def _words(item: dict[str, Any]) -> str:
    """Pydantic's message, with the value that was sent when it is short enough to help."""
    message = str(item["msg"]).removeprefix("Value error, ")
    given = item.get("input")
    if isinstance(given, int | float | bool) or (isinstance(given, str) and 0 < len(given) <= 40):
        return f"{message} (got {given!r})"
    return message


def _said(item: dict[str, Any]) -> SaidOut:
    """Pydantic's own word for the mistake, and the limits that it names."""
    values = {name: value for name, value in (item.get("ctx") or {}).items() if isinstance(value, str | int | float)}
    if "expected" in values:  # 'png', 'webp' or 'jpeg'
        values["expected"] = str(values["expected"]).replace(" or ", ", ")
    return SaidOut(code=f"field.{item['type']}", params=values)


def _invalid_json(words: str) -> Problem:
    return Problem(
        title="Bad Request",
        status=400,
        code="invalid_json",
        detail="The body is not valid JSON.",
        hint="Send a JSON object with Content-Type: application/json.",
        errors=[FieldProblem(field="body", message=words)],
    )


def _invalid_form(words: str) -> Problem:
    return Problem(
        title="Bad Request",
        status=400,
        code="invalid_form",
        detail=f"The form cannot be read: {words}",
        hint="Send multipart/form-data with one file.",
        errors=[FieldProblem(field="body", message=words)],
    )


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    items = error.errors()
    if any(item["type"] == "json_invalid" for item in items):
        return problem_response(request, _invalid_json(str(items[0].get("ctx", {}).get("error", items[0]["msg"]))))
    fields = [
        FieldProblem(field=_field_of(item["loc"]) or "body", message=_words(item), said=_said(item)) for item in items
    ]
    detail = "; ".join(f"{field.field}: {field.message}" for field in fields[:5])
    problem = Problem(
        title="Unprocessable Content",
        status=422,
        code="validation_failed",
        detail=detail,
        errors=fields,
        hint="Correct the named fields; /docs lists what each may be.",
    )
    return problem_response(request, problem)


def _gave_up(error: HTTPException) -> str:
    """Why the parser did. A number's digits are counted by Python itself."""
    match error.__cause__:
        case RecursionError():
            return "It is nested too deep."
        case UnicodeDecodeError():
            return "It is not UTF-8."
        case ValueError():
            return "It holds a number of too many digits."
    return str(error.detail)


_CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 413:  # `front` knows the limit, and says it
        return PlainTextResponse("", 413)
    if error.status_code == 400:  # FastAPI's answer to a body that the parser gave up on, such as one nested too deep
        is_form = request.headers.get("content-type", "").startswith("multipart/")
        return problem_response(request, (_invalid_form if is_form else _invalid_json)(_gave_up(error)))
    problem = Problem(
        title=HTTPStatus(error.status_code).phrase,
        status=error.status_code,
        code=_CODES.get(error.status_code, "http_error"),
        detail=str(error.detail),
    )
    return problem_response(request, problem, dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("http.unexpected", path=request.url.path, exc_info=error)
    problem = Problem(
        title="Internal Server Error",
        status=500,
        code="internal_error",
        detail="Something went wrong inside Atelier.",
        hint="Try again. If it stays, look for the request id in the log.",
    )
    return problem_response(request, problem)


def install(app: FastAPI, envelopes: Envelopes) -> None:
    app.state.envelopes = envelopes
    app.add_exception_handler(AtelierError, _atelier_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)
