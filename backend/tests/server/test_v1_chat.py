"""/v1 for clients: what goes to an engine and what comes back, by the fake engine's own OpenAI server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from chat_models import add_chat_model, add_embedding_model
from serving import Server

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An open server with a chat model `echo`, an embedding model `vectors`, and an alias."""
    folder = tmp_path_factory.mktemp("chat")
    with Server(folder / "data", MODEL_ALIASES="gpt-4o-mini=echo") as server:
        add_chat_model(server, folder)
        add_embedding_model(server, folder)
        yield server


def ask(server: Server, path: str = "/v1/chat/completions", **body: Any) -> Any:
    body = {"model": "echo", "messages": HELLO} | body
    return server.client.post(path, json={name: value for name, value in body.items() if value is not None})


def events(text: str) -> list[Any]:
    lines = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


class TestAnswers:
    def test_a_question_is_answered(self, chat: Server) -> None:
        answer = ask(chat)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]
        assert answer.json()["usage"]["completion_tokens"] == 8
        assert answer.headers["content-type"] == "application/json"

    def test_a_stream_without_figures_nobody_asked_for(self, chat: Server) -> None:
        answer = ask(chat, stream=True)
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = events(answer.text)
        assert found[-1] == "[DONE]"
        assert all(event["choices"] for event in found[:-1])
        words = "".join(event["choices"][0]["delta"].get("content") or "" for event in found[:-1])
        assert words == ask(chat).json()["choices"][0]["message"]["content"]

    def test_a_stream_with_the_figures_that_were_asked_for(self, chat: Server) -> None:
        found = events(ask(chat, stream=True, stream_options={"include_usage": True}).text)
        assert found[-2]["choices"] == []
        assert found[-2]["usage"]["completion_tokens"] == 8

    @pytest.mark.parametrize(
        ("path", "body", "field"),
        [
            ("/v1/completions", {"prompt": "Once", "messages": None}, "choices"),
            ("/v1/responses", {"input": "Once", "messages": None}, "output"),
            ("/v1/messages", {"max_tokens": 5}, "content"),
            ("/v1/messages/count_tokens", {}, "input_tokens"),
            ("/v1/embeddings", {"model": "vectors", "input": "Once", "messages": None}, "data"),
            ("/tokenize", {"prompt": "Once upon", "messages": None}, "tokens"),
            ("/v1/tokenize", {"prompt": "Once upon", "messages": None}, "tokens"),
            ("/detokenize", {"tokens": [1, 2], "messages": None}, "prompt"),
        ],
    )
    def test_the_other_routes(self, chat: Server, path: str, body: dict[str, Any], field: str) -> None:
        answer = ask(chat, path, **body)
        assert answer.status_code == 200, answer.text
        assert field in answer.json()

    def test_an_alias_stands_for_its_model(self, chat: Server) -> None:
        answer = ask(chat, model="gpt-4o-mini")
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "echo"
