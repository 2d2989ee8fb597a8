"""The same promises on every chat engine, with the model that ships: what `atelier.runtime.abilities` says, they do.

Each engine starts once. Needs the environments `chat-cpu` and `chat-transformers`, which `test.sh` builds
(`python -m atelier worker-env NAME`).
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from atelier.runtime.abilities import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    DETOKENIZE,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    TOKENIZE,
)
from atelier.runtime.engines import EngineName
from engines import vllm_chat
from tests.chat_engines.running import RunningEngine, ServedEngine, environments

Engine = RunningEngine | ServedEngine
LISTS = [Path(__file__).parents[2] / "requirements" / name for name in ("chat.txt", "chat-cpu.txt")]
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["fox", "owl"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "draw", "strict": True, "parameters": SCHEMA}}
PICTURE = {
    "type": "function",
    "function": {
        "name": "make_picture",
        "description": "Draws a picture.",
        "parameters": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
    },
}
DRAGON = "Describe a red dragon with wings"
SAMPLED = {"temperature": 1.5, "seed": 7}
NAMED = {"type": "function", "function": {"name": "draw"}}


def text_of(answer: dict[str, Any]) -> str:
    return answer["choices"][0]["message"]["content"]


class TestPromises:
    """What every engine does."""

    def test_it_says_what_it_serves(self, engine: Engine) -> None:
        status, shown = engine.ask("/v1/models")
        assert status == 200
        assert {one["id"] for one in shown["data"]} == set(engine.names)
        # Of a LoRA vLLM says whose it is, and no length.
        lengths = {one["max_model_len"] for one in shown["data"] if not one.get("parent")}
        assert lengths == {engine.context}
        health = engine.health()
        assert health["serves_openai"] and health["weights_bytes"] > 0 and health["load_peak_bytes"] > 0
        assert oct(engine.openai_socket.stat().st_mode & 0o777) == "0o600"

    def test_an_answer_with_its_usage(self, engine: Engine) -> None:
        answer = engine.chat(max_tokens=5)
        choice, usage = answer["choices"][0], answer["usage"]
        assert answer["object"] == "chat.completion" and answer["model"] == "lore"
        assert choice["message"]["role"] == "assistant" and choice["finish_reason"] in ("length", "stop")
        assert 0 < usage["completion_tokens"] <= 5
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]

    def test_either_name_will_do_and_no_other(self, engine: Engine) -> None:
        messages = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        assert [engine.ask(CHAT, messages, model=name)[0] for name in engine.names] == [200, 200]
        status, answer = engine.ask(CHAT, messages, model="another")
        assert status == 404 and answer["error"]["param"] == "model"

    def test_a_stream_says_the_same_as_an_answer(self, engine: Engine) -> None:
        body = {"messages": [{"role": "user", "content": DRAGON}], "max_tokens": 6, **SAMPLED}
        events = engine.stream(CHAT, **body, stream_options={"include_usage": True})
        *chunks, last = events
        assert last["choices"] == [] and last["usage"]["completion_tokens"] > 0
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert [c["choices"][0].get("finish_reason") for c in chunks][-1] in ("length", "stop")
        said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
        assert said.strip() == text_of(engine.chat(DRAGON, max_tokens=6, **SAMPLED)).strip()

    def test_usage_comes_only_where_it_was_asked_for(self, engine: Engine) -> None:
        events = engine.stream(CHAT, messages=[{"role": "user", "content": "Hello"}], max_tokens=3)
        assert not any(event.get("usage") for event in events)
        assert all(event["choices"] for event in events)

    def test_completions(self, engine: Engine) -> None:
        status, answer = engine.ask(COMPLETIONS, {"prompt": "Once", "max_tokens": 4})
        assert status == 200 and answer["object"] == "text_completion"
        assert isinstance(answer["choices"][0]["text"], str) and answer["usage"]["prompt_tokens"] > 0
        events = engine.stream(COMPLETIONS, prompt="Once", max_tokens=4)
        assert all("text" in choice for event in events for choice in event["choices"])

    def test_responses(self, engine: Engine) -> None:
        status, answer = engine.ask(RESPONSES, {"input": "Hello", "max_output_tokens": 16})
        assert status == 200 and answer["object"] == "response" and answer["model"] == "lore"
        assert answer["output"][-1]["content"][0]["type"] == "output_text"

    def test_the_same_seed_says_the_same(self, engine: Engine) -> None:
        asked = {"max_tokens": 16, "temperature": 1.5}
        first, second, other = (text_of(engine.chat(DRAGON, seed=seed, **asked)) for seed in (7, 7, 8))
        assert first == second != other

    def test_it_stops_where_it_is_told_to(self, engine: Engine) -> None:
        whole = text_of(engine.chat(DRAGON, max_tokens=16, **SAMPLED))
        mark = next(character for character in whole[1:] if character.isascii() and character.isalnum())
        cut = engine.chat(DRAGON, max_tokens=16, stop=[mark], **SAMPLED)
        assert cut["choices"][0]["finish_reason"] == "stop"
        before, said = whole[: whole.index(mark)].rstrip(), text_of(cut)
        assert said.rstrip() == before
        asked = {"messages": [{"role": "user", "content": DRAGON}], "max_tokens": 16, "stop": [mark], **SAMPLED}
        choices = [event["choices"][0] for event in engine.stream(CHAT, **asked)]
        assert "".join(choice["delta"].get("content") or "" for choice in choices).strip() == before.strip()
        assert choices[-1]["finish_reason"] == "stop"

    def test_what_cannot_be_short_enough_is_not_read(self, engine: Engine) -> None:
        """Four million characters as tokens take half a minute in which nobody is answered."""
        begun = time.monotonic()
        status, answer = engine.ask(CHAT, {"messages": [{"role": "user", "content": "hello " * 700_000}]})
        took = time.monotonic() - begun
        assert status == 400 and "maximum context length" in json.dumps(answer) and took < 4, (took, answer)
        long = [letter * 255 for letter in "abcdefghijklmnop"]
        begun = time.monotonic()
        asked = {"messages": [{"role": "user", "content": DRAGON}], "max_tokens": 4, "stop": long}
        status, answer = engine.ask(CHAT, asked)
        assert status in (200, 400) and time.monotonic() - begun < 4, answer

    def test_tokens_there_and_back(self, engine: Engine) -> None:
        status, there = engine.ask(TOKENIZE, {"prompt": "héllo"})
        assert status == 200 and there["count"] == len(there["tokens"]) > 0 and there["max_model_len"] == engine.context
        status, back = engine.ask(DETOKENIZE, {"tokens": there["tokens"]})
        assert status == 200 and back["prompt"] == "héllo"
        status, talk = engine.ask(TOKENIZE, {"messages": [{"role": "user", "content": "Hello"}]})
        assert status == 200 and talk["count"] > 0

    def test_an_embedding_model_is_another_thing(self, engine: Engine) -> None:
        assert engine.ask(EMBEDDINGS, {"input": "x"})[0] == 404

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"messages": []}, 400),
            ({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 0}, 400),
            ({"messages": [{"role": "user", "content": "word " * 4000}]}, 400),
        ],
    )
    def test_what_is_wrong_is_said(self, engine: Engine, body: dict[str, Any], status: int) -> None:
        got, answer = engine.ask(CHAT, body)
        assert got == status and answer["error"]["message"]
        assert engine.chat(max_tokens=1), "and the next request works"

    def test_many_at_once(self, engine: Engine) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: engine.chat(max_tokens=4), range(6)))
        assert all(answer["choices"] for answer in answers)


class TestLore:
    """That what comes through is the model's: it was taught to name and describe creatures, as JSON when asked."""

    @pytest.fixture(autouse=True)
    def _speaks(self, engine: Engine) -> None:
        if engine.name is EngineName.FAKE:
            pytest.skip("it holds no model")

    def test_a_description_says_what_it_was_asked_for(self, engine: Engine) -> None:
        said = text_of(engine.chat(DRAGON, max_tokens=60, temperature=0))
        assert "a red dragon with wings" in said

    @pytest.mark.parametrize("question", ["Make a card for a red dragon with wings as JSON"])
    def test_json_when_it_is_asked_for(self, engine: Engine, question: str) -> None:
        card = json.loads(text_of(engine.chat(question, max_tokens=120, temperature=0)))
        assert card["name"].isalpha() and "dragon" in json.dumps(card) and "red" in json.dumps(card)

    def test_reasoning_when_it_is_asked_for(self, engine: Engine) -> None:
        thinking = {"chat_template_kwargs": {"enable_thinking": True}}
        message = engine.chat("Name a white ghost", max_tokens=80, temperature=0, **thinking)["choices"][0]["message"]
        said, thought = message["content"], message.get("reasoning") or message.get("reasoning_content") or ""
        assert "white ghost" in thought and "<think>" not in said and said.strip(), message


