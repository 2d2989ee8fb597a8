"""Names from a chat model, and from ourselves whenever anything goes wrong there."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from atelier.config import ServerSettings
from atelier.creatures.name_cache import NameCache
from atelier.creatures.names import Names, local_name
from atelier.creatures.own_chat import is_ourselves
from atelier.creatures.remote_names import ASKS, MAX_BYTES, OtherServer, RemoteNames
from atelier.images import translation
from embedded.lore import grammar
from structlog.testing import capture_logs
from tests.creatures.chat_server import ChatServer


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.close()


class Rig:
    def __init__(self, chat: ChatServer, redis_url: str = "", log_content: bool = False, timeout: float = 5.0) -> None:
        remote = RemoteNames(OtherServer(chat.url, "sk-secret"), "tiny", timeout, log_content)
        self.names = Names(remote, NameCache(redis_url))
        self.log: list[Any] = []

    async def name(self, looks: str = "a red dragon", seed: str = "pkm_1") -> str:
        with capture_logs() as log:
            name = await self.names.name_for(looks, "A", seed)
        self.log = log
        return name

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.log]


@pytest.fixture
async def rig(chat: ChatServer) -> Any:
    made = Rig(chat)
    yield made
    await made.names.close()


class TestRemote:
    async def test_it_asks_for_json_and_takes_the_name(self, rig: Rig, chat: ChatServer) -> None:
        assert await rig.name() == "Flamara"
        (asked,) = chat.asked
        assert asked["path"] == "/v1/chat/completions" and asked["model"] == "tiny"
        assert '{"name":' in asked["messages"][0]["content"] and "strict JSON" in asked["messages"][0]["content"]
        assert "a red dragon" in asked["messages"][1]["content"]
        assert chat.keys == ["Bearer sk-secret"]
        assert rig.events() == ["remote_name.request", "extract_name.json", "remote_name.ok"]
        assert "Flamara" not in str(rig.log[0]) and "sk-secret" not in str(rig.log)

    async def test_what_looks_the_same_is_asked_once(self, rig: Rig, chat: ChatServer) -> None:
        for seed in ("a", "b", "c"):
            assert await rig.name(seed=seed) == "Flamara"
        assert len(chat.asked) == 1
        await rig.name("a blue cat")
        assert len(chat.asked) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            '{"name": "name"}', "", "I cannot do that.", b"", b"not json", b"{}", b'{"choices": []}', b"[]", b"null",
            b'{"choices": [{"message": {"content": null}}]}', b"x" * (MAX_BYTES + 1), b"\xff\xfe",
        ],
        ids=lambda answer: str(answer[:24]),
    )  # fmt: skip
    async def test_nonsense_gives_a_name_of_ours(self, rig: Rig, chat: ChatServer, answer: str | bytes) -> None:
        chat.answer = answer
        assert await rig.name() == local_name("pkm_1")
        assert rig.events()[-1] == "remote_name.fallback"
        chat.answer = '{"name": "Flamara"}'
        assert await rig.name() == "Flamara", "a failure is not kept"

    @pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
    async def test_a_refusal_gives_a_name_of_ours(self, rig: Rig, chat: ChatServer, status: int) -> None:
        chat.status = status
        assert await rig.name() == local_name("pkm_1")
        assert rig.events() == ["remote_name.request", "remote_name.failed", "remote_name.fallback"]

    async def test_a_slow_server_is_not_waited_for(self, chat: ChatServer) -> None:
        rig = Rig(chat, timeout=0.3)
        chat.delay = 3
        begun = time.monotonic()
        assert await rig.name() == local_name("pkm_1")
        assert time.monotonic() - begun < 2.5
        await rig.names.close()

    async def test_a_server_that_is_not_there(self, chat: ChatServer) -> None:
        rig = Rig(chat)
        chat.close()
        assert await rig.name() == local_name("pkm_1")
        await rig.names.close()

    async def test_parts_and_fences(self, rig: Rig, chat: ChatServer) -> None:
        chat.answer = [{"type": "text", "text": '```json\n{{"name": '}, {"type": "text", "text": '"Aquor"\n```'}]
        assert await rig.name() == "Aquor"

    async def test_the_log_shows_the_answer_only_when_asked_to(self, chat: ChatServer) -> None:
        chat.answer = 'Here you are: {"name": "Flamara"}'
        silent, telling = Rig(chat), Rig(chat, log_content=True)
        await silent.name()
        await telling.name()
        assert "Here you are" not in str(silent.log)
        assert "Here you are" in str(telling.log)
        for rig in (silent, telling):
            await rig.names.close()


def test_the_embedded_model_was_taught_what_it_is_asked() -> None:
    assert grammar.NAME_SYSTEM == ASKS and grammar.TRANSLATE_SYSTEM == translation.ASKS


class TestCache:
    async def test_it_has_a_limit(self) -> None:
        cache = NameCache("")
        for at in range(1100):
            await cache.put(f"{at}", "x")
        assert await cache.get("0") is None and await cache.get("1099") == "x"
        assert len(cache._names) == 1024

    async def test_a_redis_that_is_not_there_costs_nothing_but_a_line(self, chat: ChatServer) -> None:
        rig = Rig(chat, redis_url="redis://127.0.0.1:9/0")
        assert await rig.name() == "Flamara"
        assert "name_cache.unreachable" in rig.events()
        assert await rig.name() == "Flamara" and len(chat.asked) == 1
        await rig.names.close()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (on Debian: apt install redis-server)")
    folder: Path = tmp_path_factory.mktemp("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        program,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
        "--save",
        "",
        "--daemonize",
        "no",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait(20)


class TestRedis:
    async def test_servers_share_names_and_a_restart_keeps_them(self, chat: ChatServer, redis_url: str) -> None:
        first, second = Rig(chat, redis_url), Rig(chat, redis_url)
        assert await first.name() == "Flamara"
        chat.answer = '{"name": "Another"}'
        assert await second.name() == "Flamara"
        assert len(chat.asked) == 1
        assert "name_cache.unreachable" not in first.events() + second.events()
        for rig in (first, second):
            await rig.names.close()


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://studio.example:8000/v1", True),
        ("http://127.0.0.1:8001/v1", False),
        ("http://other.example:8000/v1", False),
        ("http://127.0.0.1:8000/other", False),
        ("http://127.0.0.1:x/v1", False),
    ],
)
def test_whether_an_address_is_ours(address: str, ours: bool) -> None:
    assert is_ourselves(address, ServerSettings(port=8000, advertised_hosts=("studio.example",))) is ours
