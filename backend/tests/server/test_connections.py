"""How long a connection may be idle, and what is not idle: a small application behind the real protocol."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from atelier import wire
from in_thread import served

KEPT = 1
"""Seconds; a sweep may come a second later."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """`/SECONDS`: an answer of pieces, over so long; `/early`: 401 before anything of the body was read."""
    if scope["type"] != "http":
        return
    early = scope["path"] == "/early"
    await send({"type": "http.response.start", "status": 401 if early else 200, "headers": []})
    if not early:
        until = time.monotonic() + float(scope["path"][1:])
        while time.monotonic() < until:
            await send({"type": "http.response.body", "body": b"piece", "more_body": True})
            await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b"the end"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(app, lifespan="off", timeout_keep_alive=KEPT) as port:
        yield port


@pytest.fixture
def line(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def get(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: here\r\n{more}\r\n".encode()


def read(line: socket.socket, answers: int = 1) -> bytes:
    """Until so many answers have ended, or the connection has."""
    found = b""
    while found.count(b"the end\r\n0\r\n\r\n") < answers and (more := line.recv(65536)):
        found += more
    return found


def test_an_idle_one_ends(line: socket.socket) -> None:
    line.sendall(get("/0"))
    assert read(line).startswith(b"HTTP/1.1 200")
    begun = time.monotonic()
    assert line.recv(1) == b""
    assert KEPT <= time.monotonic() - begun < KEPT + 1.5


def test_a_request_that_began_before_the_last_answer_ended_is_none(line: socket.socket) -> None:
    asked = get("/2.5")
    line.sendall(get("/0.5"))
    time.sleep(0.2)
    line.sendall(asked[:12])
    assert read(line).startswith(b"HTTP/1.1 200")
    line.sendall(asked[12:])
    assert read(line).endswith(b"the end\r\n0\r\n\r\n"), "it was ended in the middle of an answer"


def test_who_still_sends_reads_the_answer_that_came_early(line: socket.socket) -> None:
    line.sendall(b"POST /early HTTP/1.1\r\nhost: here\r\ncontent-length: 120000\r\n\r\n")
    for _ in range(12):
        time.sleep(0.25)
        line.sendall(b"x" * 10_000)
    assert read(line).startswith(b"HTTP/1.1 401")


def test_what_waits_behind_a_long_answer_is_not_slow(line: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 1.0)
    last = get("/0", "connection: close\r\n")
    line.sendall(get("/2.5") + get("/0") + last[:12])
    time.sleep(0.2)
    line.sendall(last[12:])
    assert read(line, 3).count(b"HTTP/1.1 200") == 3
