"""Engines that end, stop or hang in the middle of answers: every client hears of it in its own protocol, in time, and
the next request is answered. A hundred answers each, ten at a time: one death is the end of all that it was answering.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from chat_models import add_chat_model
from serving import Server

TOGETHER, TIMES = 10, 10
IDLE = 1.5
# How the engine goes, and within how many seconds everybody must know.
DEATHS = {"die_after": 5.0, "stop_after": 15.0, "hang_after": 15.0, "exit_after": 5.0}
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("faults")
    with Server(folder / "data", CHAT_IDLE=str(IDLE)) as server:
        add_chat_model(server, folder)
        yield server


def body_of(path: str, **more: Any) -> dict[str, Any]:
    asked = {"input": "Hello"} if path == "/v1/responses" else {"messages": HELLO, "max_tokens": 500}
    return {"model": "echo", "stream": True, **asked, **more}


def until_the_end(server: Server, path: str, how: str) -> tuple[float, str]:
    """The seconds from the last word to the end of the answer, and its end."""
    fake = {"tokens": 400, "delay_ms": 10, how: 3}
    pieces, heard = [], time.monotonic()
    timeout = httpx2.Timeout(30)
    with (
        httpx2.Client(base_url=server.url, timeout=timeout) as client,
        client.stream("POST", path, json=body_of(path, fake=fake)) as answer,
    ):
        for piece in answer.iter_text():
            if "error" not in piece:
                heard = time.monotonic()
            pieces.append(piece)
    return time.monotonic() - heard, "".join(pieces)[-2000:]


def is_told(path: str, end: str) -> bool:
    """Whether the last event says, as this API's clients expect it, that something went wrong."""
    if end.startswith("{"):  # nothing had been said yet: the status tells
        return "error" in json.loads(end)
    events = [line[6:] for line in end.splitlines() if line.startswith("data: ")]
    if path == "/v1/chat/completions":
        return events[-1] == "[DONE]" and json.loads(events[-2])["error"]["type"] == "server_error"
    last = json.loads(events[-1])
    return last["type"] == "error" and bool(last.get("error") or last.get("message"))


@pytest.mark.parametrize("how", DEATHS)
def test_everybody_is_told_and_the_next_request_is_answered(chat: Server, how: str) -> None:
    paths = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
    slowest, answered = 0.0, 0
    for time_ in range(TIMES):
        path = paths[time_ % len(paths)]
        with ThreadPoolExecutor(TOGETHER) as threads:
            asked = [threads.submit(until_the_end, chat, path, how) for _ in range(TOGETHER)]
            for one in asked:
                seconds, end = one.result()
                assert is_told(path, end), end[-500:]
                slowest, answered = max(slowest, seconds), answered + 1
        assert chat.client.post("/v1/chat/completions", json=body_of("", stream=False)).status_code == 200
        if how in ("stop_after", "hang_after") and time_ == 2:
            break  # each takes as long as an engine is given to speak; the other answers are asked below
    assert slowest < DEATHS[how], f"{how}: somebody waited {slowest:.1f} s"
    print(f"{how}: {answered} answers, the slowest {slowest:.2f} s")


@pytest.mark.parametrize("how", ["stop_after", "hang_after"])
def test_a_hundred_at_once_on_an_engine_that_falls_silent(chat: Server, how: str) -> None:
    with ThreadPoolExecutor(100) as threads:
        asked = [threads.submit(until_the_end, chat, "/v1/chat/completions", how) for _ in range(100)]
        ends = [one.result() for one in asked]
    assert all(is_told("/v1/chat/completions", end) for _, end in ends)
    assert max(seconds for seconds, _ in ends) < DEATHS[how]
    assert chat.client.post("/v1/chat/completions", json=body_of("", stream=False)).status_code == 200


def test_an_answer_that_is_no_stream(chat: Server) -> None:
    asked = body_of("", stream=False, fake={"tokens": 50, "delay_ms": 10, "die_after": 3})
    answer = chat.client.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "worker_died"
    assert answer.headers.get("x-should-retry") != "false"
    assert chat.client.post("/v1/chat/completions", json=body_of("", stream=False)).status_code == 200


def test_an_engine_that_breaks_off_alone_is_ended(chat: Server) -> None:
    """It hangs up on one answer and lives on: nobody knows what else is broken in it."""
    seconds, end = until_the_end(chat, "/v1/chat/completions", "break_after")
    assert is_told("/v1/chat/completions", end)
    assert seconds < 5
