"""The form of `/v1/images/edits` and `/variations`, also where it comes as JSON.

OpenAI takes an edit as a form with files, and as JSON whose `images` and `mask` say `image_url` or `file_id`. JSON is
read here as the form that it stands for, so that one schema checks both, and a form's pictures may be text as well.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import FormData

from atelier.routing import LateRoute

MAX_BODY_BYTES = 32 * 1024 * 1024
MOST_FIELDS = 64
PICTURES = {"image", "images", "image[]"}

_WRITTEN = {
    "type": "object",
    "properties": {
        "image_url": {"type": "string", "description": "A `data:` URL, or an address where those are fetched."},
        "file_id": {"type": "string", "description": "A file of `/v1/files`."},
    },
}
JSON_EDIT = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["images", "prompt"],
                    "properties": {
                        "images": {"type": "array", "items": _WRITTEN, "description": "The picture to change: one."},
                        "mask": _WRITTEN,
                        "prompt": {"type": "string"},
                    },
                    "additionalProperties": {"description": "As in the form."},
                }
            }
        }
    }
}


class PictureForm(Request):
    """A request whose form may hold pictures as text, or be JSON."""

    def form(self, **_limits: Any) -> Any:
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            return self._told()
        return super().form(max_files=4, max_fields=MOST_FIELDS, max_part_size=MAX_BODY_BYTES)

    async def _told(self) -> FormData:
        body = json.loads(await self.body())
        if not isinstance(body, dict):
            raise json.JSONDecodeError("an object is needed", "", 0)
        return FormData(list(_fields(body)))


class PictureRoute(LateRoute):
    """A route that reads its form that way."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        handle = super().get_route_handler()

        async def with_form(request: Request) -> Response:
            return await handle(PictureForm(request.scope, request.receive))

        return with_form


def _fields(body: dict[str, Any]) -> Any:
    """The fields of the form that a JSON body stands for, as text."""
    for name, value in body.items():
        if name in PICTURES:
            yield from (("image[]", _picture(one)) for one in (value if isinstance(value, list) else [value]))
        elif name == "mask" and value is not None:
            yield name, _picture(value)
        elif value is not None:
            yield name, value if isinstance(value, str) else json.dumps(value)


def _picture(one: Any) -> str:
    """What stands for a picture; of `image_url` also as chats write it."""
    if isinstance(one, dict):
        one = one.get("image_url") or one.get("file_id")
    if isinstance(one, dict):
        one = one.get("url")
    return one if isinstance(one, str) and one else "?"
