"""Paths where names belong: every payload through every text field of every call, and as the name of every file.

Nothing outside the server's own folders is read or changed, and no answer is a failure of the server (5xx).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from atelier.images.schemas import says_something
from tests.hostile.conftest import MARK, Target
from tests.hostile.payloads import FEW, PAYLOADS
from tests.hostile.pictures import PNG
from tests.hostile.surface import PLAIN, Operation, is_file, operations, takes_text
from tests.hostile.wire import Answer, Wire, form, in_path, in_query

# Payloads by the place and the name of the field that they stand in.
Hostile = dict[tuple[str, str], str]

JSON = {"Content-Type": "application/json"}
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


def send(wire: Wire, one: Operation, hostile: Hostile, picture: bytes) -> Answer:
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
        files = {name: ("x.png", picture, "image/png") for name in values if is_file(one.body[name])}
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


def rounds(one: Operation, share: tuple[int, int]) -> Iterator[tuple[Hostile, bytes]]:
    """Every payload once in every field, in all fields at a time; then a few in each field by itself, in the next field
    others. Calls that take nothing but the same id share the payloads: this one gets `share` of them. Where a form
    needs a picture there is one in the second round only: to decode it costs more than all the rest of the call."""
    fields = [place for place in text_fields(one) if place[1] not in COSTLY]
    for at in range(len(PAYLOADS) if fields else 0)[slice(share[0], None, share[1])]:
        yield {place: PAYLOADS[(at + 7 * index) % len(PAYLOADS)] for index, place in enumerate(fields)}, b""
    for turn, place in enumerate(text_fields(one), share[0]):
        yield from (({place: payload}, PNG) for payload in FEW[turn % 3 :: 3])


def shares(calls: list[Operation]) -> Iterator[tuple[Operation, tuple[int, int]]]:
    """Each call with its part of the payloads: all, but where up to twelve calls look the same id up."""
    alike: dict[str, list[Operation]] = {}
    for one in calls:
        alone = [name for place, name in text_fields(one) if place != "header"] == list(one.parameters["path"])
        alike.setdefault(str(one.parameters["path"].keys()) if alone else str(one), []).append(one)
    for group in alike.values():
        for at, one in enumerate(group):
            yield one, (at % min(12, len(group)), min(12, len(group)))


def test_there_is_enough_to_try(calls: list[Operation]) -> None:
    assert len(PAYLOADS) >= 200
    assert len(calls) > 40
    assert sum(len(text_fields(one)) for one in calls) > 60


def test_no_text_is_a_path(target: Target, calls: list[Operation]) -> None:
    wire, wrong, asked = target.wire(), [], 0
    for one, share in shares(calls):
        if one.method != "get":
            target.fill_the_line()
        for hostile, picture in rounds(one, share):
            answer = send(wire, one, hostile, picture)
            asked += 1
            if not fine(answer):
                wrong.append(f"{one} {hostile!r:.200}: {answer.status} {answer.body[:200]!r}")
    assert wrong == []
    assert asked > 5000
    assert target.changed() == set()
    assert target.server.client.get("/health").json()["checks"]["database"]["ok"]


def test_no_text_inside_of_a_body_is_a_path(target: Target, calls: list[Operation]) -> None:
    """In the objects and lists of every body: at every place some of each kind, so that all of them come somewhere."""
    wire, wrong, places, turn = target.wire(), [], 0, 0
    for one in calls:
        if one.deep:
            target.fill_the_line()
        path = one.path
        for name in one.parameters["path"]:
            path = path.replace("{" + name + "}", "creatures")
        for body in one.deep:
            places += 1
            for payload in (*FEW[turn % 2 :: 2], *PAYLOADS[turn % 61 :: 61]):
                answer = wire.ask(one.method, path, json.dumps(body(payload)).encode(), JSON)
                if not fine(answer):
                    wrong.append(f"{one} {body.path} {payload!r:.100}: {answer.status} {answer.body[:200]!r}")
            turn += 1
    assert wrong == []
    assert places > 40
    assert target.changed() == set()


def test_no_prompt_is_a_path(quick: Target) -> None:
    """All the way: asked for, made, kept, found again."""
    client = quick.server.client
    texts = [text for text in PAYLOADS if len(text) <= 2000 and says_something(text) and "\0" not in text][::3]
    jobs = [quick.server.generate(text, negative_prompt=text, steps=1) for text in texts]
    for job in jobs:
        assert quick.server.wait_for(job, seconds=120)["status"] == "completed"
    page = client.get("/api/gallery", params={"limit": 200}).json()["items"]
    assert {image["prompt"] for image in page} <= {*texts, "a cat"}
    for image in page[:20]:
        file = client.get(f"/api/gallery/{image['id']}/file", params={"download": True})
        assert file.status_code == 200 and image["id"] in file.headers["content-disposition"]
    assert quick.changed() == set()


def test_no_name_of_a_file_is_a_path(target: Target, calls: list[Operation]) -> None:
    wire, uploads = target.wire(), [one for one in calls if any(map(is_file, one.body.values()))]
    assert len(uploads) >= 2
    target.fill_the_line()
    for one in uploads:
        field = next(name for name, schema in one.body.items() if is_file(schema))
        # The form's reader is the same everywhere: each name is sent to one call, and every fourth to the others.
        for at, name in enumerate(PAYLOADS if one is uploads[0] else PAYLOADS[::4]):
            # A file's name is looked at before its content, if it is looked at; now and then there is a picture in it.
            body, media = form({}, {field: (name, PNG if at % 16 == 0 else b"", "image/png")})
            answer = wire.ask(one.method, one.path, body, {"Content-Type": media})
            assert fine(answer), (one, name, answer)
    assert target.changed() == set()
