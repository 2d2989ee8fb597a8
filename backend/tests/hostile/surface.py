"""Every place of the API that takes text, out of the OpenAPI document: what is new is attacked by being there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]

# What a call needs to get as far as the field that is attacked.
PLAIN: dict[str, Any] = {
    "prompt": "a cat", "texto": "un gato", "model": "creatures", "name": "somebody", "token": "x",
    "username": "somebody", "password": "short",
    "repo": "somebody/something", "path": "/nonexistent", "key": "creatures",
}  # fmt: skip
METHODS = ("get", "post", "put", "patch", "delete")


MOST_DEEP = 6


@dataclass
class Operation:
    """One call: its parameters by place, and the fields of its body, with their schemas."""

    method: str
    path: str
    parameters: dict[str, dict[str, Any]] = field(default_factory=lambda: {"path": {}, "query": {}, "header": {}})
    media: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    deep: list[Around] = field(default_factory=list)
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
                if media == "application/json":
                    one.deep = [Around(path, content["schema"], known) for path in inside(content["schema"], known)]
            yield one


def choices(schema: dict[str, Any], known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that a value of this schema may be, without references."""
    while "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if not alternatives:
        yield schema
    for one in alternatives or []:
        yield from choices(one, known)


def inside(schema: dict[str, Any], known: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    """Where texts stand inside the objects and lists of a body; those of its first level stand in `Operation.body`."""
    if len(path) > MOST_DEEP:
        return
    found: dict[Path, None] = {}
    for one in choices(schema, known):
        if takes_text(one) and len(path) > 1:
            found[path] = None
        for name, inner in one.get("properties", {}).items():
            found |= dict.fromkeys(inside(inner, known, (*path, name)))
        if one.get("items"):
            found |= dict.fromkeys(inside(one["items"], known, (*path, 0)))
        if one.get("type") == "object" and not one.get("properties") and one.get("additionalProperties", True):
            found[*path, "x"] = None  # anything under any name
    yield from found


@dataclass
class Around:
    """The smallest body that has a text at `path`."""

    path: Path
    schema: dict[str, Any]
    known: dict[str, Any]

    def __call__(self, text: str) -> Any:
        return self._put(self.schema, self.path, text)

    def _put(self, schema: dict[str, Any], path: Path, text: str) -> Any:
        if not path:
            return text
        name, *rest = path
        for one in choices(schema, self.known):
            if name == 0 and one.get("items"):
                return [self._put(one["items"], tuple(rest), text)]
            if name in one.get("properties", {}):
                needed = {each: self._plain(one["properties"][each], each) for each in one.get("required", [])}
                return {**needed, name: self._put(one["properties"][name], tuple(rest), text)}
        return {name: text}

    def _plain(self, schema: dict[str, Any], name: str) -> Any:
        """Something that is taken there, or nearly."""
        one = next(choices(schema, self.known))
        if name in PLAIN:
            return PLAIN[name]
        for said in ("const", "default"):
            if said in one:
                return one[said]
        if "enum" in one:
            return one["enum"][0]
        if "properties" in one:
            return {each: self._plain(one["properties"][each], each) for each in one.get("required", [])}
        if one.get("items"):
            return [self._plain(one["items"], name)]
        return {"integer": one.get("minimum", 1), "number": 1, "boolean": False, "object": {}}.get(
            one.get("type", ""), "x"
        )


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
