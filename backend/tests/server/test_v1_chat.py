"""/v1 for clients: what goes to an engine and what comes back, by the fake engine's own OpenAI server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from atelier.chat.answers import both_spellings, openai_error
from atelier.chat.screening import Screen
from chat_models import add_chat_lora, add_chat_model, add_embedding_model
from client_pictures import drawing, png
from serving import Server
from tests.hostile.bombs import header
from tests.server.test_accounts import PASSWORD, sign_in

HELLO = [{"role": "user", "content": "Hello"}]
TOKEN = "0123456789abcdef0123456789abcdef"
ADMIN = {"authorization": f"Bearer {TOKEN}"}


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer sk-{name}-0123456789"}


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An open server with a chat model `echo`, an embedding model `vectors`, and an alias."""
    folder = tmp_path_factory.mktemp("chat")
    sockets = tmp_path_factory.mktemp("s")
    with Server(folder / "data", MODEL_ALIASES="gpt-4o-mini=echo", XDG_RUNTIME_DIR=str(sockets)) as server:
        server.sockets = lambda: sockets.rglob("*.v1")  # type: ignore[attr-defined]
        add_chat_model(server, folder)
        add_embedding_model(server, folder)
        yield server


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A closed server with two keys; the second may use `echo` only."""
    folder = tmp_path_factory.mktemp("keyed")
    keys = "sk-one-0123456789,sk-two-0123456789"
    settings = {"OPENAI_API_KEYS": keys, "OPENAI_KEY_MODELS": "sk-two-0123456789=echo", "ATELIER_TOKEN": TOKEN}
    with Server(folder / "data", **settings) as server:
        server.client.headers["authorization"] = ADMIN["authorization"]
        add_chat_model(server, folder)
        add_embedding_model(server, folder)
        del server.client.headers["authorization"]
        yield server


def used(server: Server) -> tuple[int, int]:
    """Requests and completion tokens, of all."""
    rows = server.client.get("/api/chat/usage", headers=ADMIN).json()["items"]
    return sum(row["requests"] for row in rows), sum(row["completion_tokens"] for row in rows)


def counted(server: Server) -> int:
    """Requests, by the metrics."""
    lines = server.client.get("/metrics", headers=ADMIN).text.splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith("atelier_chat_requests_total{"))


def engine_s(server: Server) -> dict[str, Any]:
    """What the engine of `echo` saw."""
    for path in server.sockets():  # type: ignore[attr-defined]
        transport = httpx2.HTTPTransport(uds=str(path))
        with httpx2.Client(transport=transport, base_url="http://engine") as client:
            seen = client.get("/fake").json()
            if any(b"echo" in str(one).encode() for one in seen["requests"]):
                return seen
    raise AssertionError("no engine has `echo`")


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

    def test_a_response_is_kept_for_whoever_asked(self, keyed: Server) -> None:
        made = keyed.client.post("/v1/responses", json={"model": "echo", "input": "Hi"}, headers=key("one")).json()
        path = f"/v1/responses/{made['id']}"
        assert keyed.client.get(path, headers=key("one")).json()["id"] == made["id"]
        assert keyed.client.get(path, headers=key("two")).status_code == 404
        body = {"model": "echo", "input": "And?", "previous_response_id": made["id"]}
        assert keyed.client.post("/v1/responses", json=body, headers=key("one")).status_code == 200
        assert keyed.client.post("/v1/responses", json=body, headers=key("two")).status_code == 404

    def test_reasoning_has_both_names(self, chat: Server) -> None:
        message = {"reasoning": "hm", "content": "yes"}
        assert both_spellings({"choices": [{"message": dict(message)}]})["choices"][0]["message"] == {
            **message,
            "reasoning_content": "hm",
        }
        delta = both_spellings({"choices": [{"delta": {"reasoning_content": "hm"}}]})["choices"][0]["delta"]
        assert delta == {"reasoning": "hm", "reasoning_content": "hm"}


class TestModels:
    def test_all_that_can_be_asked_with_their_aliases(self, chat: Server) -> None:
        found = {one["id"]: one for one in chat.client.get("/v1/models").json()["data"]}
        assert {"echo", "vectors", "gpt-4o-mini", "creatures"} <= set(found)
        assert found["echo"]["max_model_len"] == 4096
        assert (found["vectors"]["task"], found["creatures"]["max_model_len"]) == ("embed", None)
        assert chat.client.get("/v1/models/gpt-4o-mini").json()["root"] == "echo"

    def test_an_id_with_a_slash(self, chat: Server) -> None:
        refused = chat.client.get("/v1/models/somebody%2Fsomething")
        assert refused.status_code == 404
        assert "somebody/something" in refused.json()["error"]["message"]


class TestLoras:
    """A LoRA of a chat model is a model of its own to whoever asks, and is answered for by its base."""

    @pytest.fixture(scope="class")
    def adapted(self, keyed: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
        folder = tmp_path_factory.mktemp("loras")
        keyed.client.headers["authorization"] = ADMIN["authorization"]
        add_chat_lora(keyed, folder, "pirate")
        add_chat_lora(keyed, folder, "of-another", rows=48)
        assert self.chosen(keyed, "pirate").status_code == 200
        del keyed.client.headers["authorization"]
        return keyed

    def chosen(self, server: Server, *loras: str, model: str = "echo", **more: Any) -> Any:
        body = {"load_options": {"loras": list(loras), **more}}
        return server.client.patch(f"/api/models/{model}", json=body, headers=ADMIN)

    def test_it_is_listed_and_answers_by_its_name(self, adapted: Server) -> None:
        listed = adapted.client.get("/v1/models", headers=key("one")).json()["data"]
        (one,) = [model for model in listed if model["id"] == "pirate"]
        assert (one["parent"], one["task"], one["max_model_len"]) == ("echo", "chat", 4096)
        assert adapted.client.get("/v1/models/pirate", headers=key("one")).json() == one
        for model in ("pirate", "echo"):
            body = {"model": model, "messages": HELLO}
            answer = adapted.client.post("/v1/chat/completions", json=body, headers=key("one"))
            assert answer.status_code == 200 and answer.json()["model"] == model, answer.text
        models = adapted.client.get("/api/models/", headers=ADMIN).json()["items"]
        loras = {one["key"]: one["answers_with"] for one in models if one["type"] == "lora"}
        assert loras == {"pirate": "echo", "of-another": None}
        assert adapted.client.get("/api/models/pirate", headers=ADMIN).json()["answers_with"] == "echo"
        workers = adapted.client.get("/api/models/echo", headers=ADMIN).json()
        assert workers["state"] == "ready" and workers["load_options"]["loras"] == ["pirate"]

    def test_a_key_that_may_use_its_base_alone_may_not_use_it(self, adapted: Server) -> None:
        body = {"model": "pirate", "messages": HELLO}
        assert adapted.client.post("/v1/chat/completions", json=body, headers=key("two")).status_code == 404
        listed = adapted.client.get("/v1/models", headers=key("two")).json()["data"]
        assert [model["id"] for model in listed] == ["echo"]

    @pytest.mark.parametrize(
        ("model", "lora", "code"),
        [
            ("echo", "of-another", "lora.other_base"),
            ("echo", "nobody", "lora.none_such"),
            ("echo", "vectors", "lora.none_such"),
            ("vectors", "pirate", "lora.no_engine"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, adapted: Server, model: str, lora: str, code: str) -> None:
        for refused in (
            self.chosen(adapted, lora, model=model),
            adapted.client.post(f"/api/admin/models/{model}/load", json={"options": {"loras": [lora]}}, headers=ADMIN),
        ):
            assert refused.status_code == 422, refused.text
            assert refused.json()["errors"][0]["field"] == "loras" and refused.json()["said"]["code"] == code

    def test_one_that_nobody_loads_is_no_model(self, adapted: Server) -> None:
        body = {"model": "of-another", "messages": HELLO}
        answer = adapted.client.post("/v1/chat/completions", json=body, headers=key("one"))
        assert answer.status_code == 404 and answer.json()["error"]["param"] == "model"


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"chat_template": "{{ 1 }}"}, "chat_template"),
            ({"chat_template_kwargs": {"chat_template": "x"}}, "chat_template_kwargs.chat_template"),
            ({"mm_processor_kwargs": {"x": 1}}, "mm_processor_kwargs"),
            ({"prompt_embeds": "AAAA"}, "prompt_embeds"),
            ({"vllm_xargs": {"a": "b"}}, "vllm_xargs"),
            ({"kv_transfer_params": {"a": 1}}, "kv_transfer_params"),
            ({"allowed_token_ids": [1]}, "allowed_token_ids"),
            ({"n": 17}, "n"),
            ({"n": True}, "n"),
            ({"top_logprobs": 21}, "top_logprobs"),
            ({"stop": ["x"] * 17}, "stop"),
            ({"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias"),
            ({"tools": [{"type": "function", "function": {"name": "f"}}] * 129}, "tools"),
            ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": ["f"]}, "tool_choice"),
            ({"functions": [{"name": "f"}]}, "functions"),
            ({"structured_outputs": {"grammar": "root ::= x"}}, "structured_outputs.grammar"),
            ({"structured_outputs": {"regex": "(a+)+b"}}, "structured_outputs.regex pattern"),
            (
                {"output_config": {"format": {"type": "json_schema", "schema": {"pattern": "(a+)+b"}}}},
                "output_config.format.schema pattern",
            ),
            ({"messages": "Hello"}, "messages"),
            ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages.content"),
            ({"model": None}, "model"),
        ],
    )
    def test_what_an_engine_must_not_be_asked(self, chat: Server, body: dict[str, Any], field: str) -> None:
        refused = ask(chat, **body)
        assert refused.status_code == 400, refused.text
        assert refused.json()["error"]["param"] == field
        assert refused.json()["error"]["type"] == "invalid_request_error"

    def test_a_schema_that_is_too_deep_or_too_large(self, chat: Server) -> None:
        deep: dict[str, Any] = {}
        for _ in range(40):
            deep = {"type": "object", "properties": {"a": deep}}
        large = {"enum": ["x" * 1000] * 70}
        endless = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
        for schema in (deep, large, endless | {"$defs": {}}, {"$ref": "http://example.org/x"}):
            wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
            if schema.get("$defs") == {}:
                continue
            assert ask(chat, response_format=wanted).status_code == 400, str(schema)[:80]

    @pytest.mark.parametrize("url", ["http://127.0.0.1/x.png", "file:///etc/passwd", "https://example.org/a.png", "x"])
    def test_pictures_come_with_the_request(self, chat: Server, url: str) -> None:
        parts = [{"type": "image_url", "image_url": {"url": url}}]
        refused = ask(chat, messages=[{"role": "user", "content": parts}])
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "messages.content.image_url"
        block = [{"type": "image", "source": {"type": "url", "url": url}}]
        anthropic = ask(chat, "/v1/messages", messages=[{"role": "user", "content": block}], max_tokens=5)
        assert anthropic.status_code == 400
        assert anthropic.json()["error"]["type"] == "invalid_request_error"

    def test_pictures_are_looked_at_and_counted(self, chat: Server) -> None:
        def sent(data: bytes, count: int = 1) -> Any:
            url = "data:image/png;base64," + base64.b64encode(data).decode()
            parts = [{"type": "image_url", "image_url": {"url": url}}] * count
            return ask(chat, messages=[{"role": "user", "content": parts}])

        assert sent(png(drawing())).status_code == 200
        for wrong in (sent(b"BM" + bytes(100)), sent(header(30_000, 30_000)), sent(png(drawing()), 17)):
            assert wrong.status_code == 400, wrong.text
            assert wrong.json()["error"]["param"].startswith("messages.content")
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"BM" + bytes(100)).decode()}
        block = [{"role": "user", "content": [{"type": "image", "source": source}]}]
        assert ask(chat, "/v1/messages", messages=block, max_tokens=5).status_code == 400

    def test_what_nobody_knows_is_dropped(self, chat: Server) -> None:
        """Claude Code sends `context_management` to whatever server it is pointed at."""
        more: dict[str, Any] = {"context_management": {"edits": []}, "something_new": {"a": 1}}
        assert ask(chat, "/v1/messages", max_tokens=5, **more).status_code == 200
        seen = json.loads(engine_s(chat)["requests"][-1]["body"])
        assert seen["max_tokens"] == 5 and not seen.keys() & more.keys()

    def test_no_json(self, chat: Server) -> None:
        for body in (b"", b"{", b"[]", b'"x"', b"\xff", b'{"model":"echo","a":' + b"[" * 2000):
            refused = chat.client.post("/v1/chat/completions", content=body)
            assert refused.status_code == 400, body[:20]
            assert refused.json()["error"]["code"] == "invalid_json"

    def test_an_unknown_model(self, chat: Server) -> None:
        refused = ask(chat, model="nothing")
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "model_not_found"
        assert "echo" in refused.json()["error"]["message"]

    def test_too_large_a_body(self, chat: Server) -> None:
        refused = chat.client.post("/v1/chat/completions", content=b" " * (64 * 1024 * 1024 + 1))
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("kind", ["adaptive", "enabled", "disabled", None])
@pytest.mark.parametrize("reasons", [True, False])
def test_thought_asked_for_in_anthropic_s_words(kind: str | None, reasons: bool) -> None:
    """A template that thinks only when told to is told: engines look at the budget alone."""
    target: Any = SimpleNamespace(name="echo", task="chat", spec=SimpleNamespace(engine="fake"), reasons=reasons)
    body: dict[str, Any] = {"messages": HELLO, "max_tokens": 5, "thinking": kind and {"type": kind}}
    changed = asyncio.run(Screen().look_over("/v1/messages", body, target))
    switched = body.get("chat_template_kwargs", {}).get("enable_thinking", False)
    assert changed is switched is (reasons and kind in ("adaptive", "enabled"))


class TestEngineErrors:
    def test_in_openai_s_words(self, chat: Server) -> None:
        refused = ask(chat, fake={"status": 400})
        error = refused.json()["error"]
        assert refused.status_code == 400
        assert (error["type"], isinstance(error["code"], str)) == ("invalid_request_error", True)
        failed = ask(chat, fake={"status": 500})
        assert failed.json()["error"]["code"] == "engine_error"
        assert failed.headers["x-should-retry"] == "false"

    def test_in_anthropic_s_words(self, chat: Server) -> None:
        refused = ask(chat, "/v1/messages", max_tokens=5, fake={"status": 400})
        assert refused.json()["type"] == "error"
        assert refused.json()["error"]["type"] == "invalid_request_error"
        assert refused.json()["request_id"] == refused.headers["x-request-id"]

    def test_of_a_stream_before_it_begins(self, chat: Server) -> None:
        refused = ask(chat, stream=True, fake={"status": 400})
        assert refused.status_code == 400
        assert refused.json()["error"]["message"]

    def test_too_long_for_the_model(self, chat: Server) -> None:
        """By OpenAI's code, which its clients look for; in whatever words an engine says it."""
        refused = ask(chat, messages=[{"role": "user", "content": "word " * 5000}])
        assert refused.status_code == 400 and refused.json()["error"]["code"] == "context_length_exceeded"
        vllm = (
            "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens.",
            "The decoder prompt (length 2500) is longer than the maximum model length of 2048.",
        )
        for words in vllm:
            told = openai_error(400, {"error": {"message": words, "type": "BadRequestError", "code": 400}})
            assert told["error"]["code"] == "context_length_exceeded"

    def test_words_without_internals(self) -> None:
        told = openai_error(400, {"error": "cannot read /home/somebody/models/x at 0x7f0011223344"})
        assert told["error"]["message"] == "cannot read … at …"


