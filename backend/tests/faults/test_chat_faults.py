"""Engines that are killed, stopped or hang in the middle of answers: every client hears of it in its own protocol, in
time, and the next request is answered.

Ten engines go at once, each several times, every time a new process: twenty of each kind, or as many as
`ATELIER_TEST_FAULTS` says (a hundred of each take five minutes). For that the limit on silence is shortened; the limits
that ship are measured once for each kind.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from chat_models import add_chat_model
from serving import Server

ENGINES = 10
TIMES = max(1, int(os.environ.get("ATELIER_TEST_FAULTS") or 20) // ENGINES)
IDLE = 1.5
KILLED, SILENT = 5.0, 15.0
DEATHS = {"die_after": KILLED, "stop_after": SILENT, "hang_after": SILENT}
"""How the engine goes, and within how many seconds everybody must know."""
ANEW = ("die_after", "stop_after")
"""After these an answer of which nobody heard anything may come from another engine; what hangs would hang again."""
CHAT = "/v1/chat/completions"
PATHS = (CHAT, "/v1/completions", "/v1/responses", "/v1/messages")
HELLO = [{"role": "user", "content": "Hello"}]
SLOWLY = {"tokens": 400, "delay_ms": 10}


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("faults")
    with Server(folder / "data", CHAT_IDLE=str(IDLE)) as server:
        for key in ["echo", *(f"echo{at}" for at in range(ENGINES))]:
            add_chat_model(server, folder, key)
        yield server


def body_of(path: str, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"messages": HELLO, "max_tokens": 500}
    if path == "/v1/responses":
        asked = {"input": "Hello"}
    elif path == "/v1/completions":
        asked = {"prompt": "Hello", "max_tokens": 500}
    return {"model": "echo", **asked, **more}


class Heard:
    """What one client got: the status, the end of it, and the seconds from its last good word to its end."""

    def __init__(self, path: str, streams: bool) -> None:
        self.path, self.streams, self.begun = path, streams, False
        self.status, self.text, self.last = 0, "", time.monotonic()
        self.seconds = 0.0

    async def all_of(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> Heard:
        async with session.post(self.path, json=body) as answer:
            self.status = answer.status
            async for piece in answer.content.iter_any():
                text = piece.decode()
                if self.streams and "data: {" in text and "error" not in text:
                    self.last = time.monotonic()
                self.text = (self.text + text)[-3000:]
        self.seconds = time.monotonic() - self.last
        self.begun = self.streams and self.text.count("data: {") > 1  # on a busy machine all of it comes at once
        return self

    @property
    def is_answered(self) -> bool:
        """By another engine: nobody had heard anything from the one that died, so it was asked anew."""
        return not self.streams and self.status == 200

    @property
    def is_told(self) -> bool:
        """Whether the end says, as this API's clients expect it, that something went wrong."""
        if self.is_answered:
            return False
        if self.text.startswith("{"):
            error = json.loads(self.text)["error"]
            known = error["type"] == ("overloaded_error" if self.path == "/v1/messages" else "server_error")
            return self.status == 503 and known and bool(error["message"])
        events = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        if self.path in (CHAT, "/v1/completions"):
            return events[-1] == "[DONE]" and json.loads(events[-2])["error"]["type"] == "server_error"
        last = json.loads(events[-1])
        return last["type"] == "error" and bool(last.get("error") or last.get("message"))


async def one_death(session: aiohttp.ClientSession, how: str, at: int, model: str = "echo") -> list[Heard]:
    """One engine that goes the way `how` in the middle of a stream, and takes with it an answer that is no stream. One
    that hangs is silent to each of them."""
    path = PATHS[at % len(PATHS)]
    stream = body_of(path, model=model, stream=True, fake={**SLOWLY, how: 3})
    whole = body_of(path, model=model, fake={**SLOWLY, "tokens": 100, **({"hang_after": 9} if "hang" in how else {})})
    asked = Heard(path, True).all_of(session, stream), Heard(path, False).all_of(session, whole)
    one, other = await asyncio.gather(*asked)
    other.seconds -= max(0.0, one.last - other.last)  # until the stream's last word both waited for their engine
    return [one, other]


@pytest.mark.parametrize("how", DEATHS)
def test_ten_engines_at_once(chat: Server, how: str) -> None:
    before = failed_in(chat)

    async def one_engine(session: aiohttp.ClientSession, number: int) -> list[Heard]:
        heard, model = [], f"echo{number}"
        for at in range(TIMES):  # each needs an engine that works: the one before was the end of its own
            heard += await one_death(session, how, at + number, model)
        async with session.post(CHAT, json=body_of(CHAT, model=model)) as answer:
            assert answer.status == 200, await answer.text()
        return heard

    async def all_engines() -> list[list[Heard]]:
        timeout, connector = aiohttp.ClientTimeout(total=60), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(chat.url, timeout=timeout, connector=connector) as session:
            return await asyncio.gather(*(one_engine(session, number) for number in range(ENGINES)))

    heard = list(itertools.chain.from_iterable(asyncio.run(all_engines())))
    assert {one.path for one in heard} == set(PATHS)
    for one in heard:
        assert one.is_told or (how in ANEW and one.is_answered), (one.path, one.status, one.text[-500:])
        assert one.begun == one.streams, "it went wrong in the middle of every stream, and before the end of the rest"
    slowest = max(one.seconds for one in heard if one.is_told)
    assert slowest < DEATHS[how], f"{how}: somebody waited {slowest:.1f} s"
    assert len(failed_in(chat) - before) >= ENGINES * TIMES, "as many engines have ended"
    print(f"{how}: {len(heard)} answers, the slowest told after {slowest:.2f} s")


