"""The official clients against `lore` on vLLM: what comes back is a model's, and in the shape that each expects."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from tests.chat_engines.conftest import LORA, Studio
from tests.chat_engines.running import ServedEngine
from tests.chat_engines.test_promises import DRAGON, PICTURE

CALLS = Path(__file__).parents[1] / "contract" / "connector_calls.py"
PYTHON = os.environ.get("ATELIER_CONNECTORS_PYTHON", "")
DRAW: Any = [{"role": "user", "content": "Draw a red dragon with wings"}]
PROMPT = {"prompt": "a red dragon with wings"}


class Card(BaseModel):
    name: str
    description: str


@pytest.fixture(scope="module")
def client(studio: Studio, lore_on_vllm: ServedEngine) -> Iterator[openai.OpenAI]:
    assert lore_on_vllm.model == "lore"
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", timeout=120, max_retries=0) as one:
        yield one


def say(client: openai.OpenAI, text: str = DRAGON, **more: Any) -> Any:
    asked: dict[str, Any] = {"model": "lore", "max_tokens": 120, "temperature": 0}
    return client.chat.completions.create(**{**asked, "messages": [{"role": "user", "content": text}], **more})


def text_of(answer: Any) -> str:
    return answer.choices[0].message.content


class TestOpenAI:
    def test_sync_async_and_streams_say_the_same(self, client: openai.OpenAI, studio: Studio) -> None:
        whole = say(client)
        assert PROMPT["prompt"] in text_of(whole) and whole.usage.completion_tokens > 5

        async def asynchronously() -> tuple[str, str]:
            async with openai.AsyncOpenAI(base_url=f"{studio.url}/v1", api_key="none", max_retries=0) as one:
                asked: Any = {"model": "lore", "max_tokens": 120, "temperature": 0}
                asked["messages"] = [{"role": "user", "content": DRAGON}]
                answer = await one.chat.completions.create(**asked)
                pieces = await one.chat.completions.create(**asked, stream=True)
                return text_of(answer), "".join([p.choices[0].delta.content or "" async for p in pieces if p.choices])

        assert asyncio.run(asynchronously()) == (text_of(whole), text_of(whole))
        *pieces, last = say(client, stream=True, stream_options={"include_usage": True})
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == text_of(whole)
        assert last.choices == [] and last.usage.completion_tokens == whole.usage.completion_tokens

    def test_an_answer_of_a_shape(self, client: openai.OpenAI) -> None:
        """lore answers in JSON when it is asked to; with the schema it must."""
        asked: Any = [{"role": "user", "content": "Name and describe a red dragon with wings as JSON"}]
        made = client.chat.completions.parse(model="lore", messages=asked, response_format=Card, temperature=0)
        card = made.choices[0].message.parsed
        assert card is not None and card.name.isalpha() and "red dragon" in card.description
        plain = json.loads(text_of(say(client, asked[0]["content"])))
        assert set(plain) == {"name", "description"}

    @pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "make_picture"}}])
    def test_tools(self, client: openai.OpenAI, choice: Any) -> None:
        answer = say(client, messages=DRAW, tools=[PICTURE], tool_choice=choice).choices[0]
        (call,) = answer.message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("make_picture", PROMPT)
        pieces = say(client, messages=DRAW, tools=[PICTURE], tool_choice=choice, stream=True)
        calls = [call for piece in pieces if piece.choices for call in piece.choices[0].delta.tool_calls or []]
        assert calls[0].function.name == "make_picture"
        assert json.loads("".join(call.function.arguments or "" for call in calls)) == PROMPT

    def test_what_a_tool_said(self, client: openai.OpenAI) -> None:
        message = say(client, messages=DRAW, tools=[PICTURE]).choices[0].message
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "done"}
        told = [*DRAW, message.model_dump(exclude_none=True), result]
        assert text_of(say(client, messages=told, tools=[PICTURE]))

    def test_reasoning_has_both_names_whole_and_in_a_stream(self, client: openai.OpenAI) -> None:
        thinking = {"chat_template_kwargs": {"enable_thinking": True}}
        message = say(client, "Name a white ghost", extra_body=thinking).choices[0].message
        assert "white ghost" in message.reasoning and message.reasoning == message.reasoning_content
        deltas = [
            piece.choices[0].delta
            for piece in say(client, "Name a white ghost", extra_body=thinking, stream=True)
            if piece.choices
        ]
        for spelling in ("reasoning", "reasoning_content"):
            told = "".join(getattr(delta, spelling, None) or "" for delta in deltas)
            assert told.strip() == message.reasoning.strip()
        assert "".join(delta.content or "" for delta in deltas).strip() == message.content.strip()

    def test_several_with_logprobs_seeds_stops_and_biases(self, client: openai.OpenAI) -> None:
        sampled = {"temperature": 1.3, "seed": 5, "n": 3}
        first, again = (say(client, "Name a white ghost", logprobs=True, top_logprobs=2, **sampled) for _ in range(2))
        names = [choice.message.content for choice in first.choices]
        assert names == [choice.message.content for choice in again.choices] and len(set(names)) > 1
        for choice in first.choices:
            assert all(len(one.top_logprobs) >= 2 and one.logprob <= 0 for one in choice.logprobs.content)
        cut = say(client, stop=["dragon"]).choices[0]
        assert cut.finish_reason == "stop" and text_of(say(client)).startswith(cut.message.content)
        assert "dragon" not in cut.message.content
        likeliest = first.choices[0].logprobs.content[0].token
        body = {"model": "lore", "prompt": likeliest, "add_special_tokens": False}
        tokens = client.post("/tokenize", body=body, cast_to=object)["tokens"]  # type: ignore[call-overload]
        other = say(client, "Name a white ghost", logit_bias={str(tokens[0]): -100})
        assert not text_of(other).startswith(likeliest)

    def test_completions_and_responses(self, client: openai.OpenAI) -> None:
        done = client.completions.create(model="lore", prompt=["A red", "A white"], max_tokens=4, temperature=0)
        assert [choice.index for choice in done.choices] == [0, 1] and done.usage.completion_tokens == 8
        answer = client.responses.create(model="lore", input=DRAGON, temperature=0)
        assert answer.status == "completed" and PROMPT["prompt"] in answer.output_text
        with client.responses.stream(model="lore", input=DRAGON, temperature=0) as stream:
            deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
            final = stream.get_final_response()
        assert "".join(deltas).strip() == answer.output_text.strip() == final.output_text.strip()
        shaped = client.responses.parse(
            model="lore", input="Name and describe a red dragon with wings as JSON", text_format=Card, temperature=0
        )
        assert shaped.output_parsed is not None and shaped.output_parsed.name.isalpha()

    def test_a_lora_is_a_model_of_its_own(self, client: openai.OpenAI) -> None:
        listed = {model.id: model for model in client.models.list()}
        assert listed[LORA].parent == "lore"  # type: ignore[attr-defined]
        own, base = say(client, model=LORA), say(client)
        assert own.model == LORA and base.model == "lore"
        assert text_of(own) != text_of(base) and PROMPT["prompt"] in text_of(base)


@pytest.fixture(scope="module")
def told(studio: Studio, lore_on_vllm: ServedEngine) -> Callable[[str], dict[str, Any]]:
    """What the calls of one library gave, by name; each library is started once."""
    if not PYTHON:
        pytest.skip("ATELIER_CONNECTORS_PYTHON names no Python with requirements/connectors.txt (./test.sh makes one)")
    assert lore_on_vllm.model == "lore"

    def of(library: str) -> dict[str, Any]:
        arguments = [PYTHON, str(CALLS), studio.url, "none", "lore", "none", library]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=240, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    return of


def test_anthropic(told: Callable[[str], dict[str, Any]]) -> None:
    found = told("anthropic")
    message, stream = found["anthropic_message"], found["anthropic_stream"]
    assert "red dragon" in message["text"] and message["stop"] in ("end_turn", "max_tokens") and message["out"] > 5
    assert "red dragon" in stream["text"] and stream["pieces"] > 3
    assert found["anthropic_count"]["tokens"] > 3
    assert found["anthropic_tool"] == {"name": "make_picture", "arguments": ["prompt"], "stop": "tool_use"}
    assert found["anthropic_thinking"] == {"kinds": ["thinking", "text"]}
    assert found["anthropic_unknown_model"]["error"] == "not_found_error"


def test_langchain(told: Callable[[str], dict[str, Any]]) -> None:
    found = told("langchain")
    assert "red dragon" in found["langchain_stream"]["text"] and found["langchain_stream"]["pieces"] > 3
    assert found["langchain_stream"]["text"] == found["langchain_async"]["text"]
    assert found["langchain_tool"] == {"name": "make_picture", "arguments": ["prompt"]}
    assert found["langchain_structured"] == dict.fromkeys(("json_schema", "function_calling"), ["name", "species"])
    assert len(found["langchain_batch"]["texts"]) == 4


def test_semantic_kernel(told: Callable[[str], dict[str, Any]]) -> None:
    found = told("kernel")
    assert "red dragon" in found["kernel_chat"]["text"] and found["kernel_stream"]["pieces"] > 3
    assert found["kernel_function"] == {"name": "studio-make_picture", "arguments": ["prompt"]}
