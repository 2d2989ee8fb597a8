"""Every place of the API that takes text, out of the OpenAPI document: what is new is attacked by being there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass
class Operation:
    """One call: its parameters by place, and the fields of its body, with their schemas."""

    method: str
    path: str
    parameters: dict[str, dict[str, Any]] = field(default_factory=lambda: {"path": {}, "query": {}, "header": {}})
    media: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    known = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method not in methods:
                continue
            one = Operation(method, path)
            for parameter in methods[method].get("parameters", []):
                one.parameters[parameter["in"]][parameter["name"]] = flat(parameter["schema"], known)
            for media, content in methods[method].get("requestBody", {}).get("content", {}).items():
                schema = flat(content.get("schema", {}), known)
                if not one.media and schema.get("properties"):
                    one.media, one.required = media, schema.get("required", [])
                    one.body = {name: flat(inner, known) for name, inner in schema["properties"].items()}
            yield one


def flat(schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """The schema without references and without `null` among its choices."""
    while "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    choices = [flat(one, known) for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if not choices:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    # Text is the choice to attack; else the first.
    return {**rest, **next((one for one in choices if takes_text(one)), choices[0])}


def takes_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and not {"enum", "const"} & schema.keys() and not is_file(schema)


def is_file(schema: dict[str, Any]) -> bool:
    """A file of a form, or a list of them."""
    return any(one.get("format") == "binary" or "contentMediaType" in one for one in (schema, schema.get("items", {})))