class TestAbilities:
    """What the table says, held against the engine: what it names works, what it leaves out does not."""

    def test_routes(self, engine: Engine) -> None:
        talk = {"messages": [{"role": "user", "content": "Hi"}]}
        bodies: dict[str, dict[str, Any]] = {
            CHAT: {**talk, "max_tokens": 1}, COMPLETIONS: {"prompt": "a", "max_tokens": 1},
            RESPONSES: {"input": "a", "max_output_tokens": 16}, MESSAGES: {**talk, "max_tokens": 1},
            COUNT_TOKENS: talk, TOKENIZE: {"prompt": "a"}, DETOKENIZE: {"tokens": [40]},
        }  # fmt: skip
        there = {path for path, body in bodies.items() if engine.ask(path, body)[0] == 200}
        assert there == engine.abilities.routes

    def test_answers_that_are_kept(self, engine: Engine) -> None:
        kept = engine.ask(RESPONSES, {"input": "Hello", "max_output_tokens": 16, "store": True})[1]
        status, _ = engine.ask(f"{RESPONSES}/{kept['id']}")
        assert (status == 200) is engine.abilities.remembers

    def test_several_answers(self, engine: Engine) -> None:
        if not engine.abilities.many:
            assert len(engine.chat(n=2, max_tokens=1)["choices"]) == 1
            return
        assert [one["index"] for one in engine.chat(n=3, max_tokens=2)["choices"]] == [0, 1, 2]

    def test_logprobs(self, engine: Engine) -> None:
        found = engine.chat(max_tokens=2, logprobs=True, top_logprobs=1)["choices"][0].get("logprobs")
        if not engine.abilities.logprobs:
            assert found is None
            return
        assert len(found["content"]) == 2
        assert all(one["logprob"] <= 0 and len(one["top_logprobs"]) >= 1 for one in found["content"])

    def test_logit_bias(self, engine: Engine) -> None:
        if engine.name is EngineName.FAKE:
            pytest.skip("it has no logits")
        token = engine.ask(TOKENIZE, {"prompt": "Z", "add_special_tokens": False})[1]["tokens"][0]
        assert text_of(engine.chat(max_tokens=4, temperature=0, logit_bias={str(token): 100})) == "ZZZZ"
        assert engine.abilities.logit_bias

    def test_answers_that_fit_a_schema(self, engine: Engine) -> None:
        """Names that lore would never give by itself."""
        schema = {"type": "object", "properties": {"name": {"enum": ["Rex", "Mog"]}}, "required": ["name"]}
        wanted = {"type": "json_schema", "json_schema": {"name": "card", "schema": schema, "strict": True}}
        asked = {"max_tokens": 60, "temperature": 0, "response_format": wanted}
        said = json.loads(text_of(engine.chat("Name a red dragon as JSON", **asked)))
        assert (said["name"] in ("Rex", "Mog")) is engine.abilities.schema

    @pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
    def test_tools_that_must_be_called(self, engine: Engine, choice: Any) -> None:
        answer = engine.chat(max_tokens=200, temperature=0, tools=[TOOL], tool_choice=choice)
        calls = answer["choices"][0]["message"].get("tool_calls") or []
        if (choice if isinstance(choice, str) else "named") not in engine.abilities.tool_choices:
            assert calls == []
            return
        assert calls[0]["function"]["name"] == "draw"
        assert json.loads(calls[0]["function"]["arguments"])["kind"] in ("fox", "owl")

    def test_tools_that_may_be_called(self, engine: Engine) -> None:
        assert "auto" in engine.abilities.tool_choices
        asked = {"max_tokens": 60, "temperature": 0, "tools": [PICTURE]}
        assert not engine.chat("Name a white ghost", **asked)["choices"][0]["message"].get("tool_calls")
        if engine.name is EngineName.FAKE:
            return
        choice = engine.chat("Draw a red dragon with wings", **asked)["choices"][0]
        (call,) = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls" and call["function"]["name"] == "make_picture"
        assert json.loads(call["function"]["arguments"]) == {"prompt": "a red dragon with wings"}

    def test_anthropics_messages(self, engine: Engine) -> None:
        if MESSAGES not in engine.abilities.routes:
            pytest.skip("it has no such route")
        body = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
        status, answer = engine.ask(MESSAGES, body)
        assert status == 200 and answer["type"] == "message" and answer["content"][0]["type"] == "text"
        assert answer["usage"]["output_tokens"] > 0
        assert engine.ask(COUNT_TOKENS, body)[1]["input_tokens"] > 0

    def test_sleep_is_for_those_that_sleep(self, engine: Engine) -> None:
        status, _ = engine.ask("/is_sleeping")
        assert (status == 200) is engine.abilities.sleeps


