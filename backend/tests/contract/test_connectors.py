"""`/v1` with Anthropic's SDK, LangChain's and Semantic Kernel's connectors: real clients, in their own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_models import add_chat_model, add_embedding_model
from serving import Server

CALLS = Path(__file__).with_name("connector_calls.py")
PYTHON = os.environ.get("ATELIER_CONNECTORS_PYTHON", "")

pytestmark = pytest.mark.skipif(
    not PYTHON,
    reason="ATELIER_CONNECTORS_PYTHON names no Python with requirements/connectors.txt (./test.sh makes one)",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the calls of one library gave, by name; each library is started once."""
    folder = tmp_path_factory.mktemp("connectors")
    with Server(folder / "data", OPENAI_API_KEYS="sk-connectors-1") as server:
        add_chat_model(server, folder)
        add_embedding_model(server, folder)
        known: dict[str, dict[str, Any]] = {}

        def of(name: str) -> dict[str, Any]:
            library = name.partition("_")[0]
            if library not in known:
                arguments = [PYTHON, str(CALLS), server.url, "sk-connectors-1", "echo", "vectors", library]
                done = subprocess.run(arguments, capture_output=True, text=True, timeout=240, check=True)
                known[library] = json.loads(done.stdout.splitlines()[-1])
            answer = known[library][name]
            assert answer is not None and "failed" not in answer, answer
            return answer

        yield of


class TestAnthropic:
    def test_a_message(self, found: Any) -> None:
        answer = found("anthropic_message")
        assert answer["text"] and answer["role"] == "assistant"
        assert answer["stop"] in ("end_turn", "max_tokens") and answer["out"] == 8

    def test_a_stream_says_the_same(self, found: Any) -> None:
        answer = found("anthropic_stream")
        assert answer["pieces"] > 1 and answer["stop"] in ("end_turn", "max_tokens")
        assert answer["text"] == found("anthropic_async")["text"]

    def test_tokens_are_counted(self, found: Any) -> None:
        assert found("anthropic_count")["tokens"] > 0

    def test_a_tool_is_called_in_a_stream(self, found: Any) -> None:
        called = {"name": "make_picture", "arguments": ["prompt"], "stop": "tool_use"}
        assert found("anthropic_tool") == called

    def test_errors_are_in_its_words(self, found: Any) -> None:
        assert found("anthropic_unknown_model") == {"type": "error", "error": "not_found_error"}


class TestLangChain:
    def test_invoke_stream_and_async_say_the_same(self, found: Any) -> None:
        assert found("langchain_invoke")["out"] == 8
        stream = found("langchain_stream")
        assert stream["pieces"] > 1 and stream["text"] == found("langchain_async")["text"]

    def test_a_batch_keeps_its_order(self, found: Any) -> None:
        texts = found("langchain_batch")["texts"]
        assert len(texts) == 4 and len(set(texts)) == 4

    def test_a_named_tool_is_called(self, found: Any) -> None:
        assert found("langchain_tool") == {"name": "make_picture", "arguments": ["prompt"]}

    def test_an_answer_of_a_shape(self, found: Any) -> None:
        assert found("langchain_structured") == dict.fromkeys(("json_schema", "function_calling"), ["name", "species"])

    def test_embeddings(self, found: Any) -> None:
        assert found("langchain_embeddings") == {"count": 3, "same": True, "sizes": [8]}


class TestSemanticKernel:
    def test_an_answer_and_a_stream(self, found: Any) -> None:
        assert found("kernel_chat")["text"]
        stream = found("kernel_stream")
        assert stream["pieces"] > 1 and stream["text"]

    def test_a_plugin_is_called(self, found: Any) -> None:
        assert found("kernel_function") == {"name": "studio-make_picture", "arguments": ["prompt"]}
