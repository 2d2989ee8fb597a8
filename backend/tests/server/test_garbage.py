"""A request leaves nothing behind that only the garbage collector finds: at ten thousand requests a second to look for
it took a twelfth of the time, and what lies about until then is memory that the next request cannot have."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import httpx2
import pytest
from atelier.config import read_settings
from atelier.main import create_app
from chat_models import add_chat_model
from in_thread import served
from serving import Server

REQUESTS = 200
QUESTION = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """Of a server in a thread of this process, whose garbage can be counted."""
    folder = tmp_path_factory.mktemp("garbage")
    with Server(folder / "data") as other:
        add_chat_model(other, folder)
    settings = read_settings({"DATA_DIR": str(folder / "data"), "ATELIER_FAKE_ENGINE": "1"})
    with served(create_app(settings)) as port, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as one:
        yield one


ASKED: dict[str, Callable[[httpx2.Client], httpx2.Response]] = {
    "an answer": lambda client: client.post("/v1/chat/completions", json=QUESTION),
    "a stream": lambda client: client.post("/v1/chat/completions", json={**QUESTION, "stream": True}),
    "a list": lambda client: client.get("/api/jobs"),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())
def test_nothing_is_left_to_the_collector(
    client: httpx2.Client, ask: Callable[[httpx2.Client], httpx2.Response]
) -> None:
    for _ in range(5):
        assert ask(client).status_code == 200
    gc.collect()
    gc.disable()
    try:
        for _ in range(REQUESTS):
            ask(client)
        assert gc.collect() < REQUESTS, "a request leaves a ring of objects"
    finally:
        gc.enable()