class TestSource:
    """What vLLM does on CUDA alone, read from the source of the same version for processors."""

    def test_the_routes_and_words_of_sleep_mode(self) -> None:
        python = environments().python("chat-cpu")
        if python is None:
            pytest.skip("the environment chat-cpu is not set up")
        pinned = [re.search(r"^vllm(?:-cpu)?==([\d.]+)", list_.read_text(), re.M) for list_ in LISTS]
        assert all(pinned) and len({found[1] for found in pinned if found}) == 1, "both are of one version"
        [source] = python.parents[1].glob("lib/python3*/site-packages/vllm")
        routes = (source / "entrypoints/serve/dev/sleep/api_router.py").read_text()
        assert '@router.post("/sleep")' in routes and re.search(
            r"level: Annotated\[int, Query\(ge=0, le=2\)\] = 1", routes
        )
        assert '@router.post("/wake_up")' in routes and '@router.get("/is_sleeping")' in routes
        words = (source / "v1/worker/gpu_worker.py").read_text()
        said = re.search(r'"(Sleep mode freed %s GiB memory, .*)"', words)
        assert said and vllm_chat.SLEPT.search(said[1].replace("%s", "1.50"))


class TestEnds:
    """Last: the engine does not live on."""

    def test_a_server_that_is_killed_takes_its_worker_along(self, engine: Engine) -> None:
        if isinstance(engine, ServedEngine):
            pytest.skip("others ask it still: test_the_end")
        everything = engine.below()
        server = next(pid for pid in sorted(everything) if _parent(pid) == engine.process.pid)
        began = time.monotonic()
        os.kill(server, signal.SIGKILL)
        status = engine.process.wait(5.0)
        assert time.monotonic() - began < 2.0
        assert status == 128 + signal.SIGKILL
        assert "the engine's server ended with signal 9" in engine.tail()
        deadline = time.monotonic() + 5.0
        while (left := {pid for pid in everything if _lives(pid)}) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == set()


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    return int((_stat(pid) or ["", "0"])[1])


def _lives(pid: int) -> bool:
    return bool(_stat(pid)) and _stat(pid)[0] not in "ZX"
