"""The OpenAPI document: FastAPI's, plus the frames and events of the live socket, which REST alone would leave out."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from atelier.events import Event
from atelier.live.frames import PingFrame, ServerFrame

PATH_PARAMETERS = {
    "batch_id": "Id of a batch: `batch_…`.",
    "benchmark_id": "Id of a benchmark, from `GET /api/chat/benchmarks`.",
    "collection_id": "Id of a collection: `col_…`, from `GET /api/collections`.",
    "conversation_id": "Id of a conversation, from `GET /api/chat/conversations`.",
    "file_id": "Id of a file: `file-…`, from `GET /v1/files`.",
    "image_id": "Id of a picture of the gallery: `img_…`.",
    "input_id": "Id of an uploaded picture: `inp_…`, from `POST /api/inputs`.",
    "job_id": "Id of a job: `job_…`, from the answer that accepted it or `GET /api/jobs`.",
    "key": "Key of a model, from `GET /api/models/`.",
    "message_id": "Id of a message of this conversation.",
    "model": "Key of a model, from `GET /v1/models`.",
    "preset_id": "Id of a preset, from `GET /api/chat/presets`.",
    "prompt_id": "Id of a prompt, from `GET /api/prompts`.",
    "response_id": "Id of a response: `resp_…`.",
    "style_id": "Id of a style, from `GET /api/styles`.",
    "worker_id": "Id of a worker that runs, from `GET /api/system`.",
}
"""What stands in addresses is called the same everywhere, and described here once. A route may say it better."""

_REF = "#/components/schemas/{model}"

LIVE = """
## Live socket

`GET /api/live` upgrades to a WebSocket. The first frame is a `SnapshotFrame`; on reconnect, `?epoch=…&since=…` (the
last `epoch` and `seq` seen) gives a `ResumedFrame` and only what was missed. Then `EventsFrame`s follow, one every
50 ms at most.
All frames are `ServerFrame`, all events `Event`, in the schemas below. A client may send `PingFrame`.
Events are hints, REST is the truth. Browsers must come from an allowed origin.
"""


def _describe_paths(schema: dict[str, Any]) -> None:
    for operations in schema["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in PATH_PARAMETERS:
                    parameter.setdefault("description", PATH_PARAMETERS[parameter["name"]])


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
            _describe_paths(schema)
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            for name, kind in (("Event", Event), ("ServerFrame", ServerFrame), ("PingFrame", PingFrame)):
                described = TypeAdapter(kind).json_schema(ref_template=_REF, mode="serialization")
                components.update(described.pop("$defs", {}))
                components[name] = described
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
