"""Too much of something: numbers past their limits, long lists, endless bodies, thousands of parts and ranges."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from tests.hostile.conftest import TOKEN, Target
from tests.hostile.pictures import PNG
from tests.hostile.surface import Operation, operations
from tests.hostile.test_paths import value_of
from tests.hostile.wire import form

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def calls(target: Target) -> list[Operation]:
    return list(operations(target.server.client.get("/openapi.json").json()))


def numbers(one: Operation) -> list[tuple[str, dict[str, Any]]]:
    return [(name, schema) for name, schema in one.body.items() if schema.get("type") in {"integer", "number"}]


def beyond(schema: dict[str, Any]) -> list[str]:
    """Values past the limits that the schema names, and some that are no numbers, as JSON."""
    wrong = ["NaN", "Infinity", "1e999", '"x"', "[]", "{}"]
    if "maximum" in schema:
        wrong += [json.dumps(schema["maximum"] + 1), "1000000000000000"]
    if "minimum" in schema:
        wrong += [json.dumps(schema["minimum"] - 1)]
    return wrong


def test_numbers_past_their_limits(target: Target, calls: list[Operation]) -> None:
    target.fill_the_line()
    wire, tried = target.wire(), 0
    for one in calls:
        if one.media != "application/json" or one.path.startswith("/sdapi"):  # clients of A1111 are met halfway
            continue
        base = {name: value_of(one, name, None) for name in one.required if name in one.body}
        for name, schema in numbers(one):
            for text in beyond(schema):
                body = json.dumps({**base, name: "HERE"}).replace('"HERE"', text).encode()
                path = one.path.replace("{", "").replace("}", "")
                answer = wire.ask(one.method, path, body, {"Content-Type": "application/json"})
                assert 400 <= answer.status < 500 and answer.status != 429, (str(one), name, text, answer)
                tried += 1
    assert tried > 100


def test_a_number_at_its_limit_is_taken(target: Target) -> None:
    """The other side: what is refused one past the limit is fine at it."""
    target.fill_the_line()
    for field, most in (("num_outputs", 8), ("steps", 200), ("guidance_scale", 30), ("seed", 2**32 - 1)):
        for value, status in ((most, 429), (most + 1, 422)):  # the line is full for whoever gets that far
            answer = target.server.client.post("/api/generate/text-to-image", json={"prompt": "x", field: value})
            assert answer.status_code == status, (field, value)


@pytest.mark.parametrize("path", ["/api/generate/text-to-image", "/sdapi/v1/txt2img", "/v1/images/generations"])
def test_a_list_of_a_million(target: Target, path: str) -> None:
    for body in (b'{"prompt": [' + b"1," * 999_999 + b"1]}", b'{"prompt": ' + b"[" * 500_000 + b"]" * 500_000 + b"}"):
        answer = target.wire().ask("POST", path, body, {"Content-Type": "application/json"})
        assert 400 <= answer.status < 500
    assert target.server.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/inputs", "/sdapi/v1/img2img", "/generar-imagen-imagen", "/v1/images/edits", "/token"]
)
def test_an_endless_body_is_cut_off(target: Target, path: str) -> None:
    """Two gigabytes in chunks: the server hangs up, or answers, long before they are sent."""
    host, port = target.server.url.removeprefix("http://").split(":")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    if path != "/api/inputs":
        head = head.replace("image/png", "application/json" if "sdapi" in path else "multipart/form-data; boundary=x")
    piece, sent = b"100000\r\n" + bytes(MIB) + b"\r\n", 0
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode())
        try:
            while sent < 2048:
                connection.sendall(piece)
                sent += 1
        except OSError:
            pass
    assert sent < 200, f"{sent} MiB were taken"


def test_ten_thousand_parts(target: Target) -> None:
    body, media = form({f"field{at}": "x" for at in range(10_000)}, {"file": ("x.png", PNG, "image/png")})
    for path in ("/api/inputs", "/generar-imagen-imagen", "/v1/images/edits"):
        begun = time.monotonic()
        answer = target.wire().ask("POST", path, body, {"Content-Type": media})
        assert 400 <= answer.status < 500, path
        assert time.monotonic() - begun < 20


def test_five_thousand_ranges(quick: Target) -> None:
    job = quick.server.wait_for(quick.server.generate("a cat", steps=1), seconds=120)
    ranges = "bytes=" + ",".join(f"{at}-" for at in range(5000))
    begun = time.monotonic()
    path = f"/api/gallery/{job['images'][0]['id']}/file"
    answer = quick.wire().ask("GET", path, headers={"Range": ranges[:30_000]})
    assert answer.status in {200, 206, 400, 416, 431}
    assert len(answer.body) < 8 * MIB and time.monotonic() - begun < 10
