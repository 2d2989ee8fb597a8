"""The OpenAPI document: FastAPI's, plus the frames and events of the live socket, which REST alone would leave out."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from atelier.events import Event
from atelier.live.frames import PingFrame, ServerFrame

_REF = "#/components/schemas/{model}"

LIVE = """
## Live socket

`GET /api/live` upgrades to a WebSocket. The first frame is a `SnapshotFrame`; on reconnect, `?epoch=…&since=…` (the
last `epoch` and `seq` seen) gives a `ResumedFrame` and only what was missed. Then `EventsFrame`s follow, one every
50 ms at most.
All frames are `ServerFrame`, all events `Event`, in the schemas below. A client may send `PingFrame`.
Events are hints, REST is the truth. Browsers must come from an allowed origin.
"""


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description + LIVE,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            for name, kind in (("Event", Event), ("ServerFrame", ServerFrame), ("PingFrame", PingFrame)):
                described = TypeAdapter(kind).json_schema(ref_template=_REF, mode="serialization")
                components.update(described.pop("$defs", {}))
                components[name] = described
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
