"""Batches and files with OpenAI's own client, against the fake engines."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from chat_models import add_chat_model, add_embedding_model
from PIL import Image
from serving import Server

PICTURES = "/v1/images/generations"
SMALL = {"model": "creatures", "size": "256x256", "steps": 1}
ENDS = {"completed", "failed", "expired", "cancelled"}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", timeout=60) as one:
        yield one


def line(at: int | str, body: dict[str, Any], url: str = PICTURES) -> dict[str, Any]:
    return {"custom_id": f"line-{at}", "method": "POST", "url": url, "body": body}


def pictures(count: int, **more: Any) -> list[dict[str, Any]]:
    return [line(at, {**SMALL, "prompt": f"picture {at}", "seed": at, **more}) for at in range(count)]


def as_file(lines: list[Any]) -> tuple[str, bytes]:
    texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
    return "in.jsonl", "\n".join(texts).encode()


def begin(client: openai.OpenAI, lines: list[Any], endpoint: Any = PICTURES, **more: Any) -> Any:
    file = client.files.create(file=as_file(lines), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)


def ended(client: openai.OpenAI, batch_id: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while (batch := client.batches.retrieve(batch_id)).status not in ENDS:
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
    return batch


def read(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    return [json.loads(text) for text in client.files.content(file_id or "").text.splitlines()]


class TestToItsEnd:
    def test_order_ids_and_answers(self, server: Server, client: openai.OpenAI) -> None:
        wrong = line("wrong", {**SMALL, "prompt": "", "n": 99})
        lines = [*pictures(5), wrong, "", line("nobody", {**SMALL, "prompt": "x", "model": "nobody"}), *pictures(2)[1:]]
        lines[-1]["custom_id"] = "last"
        batch = begin(client, lines, metadata={"project": "foxes"})
        assert batch.status in {"validating", "in_progress"} and batch.metadata == {"project": "foxes"}
        batch = ended(client, batch.id)
        assert batch.status == "completed" and batch.errors is None
        counts = batch.request_counts
        assert (counts.total, counts.completed, counts.failed) == (8, 6, 2)
        times = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at]
        assert None not in times and times == sorted(times)
        answers = read(client, batch.output_file_id)
        assert [one["custom_id"] for one in answers] == [f"line-{at}" for at in range(5)] + ["last"]
        for one in answers:
            assert one["response"]["status_code"] == 200 and one["error"] is None
            image = one["response"]["body"]["data"][0]
            assert Image.open(io.BytesIO(base64.b64decode(image["b64_json"]))).size == (256, 256)
        assert [one["response"]["body"]["data"][0]["seed"] for one in answers[:5]] == list(range(5))
        errors = read(client, batch.error_file_id)
        assert [one["custom_id"] for one in errors] == ["line-wrong", "line-nobody"]
        assert [one["response"]["status_code"] for one in errors] == [400, 404]
        assert set(errors[0]["response"]["body"]["error"]) == {"message", "type", "param", "code"}
        assert client.files.retrieve(batch.output_file_id or "").purpose == "batch_output"
        job = server.client.get(f"/api/jobs/{batch.job_id}").json()
        assert (job["kind"], job["status"], job["request"]["batch"]) == ("batch", "completed", batch.id)
        assert not list((server.data_dir / "batches").iterdir()), "what a completed batch was made from is gone"

    async def test_with_the_asynchronous_client(self, server: Server) -> None:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused") as client:
            file = await client.files.create(file=as_file(pictures(2)), purpose="batch")
            after = {"anchor": "created_at", "seconds": 3600}
            batch = await client.batches.create(
                input_file_id=file.id, endpoint=PICTURES, completion_window="24h", output_expires_after=after
            )
            while (batch := await client.batches.retrieve(batch.id)).status not in ENDS:
                await asyncio.sleep(0.05)
            output = await client.files.retrieve(batch.output_file_id or "")
            assert output.expires_at == output.created_at + 3600 and batch.error_file_id is None
            listed = [one.id async for one in client.batches.list(limit=1)]
            assert listed[0] == batch.id and len(listed) == len(set(listed))
            assert [one.id async for one in client.files.list(purpose="batch")][0] == file.id
            await client.files.delete(file.id)
            with pytest.raises(openai.NotFoundError):
                await client.files.retrieve(file.id)


class TestWrongInput:
    def test_each_line_is_told(self, server: Server, client: openai.OpenAI) -> None:
        good = pictures(1)[0]
        lines = [
            good, "{not json", "[1]", {**good, "custom_id": ""}, good, {**good, "custom_id": "m", "method": "GET"},
            {**good, "custom_id": "u", "url": "/v1/embeddings"}, {**good, "custom_id": "b", "body": "x"},
            {**good, "custom_id": "s", "body": {"stream": True}},
        ]  # fmt: skip
        batch = ended(client, begin(client, lines).id)
        assert batch.status == "failed" and batch.failed_at and batch.output_file_id is None
        assert [(one.line, one.code) for one in batch.errors.data] == [
            (2, "invalid_json_line"), (3, "invalid_json_line"), (4, "invalid_custom_id"), (5, "duplicate_custom_id"),
            (6, "invalid_method"), (7, "mismatched_url"), (8, "invalid_body"), (9, "invalid_body"),
        ]  # fmt: skip
        job = server.client.get(f"/api/jobs/{batch.job_id}").json()
        assert job["status"] == "failed" and "8 lines" in job["error"]["message"]

    def test_an_empty_file(self, client: openai.OpenAI) -> None:
        batch = ended(client, begin(client, ["", "  "]).id)
        assert (batch.status, batch.errors.data[0].code) == ("failed", "empty_file")

    def test_what_cannot_be_asked(self, client: openai.OpenAI) -> None:
        file = client.files.create(file=as_file(pictures(1)), purpose="evals")
        with pytest.raises(openai.BadRequestError, match="purpose"):
            client.batches.create(input_file_id=file.id, endpoint=PICTURES, completion_window="24h")
        with pytest.raises(openai.NotFoundError):
            client.batches.create(input_file_id="file-none", endpoint=PICTURES, completion_window="24h")
        speech: Any = "/v1/audio/transcriptions"
        with pytest.raises(openai.BadRequestError, match="no transcription yet"):
            client.batches.create(input_file_id=file.id, endpoint=speech, completion_window="24h")
        window: Any = "soon"
        with pytest.raises(openai.BadRequestError):
            client.batches.create(input_file_id=file.id, endpoint=PICTURES, completion_window=window)
        for call in (client.batches.retrieve, client.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                call("batch_none")


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, openai.OpenAI]]:
    """A server with a chat and an embedding model."""
    folder = tmp_path_factory.mktemp("talking")
    with Server(folder / "data", MODEL_ALIASES="gpt-4o-mini=echo") as server:
        add_chat_model(server, folder)
        add_embedding_model(server, folder)
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", timeout=60) as client:
            yield server, client


USAGE = (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
HELLO = [{"role": "user", "content": "Hello"}]


class TestText:
    @pytest.mark.parametrize(
        ("endpoint", "body", "kind"),
        [
            ("/v1/chat/completions", {"model": "gpt-4o-mini", "messages": HELLO}, "chat.completion"),
            ("/v1/completions", {"model": "echo", "prompt": "Hello"}, "text_completion"),
            ("/v1/responses", {"model": "echo", "input": "Hello"}, "response"),
            ("/v1/embeddings", {"model": "vectors", "input": "Hello"}, "list"),
        ],
    )
    def test_every_endpoint(self, talking: tuple[Server, openai.OpenAI], endpoint: str, body: Any, kind: str) -> None:
        server, client = talking
        lines = [line(at, body, endpoint) for at in range(20)]
        batch = ended(client, begin(client, lines, endpoint).id)
        assert (batch.status, batch.request_counts.completed, batch.error_file_id) == ("completed", 20, None)
        answers = read(client, batch.output_file_id)
        assert [one["custom_id"] for one in answers] == [f"line-{at}" for at in range(20)]
        direct = server.client.post(endpoint, json=body).json()
        for one in answers:
            assert one["response"]["body"]["object"] == kind
            assert one["response"]["body"].get("usage") == direct.get("usage")
        used = direct["usage"]
        counted = [used.get(name, used.get(other, 0)) for name, other in USAGE]
        assert [batch.usage.input_tokens, batch.usage.output_tokens] == [20 * one for one in counted]
        assert batch.usage.total_tokens == 20 * sum(counted) > 0
        assert batch.usage.input_tokens_details.cached_tokens == batch.usage.output_tokens_details.reasoning_tokens == 0

    def test_what_goes_wrong_is_the_lines_own(self, talking: tuple[Server, openai.OpenAI]) -> None:
        endpoint = "/v1/chat/completions"
        bodies = [
            {"model": "echo", "messages": HELLO},
            {"model": "echo"},
            {"model": "vectors", "messages": HELLO},
            {"messages": HELLO},
            {"model": "echo", "messages": [{"role": "user", "content": "fake:status=418"}]},
        ]
        lines = [line(at, one, endpoint) for at, one in enumerate(bodies)]
        batch = ended(talking[1], begin(talking[1], lines, endpoint).id)
        assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 4)
        errors = read(talking[1], batch.error_file_id)
        assert [one["custom_id"] for one in errors] == [f"line-{at}" for at in (1, 2, 3, 4)]
        assert all(400 <= one["response"]["status_code"] < 500 for one in errors)
        assert all(one["response"]["body"]["error"]["message"] for one in errors)

    def test_a_line_that_kills_the_engine_takes_no_other_with_it(self, talking: tuple[Server, openai.OpenAI]) -> None:
        endpoint = "/v1/chat/completions"
        killer = {"model": "echo", "messages": [{"role": "user", "content": "fake:die_after=1 fake:tokens=3"}]}
        slow = {"model": "echo", "messages": [{"role": "user", "content": "fake:delay_ms=100 fake:tokens=5"}]}
        lines = [line("bad", killer, endpoint), *(line(at, slow, endpoint) for at in range(6))]
        batch = ended(talking[1], begin(talking[1], lines, endpoint).id, 90)
        assert batch.status == "completed" and batch.request_counts.failed == 1
        assert [one["custom_id"] for one in read(talking[1], batch.output_file_id)] == [f"line-{at}" for at in range(6)]


class TestSentAgain:
    """With the same idempotency key, as clients do that did not hear the answer."""

    def test_a_file(self, client: openai.OpenAI) -> None:
        again = {"Idempotency-Key": "file-1"}
        one, two = (client.files.create(file=as_file(pictures(1)), purpose="batch", extra_headers=again) for _ in "ab")
        assert one == two and client.files.content(one.id).text == as_file(pictures(1))[1].decode()
        with pytest.raises(openai.ConflictError, match="different request"):
            client.files.create(file=as_file(pictures(2)), purpose="batch", extra_headers=again)
        assert client.files.content(one.id).text == as_file(pictures(1))[1].decode(), "what is there stays"
        assert client.files.create(file=as_file(pictures(1)), purpose="batch").id != one.id
        client.files.delete(one.id)
        three = client.files.create(file=as_file(pictures(2)), purpose="batch", extra_headers=again)
        assert client.files.retrieve(three.id).bytes == len(as_file(pictures(2))[1]), "a key is free once its file went"

    def test_a_batch(self, server: Server, client: openai.OpenAI) -> None:
        file = client.files.create(file=as_file(pictures(1)), purpose="batch")
        asked: Any = {"input_file_id": file.id, "endpoint": PICTURES, "completion_window": "24h"}
        asked["extra_headers"] = {"Idempotency-Key": "batch-1"}
        with ThreadPoolExecutor(4) as threads:
            made = [one.result().id for one in [threads.submit(client.batches.create, **asked) for _ in range(4)]]
        assert len(set(made)) == 1
        batch = ended(client, made[0])
        assert client.batches.create(**asked) == batch
        client.files.delete(file.id)
        assert client.batches.create(**asked).id == batch.id, "an answer that was given once stays the answer"
        with pytest.raises(openai.ConflictError, match="different request"):
            client.batches.create(**{**asked, "completion_window": "7d"})
        with pytest.raises(openai.BadRequestError):
            client.batches.create(**{**asked, "extra_headers": {"Idempotency-Key": "x" * 201}})


@pytest.fixture
def slow(own_server: Callable[..., Server]) -> Iterator[tuple[Server, openai.OpenAI]]:
    """A server whose pictures take a while, two lines at a time."""
    server = own_server(ATELIER_FAKE_STEP_SECONDS="0.3", BATCH_CONCURRENCY="2", ATELIER_SHARE_BATCHES="never")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", timeout=60) as client:
        yield server, client


def when_some(client: openai.OpenAI, batch_id: str, count: int = 1) -> Any:
    deadline = time.monotonic() + 30
    while (batch := client.batches.retrieve(batch_id)).request_counts.completed < count:
        assert time.monotonic() < deadline and batch.status not in ENDS, batch
        time.sleep(0.05)
    return batch


class TestMeanwhile:
    def test_cancel_keeps_what_is_done(self, slow: tuple[Server, openai.OpenAI]) -> None:
        server, client = slow
        batch = begin(client, pictures(40))
        running = when_some(client, batch.id, 2)
        assert running.status == "in_progress" and running.output_file_id is None
        with pytest.raises(openai.ConflictError, match="needs this file") as refused:
            client.files.delete(batch.input_file_id)
        assert refused.value.response.headers["x-should-retry"] == "false"
        partial = server.client.get(f"/v1/batches/{batch.id}/output").text.splitlines()
        assert len(partial) >= 2 and json.loads(partial[0])["custom_id"] == "line-0"
        begun = time.monotonic()
        assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
        batch = ended(client, batch.id, 10)
        assert batch.status == "cancelled" and time.monotonic() - begun < 10
        answers = read(client, batch.output_file_id)
        assert len(partial) <= len(answers) == batch.request_counts.completed < 40
        assert [json.loads(text) for text in partial] == answers[: len(partial)]
        server.wait_for(batch.job_id, "cancelled")
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(batch.id)

        def active() -> list[str]:
            items = server.client.get("/api/jobs", params={"status": ["queued", "running"]}).json()["items"]
            return [job["id"] for job in items]

        for job in active():
            server.wait_for(job, seconds=10)  # what is about to be done may be done
        assert active() == [], "its pictures do not go on without it"

    def test_tried_again_it_goes_on(self, slow: tuple[Server, openai.OpenAI]) -> None:
        server, client = slow
        batch = begin(client, pictures(6))
        when_some(client, batch.id, 2)
        server.client.delete(f"/api/jobs/{batch.job_id}")  # as the Jobs page cancels
        assert ended(client, batch.id, 10).status == "cancelled"
        server.wait_for(batch.job_id, "cancelled")
        made = server.client.get("/api/gallery").json()["items"]
        assert server.client.post(f"/api/jobs/{batch.job_id}/retry").status_code == 202
        server.wait_for(batch.job_id, "completed", seconds=60)
        batch = client.batches.retrieve(batch.id)
        assert (batch.status, batch.cancelled_at) == ("completed", None)
        assert [one["custom_id"] for one in read(client, batch.output_file_id)] == [f"line-{at}" for at in range(6)]
        assert len(server.client.get("/api/gallery").json()["items"]) == 6 > len(made), "none was made twice"

    def test_cancelled_while_it_waits(self, slow: tuple[Server, openai.OpenAI]) -> None:
        server, client = slow
        batches = [begin(client, pictures(20)) for _ in range(3)]  # two are answered at once
        assert client.batches.cancel(batches[2].id).status == "cancelled"
        assert server.client.get(f"/api/jobs/{batches[2].job_id}").json()["status"] == "cancelled"
        for one in batches[:2]:
            client.batches.cancel(one.id)
            assert ended(client, one.id, 10).status == "cancelled"

    def test_who_waits_comes_first(self, slow: tuple[Server, openai.OpenAI]) -> None:
        server, client = slow
        batch = begin(client, pictures(12))
        when_some(client, batch.id)
        server.wait_for(server.generate("in a hurry", steps=1, width=256, height=256))
        counts = client.batches.retrieve(batch.id).request_counts
        assert counts.completed < 8, "it did not wait for the batch's pictures"
        client.batches.cancel(batch.id)

    def test_its_time_is_over(self, slow: tuple[Server, openai.OpenAI]) -> None:
        import sqlite3

        server, client = slow
        batch = begin(client, pictures(30))
        when_some(client, batch.id, 2)
        server.stop()
        with sqlite3.connect(server.data_dir / "atelier.db") as database:
            database.execute("UPDATE batches SET expires_at = '2020-01-01 00:00:00.000000'")
        server.start()
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused") as client:
            batch = ended(client, batch.id)
            assert batch.status == "expired" and batch.expired_at
            answers, late = read(client, batch.output_file_id), read(client, batch.error_file_id)
        assert len(answers) == batch.request_counts.completed >= 2 and len(answers) + len(late) == 30
        assert {one["error"]["code"] for one in late} == {"batch_expired"} and late[0]["response"] is None
        assert server.wait_for(batch.job_id)["error"]["code"] == "batch_expired"


def test_the_night_window(own_server: Callable[..., Server]) -> None:
    hour = (time.localtime().tm_hour + 5) % 24
    server = own_server(BATCH_WINDOW=f"{hour:02}:00-{(hour + 1) % 24:02}:00")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused") as client:
        batch = begin(client, pictures(2))
        deadline = time.monotonic() + 20
        while (
            not (job := server.client.get(f"/api/jobs/{batch.job_id}").json())["waiting"] or job["status"] == "queued"
        ):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        assert job["waiting"]["said"]["code"] == "batch.window" and f"{hour:02}:00" in job["waiting"]["message"]
        wrong = ended(client, begin(client, ["x"]).id)
        assert wrong.status == "failed", "what is wrong with a file is told at once"
        assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
        assert ended(client, batch.id, 10).request_counts.completed == 0


def test_a_closed_door(own_server: Callable[..., Server]) -> None:
    server = own_server(OPENAI_API_KEYS="k1,k2")
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="k1") as one,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="k2") as other,
    ):
        batch = ended(one, begin(one, pictures(1)).id)
        assert batch.status == "completed"
        for call in (other.batches.retrieve, other.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                call(batch.id)
        with pytest.raises(openai.NotFoundError):
            begin_with = one.files.list().data[-1].id
            other.batches.create(input_file_id=begin_with, endpoint=PICTURES, completion_window="24h")
        assert other.batches.list().data == []
        assert httpx2.get(f"{server.url}/v1/batches/{batch.id}/output").status_code == 401