class TestFront:
    def test_what_every_answer_carries(self, chat: Server) -> None:
        for answer in (ask(chat), ask(chat, stream=True), ask(chat, model="nothing")):
            assert answer.headers["x-request-id"]
            assert answer.headers["openai-processing-ms"].isdigit()
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-cache"
        named = chat.client.post("/v1/embeddings", json={}, headers={"x-request-id": "mine-1"})
        assert named.headers["x-request-id"] == "mine-1"

    def test_hosts_and_origins(self, chat: Server) -> None:
        body = {"model": "echo", "messages": HELLO}
        for headers, status in (
            ({"host": "evil.example"}, 421),
            ({"origin": "http://evil.example"}, 403),
            ({"origin": chat.url}, 200),
        ):
            assert chat.client.post("/v1/chat/completions", json=body, headers=headers).status_code == status

    def test_other_methods_and_paths_are_fastapi_s(self, chat: Server) -> None:
        assert chat.client.get("/v1/chat/completions").status_code == 405
        assert chat.client.post("/v1/chat/completion", json={}).status_code == 404
        assert chat.client.get("/v1/responses/..%2f..%2fetc").status_code == 404


class TestKeys:
    def test_a_key_is_needed_where_there_are_some(self, keyed: Server) -> None:
        body = {"model": "echo", "messages": HELLO}
        for headers, status in (
            ({}, 401),
            ({"authorization": "Bearer sk-wrong"}, 401),
            ({"authorization": ""}, 401),
            (key("one"), 200),
            ({"x-api-key": "sk-one-0123456789"}, 200),
        ):
            for path in ("/v1/chat/completions", "/tokenize"):
                asked = {**body, "prompt": "x"} if path == "/tokenize" else body
                answer = keyed.client.post(path, json=asked, headers=headers)
                assert answer.status_code == status, (path, headers, answer.text)

    def test_a_key_with_a_list_of_models(self, keyed: Server) -> None:
        body = {"messages": HELLO}
        assert keyed.client.post("/v1/chat/completions", json={**body, "model": "echo"}, headers=key("two")).is_success
        refused = keyed.client.post("/v1/embeddings", json={"model": "vectors", "input": "x"}, headers=key("two"))
        assert refused.status_code == 404
        assert [one["id"] for one in keyed.client.get("/v1/models", headers=key("two")).json()["data"]] == ["echo"]

    def test_what_was_used_is_told(self, keyed: Server) -> None:
        body = {"model": "echo", "messages": HELLO}
        asked = counted(keyed)
        for _ in range(3):
            assert keyed.client.post("/v1/chat/completions", json=body, headers=key("one")).is_success
        assert counted(keyed) == asked + 3
        deadline = time.monotonic() + 15
        while (told := used(keyed))[0] < asked + 3 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert told[0] == asked + 3
        assert told[1] >= 24
        page = keyed.client.get("/metrics", headers=ADMIN).text
        route = 'model="echo",path="/v1/chat/completions"'
        assert f'atelier_chat_request_duration_seconds_bucket{{{route},le="+Inf"}}' in page
        assert f'atelier_chat_tokens_total{{{route},kind="completion"}}' in page
        assert keyed.client.get("/metrics").status_code == 401

    def test_what_one_used_oneself_by_the_day_where_one_lives(self, keyed: Server) -> None:
        ana = keyed.client.post("/api/users", json={"name": "ana", "password": PASSWORD}, headers=ADMIN).json()["id"]
        hers = {"authorization": f"Bearer {sign_in(keyed, 'ana', PASSWORD)}"}
        day = datetime.now(UTC).date() - timedelta(days=9)
        with sqlite3.connect(keyed.data_dir / "atelier.db") as rows:
            for hour, model, requests in (("08", "echo", 2), ("23", "echo", 3), ("23", "gone", 4)):
                counted = (f"{day} {hour}:00:00.000000", ana, model, "/v1/completions", requests, 1, 70, 7, 1.5)
                rows.execute("INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", counted)

        def told(**query: Any) -> tuple[list[tuple[str, int]], list[tuple[str, str, int]]]:
            found = keyed.client.get("/api/chat/usage", params=query, headers=hers).json()
            assert {one["name"] for one in found["items"]} <= {"ana"}, "somebody else's is not told"
            items = [(one["model"], one["requests"]) for one in found["items"]]
            return items, [(one["day"], one["model"], one["requests"]) for one in found["days"]]

        next_day = str(day + timedelta(days=1))
        assert told() == ([("echo", 5), ("gone", 4)], [(str(day), "echo", 5), (str(day), "gone", 4)])
        assert told(east=120)[1] == [(str(day), "echo", 2), (next_day, "echo", 3), (next_day, "gone", 4)]
        assert told(days=5) == ([], [])
        everybody = keyed.client.get("/api/chat/usage", headers=ADMIN).json()
        assert sum(one["requests"] for one in everybody["items"] if one["owner"] == ana) == 9
        assert any(one["day"] == str(day) and one["prompt_tokens"] == 140 for one in everybody["days"])


