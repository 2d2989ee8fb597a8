"""A batch against `lore` on vLLM."""

from __future__ import annotations

from client_batches import answered
from tests.chat_engines.conftest import Studio
from tests.chat_engines.running import ServedEngine

WORDS = ("a red dragon with wings", "a blue octopus with a hat", "a striped orange fish", "a green turtle")


def test_its_lines_are_answered_and_counted(studio: Studio, lore_on_vllm: ServedEngine) -> None:
    assert lore_on_vllm.health()["serves_openai"]
    bodies = [
        {"model": "lore", "messages": [{"role": "user", "content": one}], "max_tokens": 24, "temperature": 0}
        for one in WORDS
    ]
    batch, answers = answered(studio, "/v1/chat/completions", [*bodies, {**bodies[0], "max_tokens": -1}])
    assert batch["status"] == "completed" and batch["request_counts"] == {"total": 5, "completed": 4, "failed": 1}
    assert [one["custom_id"] for one in answers] == [f"line-{at}" for at in range(4)]
    whole = [one["response"]["body"] for one in answers]
    assert all(one["choices"][0]["message"]["content"] for one in whole)
    assert batch["usage"]["output_tokens"] == sum(one["usage"]["completion_tokens"] for one in whole) > 0
    assert batch["usage"]["input_tokens"] == sum(one["usage"]["prompt_tokens"] for one in whole)