def failed_in(server: Server) -> set[str]:
    """The workers that have failed, by the server's log."""
    return set(re.findall(r"worker (w-\w+) with \w+ has failed", server.log_path.read_text()))


@pytest.mark.parametrize("how", ["stop_after", "hang_after"])
def test_a_hundred_at_once_on_one_engine(chat: Server, how: str) -> None:
    async def all_at_once() -> list[Heard]:
        async with aiohttp.ClientSession(chat.url, connector=aiohttp.TCPConnector(limit=0)) as session:
            body = body_of(CHAT, stream=True, fake={**SLOWLY, how: 3})
            return await asyncio.gather(*(Heard(CHAT, True).all_of(session, body) for _ in range(100)))

    heard = asyncio.run(all_at_once())
    assert all(one.is_told for one in heard)
    assert max(one.seconds for one in heard) < DEATHS[how]
    assert chat.client.post(CHAT, json=body_of(CHAT)).status_code == 200


def test_the_limits_that_ship(tmp_path: Path) -> None:
    """Each kind of end once, with a client in the middle of a stream and one that gets no stream; and two that take
    longer than an engine may be silent, which is no reason to end it: it counts its steps, or it computes."""

    async def all_kinds() -> tuple[dict[str, list[Heard]], list[int]]:
        async with aiohttp.ClientSession(server.url) as session:

            async def slow(model: str, **how: int) -> int:
                body = body_of(CHAT, model=model, fake={"first_delay_ms": 1000 * int(SILENT), **how})
                async with session.post(CHAT, json=body) as answer:
                    return answer.status

            deaths = {how: one_death(session, how, at, how[:4]) for at, how in enumerate(DEATHS)}
            *heard, counts, computes = await asyncio.gather(
                *deaths.values(), slow("counts"), slow("computes", computes=1)
            )
            return dict(zip(deaths, heard, strict=True)), [counts, computes]

    with Server(tmp_path / "data") as server:
        for key in ("die_", "stop", "hang", "counts", "computes"):
            add_chat_model(server, tmp_path, key)
            assert server.client.post(CHAT, json=body_of(CHAT, model=key)).status_code == 200
        ends, slow = asyncio.run(all_kinds())
        assert slow == [200, 200]
        for how, heard in ends.items():
            told = [one for one in heard if one.is_told]
            assert told, how
            for one in heard:
                assert one.is_told or (how in ANEW and one.is_answered), (how, one.path, one.text[-300:])
            assert max(one.seconds for one in told) < DEATHS[how], (how, [one.seconds for one in heard])
            print(how, *(f"{one.path} {'stream' if one.streams else 'whole'} {one.seconds:.1f} s" for one in heard))
        assert {name for name in DEATHS if name[:4] in failed_models(server)} == set(DEATHS)


def test_new_requests_do_not_keep_a_hung_engine_alive(chat: Server) -> None:
    """Somebody asks it all the time; what they wait for is no sign of life."""

    async def asking() -> tuple[Heard, list[Heard]]:
        async with aiohttp.ClientSession(chat.url) as session:
            hangs = {**SLOWLY, "hang_after": 3}
            first = asyncio.create_task(Heard(CHAT, True).all_of(session, body_of(CHAT, stream=True, fake=hangs)))
            others = []
            while not first.done() and len(others) < 60:
                whole = Heard(CHAT, False).all_of(session, body_of(CHAT, fake={"hang_after": 0}))
                others.append(asyncio.create_task(whole))
                await asyncio.sleep(0.2)
            return await first, await asyncio.gather(*others)

    first, others = asyncio.run(asking())
    assert first.is_told and first.seconds < 3 * IDLE, first.seconds
    assert all(one.is_told for one in others if one.status != 200)


def test_an_engine_that_ends_by_itself(chat: Server) -> None:
    asked = body_of(CHAT, fake={"tokens": 50, "delay_ms": 10, "exit_after": 3})
    answer = chat.client.post(CHAT, json=asked)
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "worker_died"
    assert answer.headers.get("x-should-retry") != "false"
    assert chat.client.post(CHAT, json=body_of(CHAT)).status_code == 200


def test_an_engine_that_breaks_off_alone_is_ended(chat: Server) -> None:
    """It hangs up on one answer and lives on: nobody knows what else is broken in it."""
    heard = asyncio.run(alone(chat, "break_after"))
    assert heard.is_told and heard.begun and heard.seconds < KILLED


async def alone(server: Server, how: str) -> Heard:
    async with aiohttp.ClientSession(server.url) as session:
        return await Heard(CHAT, True).all_of(session, body_of(CHAT, stream=True, fake={**SLOWLY, how: 3}))


def failed_models(server: Server) -> set[str]:
    return set(re.findall(r"worker w-\w+ with (\w+) has failed", server.log_path.read_text()))