class TestWaiting:
    def test_a_stream_is_kept_alive_while_it_waits(self, chat: Server) -> None:
        answer = ask(chat, stream=True, fake={"first_delay_ms": 1500, "tokens": 2})
        assert answer.text.startswith(": ")
        assert answer.text.endswith("data: [DONE]\n\n")

    def test_a_client_that_hangs_up_ends_the_engine_s_work(self, chat: Server) -> None:
        aborted = engine_s(chat)["aborted"]
        body = {"model": "echo", "messages": HELLO, "stream": True, "fake": {"tokens": 1000, "delay_ms": 50}}
        with chat.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            next(line for line in answer.iter_lines() if line.startswith("data: "))  # the engine has begun
        with contextlib.suppress(httpx2.TimeoutException):
            chat.client.post("/v1/chat/completions", json={**body, "stream": False}, timeout=2)
        deadline = time.monotonic() + 10
        while engine_s(chat)["aborted"] < aborted + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert engine_s(chat)["aborted"] >= aborted + 2

    def test_a_model_that_takes_too_long_to_load(self, tmp_path: Path, own_server: Any) -> None:
        server = own_server(CHAT_WAIT="0.01")
        add_chat_model(server, tmp_path)
        refused = ask(server)
        assert refused.status_code == 503, refused.text
        assert refused.json()["error"]["code"] == "model_loading"
        assert int(refused.headers["retry-after"]) > 0


class TestCaps:
    def test_more_than_may_be_under_way(self, tmp_path: Path, own_server: Any) -> None:
        server = own_server(CHAT_LIMIT="4", CHAT_LIMIT_EACH="3")
        add_chat_model(server, tmp_path)
        assert ask(server).status_code == 200
        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(ask, server, fake={"tokens": 20, "delay_ms": 50}) for _ in range(8)]
            answers = [one.result() for one in asked]
        assert sorted(one.status_code for one in answers) == [200] * 3 + [429] * 5
        refused = next(one for one in answers if one.status_code == 429)
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert ask(server).status_code == 200
