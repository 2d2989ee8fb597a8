"""Paths where names belong: every payload through every text field of every call, and as the name of every file.

Nothing outside the server's own folders is read or changed, and no answer is a failure of the server (5xx).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.hostile.conftest import MARK, Target
from tests.hostile.payloads import FEW, PAYLOADS
from tests.hostile.pictures import PNG
from tests.hostile.surface import Operation, operations, takes_text
from tests.hostile.wire import Answer, Wire, form, in_path, in_query

# What a call needs to get as far as the field that is attacked.
PLAIN: dict[str, Any] = {
    "prompt": "a cat", "texto": "un gato", "model": "creatures", "name": "somebody", "token": "x",
    "username": "somebody", "password": "short",
    "repo": "somebody/something", "path": "/nonexistent", "key": "creatures",
}  # fmt: skip
# Each of these is hashed for 50 ms before it is refused: they are tried with a few, not with all.
COSTLY = {"password"}
# A failure that is the truth: the hub is switched off, an engine's environment is not built.
HONEST = {"hub_offline", "hub_unreachable", "environment_not_ready", "environment_not_found"}


def text_fields(one: Operation) -> list[tuple[str, str]]:
    places = [
        (place, name) for place, found in one.parameters.items() for name, schema in found.items() if takes_text(schema)
    ]
    return places + [
        ("body", name) for name, schema in one.body.items() if takes_text(schema) or is_list_of_text(schema)
    ]


def is_list_of_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "array" and takes_text(schema.get("items", {}))


def send(wire: Wire, one: Operation, hostile: dict[tuple[str, str], str]) -> Answer:
    """The call with these payloads in these places, and something plain in the others that it needs."""
    target = one.path
    for name in one.parameters["path"]:
        target = target.replace("{" + name + "}", in_path(hostile.get(("path", name), "creatures")))
    query = [f"{name}={in_query(text)}" for (place, name), text in hostile.items() if place == "query"]
    target += "?" + "&".join(query) if query else ""
    headers = {
        name: in_path(text) for (place, name), text in hostile.items() if place == "header" and name != "authorization"
    }
    wanted = {name for place, name in hostile if place == "body"} | set(one.required)
    values = {name: value_of(one, name, hostile.get(("body", name))) for name in one.body if name in wanted}
    if "multipart" in one.media:
        files = {name: ("x.png", PNG, "image/png") for name in values if one.body[name].get("format") == "binary"}
        texts = {name: str(value) for name, value in values.items() if name not in files}
        body, headers["Content-Type"] = form(texts, files)
    elif "urlencoded" in one.media:
        body = "&".join(f"{name}={in_query(str(value))}" for name, value in values.items()).encode(
            "utf-8", "surrogatepass"
        )
        headers["Content-Type"] = one.media
    elif one.media:
        body, headers["Content-Type"] = json.dumps(values).encode(), "application/json"
    else:
        body = None
    return wire.ask(one.method, target, body, headers)


def value_of(one: Operation, name: str, payload: str | None) -> Any:
    schema = one.body[name]
    if payload is not None:
        return [payload] if is_list_of_text(schema) else payload
    if name in PLAIN:
        return PLAIN[name]
    if "enum" in schema or "default" in schema:
        return schema.get("default", schema.get("enum", [None])[0])
    return {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}.get(schema.get("type", ""), "x")


def fine(answer: Answer) -> bool:
    if MARK.encode() in answer.body or b"root:x:0:0" in answer.body:
        return False
    return answer.status < 500 or (answer.status in {503, 507} and answer.json().get("code") in HONEST)


@pytest.fixture(scope="module")
def calls(target: Target) -> list[Operation]:
    return list(operations(target.server.client.get("/openapi.json").json()))


def rounds(one: Operation, share: tuple[int, int]) -> Iterator[dict[tuple[str, str], str]]:
    """Every payload once in every field, in all fields at a time; then a few in each field by itself. Calls that take
    nothing but the same id share the payloads: this one gets `share` of them."""
    fields = [place for place in text_fields(one) if place[1] not in COSTLY]
    for at in range(len(PAYLOADS) if fields else 0)[slice(share[0], None, share[1])]:
        yield {place: PAYLOADS[(at + 7 * index) % len(PAYLOADS)] for index, place in enumerate(fields)}
    for place in text_fields(one):
        yield from ({place: payload} for payload in FEW)


def shares(calls: list[Operation]) -> Iterator[tuple[Operation, tuple[int, int]]]:
    """Each call with its part of the payloads: all, but where up to four calls look the same id up."""
    alike: dict[str, list[Operation]] = {}
    for one in calls:
        alone = [name for place, name in text_fields(one) if place != "header"] == list(one.parameters["path"])
        alike.setdefault(str(one.parameters["path"].keys()) if alone else str(one), []).append(one)
    for group in alike.values():
        for at, one in enumerate(group):
            yield one, (at % min(4, len(group)), min(4, len(group)))


def test_there_is_enough_to_try(calls: list[Operation]) -> None:
    assert len(PAYLOADS) >= 200
    assert len(calls) > 40
    assert sum(len(text_fields(one)) for one in calls) > 60


def test_no_text_is_a_path(target: Target, calls: list[Operation]) -> None:
    wire, wrong, asked = target.wire(), [], 0
    for one, share in shares(calls):
        for hostile in rounds(one, share):
            answer = send(wire, one, hostile)
            asked += 1
            if not fine(answer):
                wrong.append(f"{one} {hostile!r:.200}: {answer.status} {answer.body[:200]!r}")
    assert wrong == []
    assert asked > 5000
    assert target.changed() == set()
    assert target.server.client.get("/health").json()["checks"]["database"]["ok"]


def test_no_name_of_a_file_is_a_path(target: Target, calls: list[Operation]) -> None:
    wire, uploads = target.wire(), [one for one in calls if "multipart" in one.media and "binary" in str(one.body)]
    assert len(uploads) >= 2
    for one in uploads:
        names = [name for name, schema in one.body.items() if "binary" in str(schema)]
        texts = {name: str(PLAIN.get(name, "x")) for name in one.required if name not in names}
        for name in PAYLOADS:
            # No picture: the file's name is looked at before its content, if it is looked at.
            body, media = form(texts, {names[0]: (name, b"no picture", "image/png")})
            answer = wire.ask(one.method, one.path, body, {"Content-Type": media})
            assert fine(answer) and answer.status >= 400, (one, name, answer)
    assert target.changed() == set()
