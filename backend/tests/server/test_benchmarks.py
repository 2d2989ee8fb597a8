"""Benchmarks of chat models: measured by a job, kept, compared, handed out; and `atelier bench chat`."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from atelier import cli
from atelier.chat.benchmark_measuring import (
    Goals,
    Rounds,
    Sample,
    figures,
    measure,
    plan,
    prompt_of,
    spread,
)
from chat_models import add_chat_model, add_embedding_model
from serving import BACKEND, Server

ROUNDS = {"rounds": 2, "ttft_goal_ms": 60_000, "tpot_goal_ms": 60_000}
SMALL = {"requests": 4, "prompt_tokens": 32, "output_tokens": 6}


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bench")
    with Server(folder / "data") as server:
        for key in ("echo", "other"):
            add_chat_model(server, folder, key)
        add_embedding_model(server, folder)
        yield server


def begin(server: Server, **wanted: Any) -> dict[str, Any]:
    answer = server.client.post("/api/chat/benchmarks", json={"models": ["echo"], **SMALL, **wanted})
    assert answer.status_code == 202, answer.text
    return answer.json()


def get(server: Server, benchmark_id: str) -> dict[str, Any]:
    return server.client.get(f"/api/chat/benchmarks/{benchmark_id}").json()


class TestFigures:
    def test_percentiles_are_those_of_numpy(self) -> None:
        # numpy.percentile([1, 2, 3, 4], [50, 90, 99]) = 2.5, 3.7, 3.97
        assert spread([0.004, 0.001, 0.003, 0.002]) == {"mean": 2.5, "p50": 2.5, "p90": 3.7, "p99": 3.97}
        assert spread([0.5]) == {"mean": 500.0, "p50": 500.0, "p90": 500.0, "p99": 500.0}
        assert spread([]) is None

    def test_what_failed_is_counted_and_in_no_latency(self) -> None:
        good = Sample(ttft=0.1, itl=[0.02, 0.04], e2el=0.2, input_tokens=10, output_tokens=5)
        found = figures([good, good, Sample(error="gone", e2el=9.0)], 2.0)
        assert (found["completed"], found["failed"], found["error"]) == (2, 1, "gone")
        assert (found["request_throughput"], found["output_throughput"], found["total_token_throughput"]) == (1, 5, 15)
        assert found["tpot_ms"]["mean"] == 25.0, "what is left after the first token, for each of the other four"
        assert found["itl_ms"]["p50"] == 30.0 and found["e2el_ms"]["p99"] == 200.0
        assert figures([Sample(error="x")], 0.0)["ttft_ms"] is None

    def test_what_came_together_shares_its_time(self) -> None:
        def events(count: int) -> bytes:
            return b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n' * count

        async def ask(_body: dict[str, Any]) -> AsyncIterator[bytes]:
            for count in (1, 4, 1):
                yield events(count)
                await asyncio.sleep(0.05)

        sample = asyncio.run(measure(ask, {}))
        assert (len(sample.icl), len(sample.itl), sample.output_tokens) == (2, 5, 6)
        assert sample.itl[:4] == [sample.icl[0] / 4] * 4 and sample.icl[0] >= 0.05, "and none of them is zero"
        assert sum(sample.itl) == pytest.approx(sum(sample.icl)) == pytest.approx(sample.e2el - sample.ttft, abs=1e-6)

    def test_goodput(self) -> None:
        quick, slow = (Sample(ttft=ttft, e2el=ttft + 0.4, output_tokens=5) for ttft in (0.1, 0.3))
        samples = [quick, slow, slow, Sample(error="gone")]
        assert figures(samples, 1.0)["goodput"] is None
        for ttft, tpot, share in ((300, None, 0.75), (299, None, 0.25), (None, 100, 0.75), (300, 99, 0), (1, 1, 0)):
            assert figures(samples, 1.0, Goals.of(ttft, tpot))["goodput"] == share, (ttft, tpot)

    def test_rounds_are_put_together(self) -> None:
        rounds = Rounds(2, Goals())
        seeds = [rounds.seed("a", 1, 7)]
        assert rounds.add("a", 1, [Sample(ttft=0.1)], 1.0) is None and rounds.add("b", 1, [Sample()], 1.0) is None
        seeds += [rounds.seed("a", 1, 7), rounds.seed("a", 2, 7)]
        found = rounds.add("a", 1, [Sample(ttft=0.3), Sample(error="gone")], 2.0)
        assert found and (found["completed"], found["failed"], found["duration_seconds"]) == (2, 1, 3.0)
        assert found["ttft_ms"]["p50"] == 200.0 and len(set(seeds)) == 3

    def test_the_order_of_the_models_is_drawn_and_repeatable(self) -> None:
        models = [f"m{at}" for at in range(6)]
        orders = {tuple(model for model, _ in plan(models, [1], seed)) for seed in range(20)}
        assert len(orders) > 10 and plan(models, [4, 1], 3) == plan(models, [1, 4, 4], 3)
        first, second = plan(models, [1], 4, 2)[:6], plan(models, [1], 4, 2)[6:]
        assert first != second and sorted(first) == sorted(second), "each round has an order of its own"
        assert sorted(plan(models, [1, 2], 5)) == [(model, level) for model in models for level in (1, 2)]

    def test_prompts_differ(self) -> None:
        assert prompt_of(20, 1) == prompt_of(20, 1) != prompt_of(20, 2)
        assert len(prompt_of(20, 1).split()) == 20


class TestMeasuring:
    def test_several_models_at_several_levels(self, chat: Server) -> None:
        made = begin(chat, models=["echo", "other"], concurrency=[4, 1], name="both", seed=3, **ROUNDS)
        assert made["status"] == "queued" and made["stages"] == []
        job = chat.wait_for(made["job_id"], "completed")
        assert (job["kind"], job["progress"]) == ("chat.benchmark", 1.0)
        found = get(chat, made["id"])
        assert found["status"] == "completed"
        assert [(one["model"], one["concurrency"]) for one in found["stages"]] == [
            ("echo", 1), ("echo", 4), ("other", 1), ("other", 4)
        ]  # fmt: skip
        for one in found["stages"]:
            seen = one["figures"]
            assert (seen["completed"], seen["failed"], seen["error"], seen["goodput"]) == (8, 0, None, 1.0)
            assert seen["output_tokens"] == 8 * 6, "so many tokens were asked for of every answer"
            assert seen["input_tokens"] == pytest.approx(8 * 32, rel=0.1), "the prompt has the size that was wanted"
            assert 0 < seen["ttft_ms"]["p50"] <= seen["e2el_ms"]["p50"] <= seen["e2el_ms"]["p99"]
            pace = seen["output_tokens"] / seen["duration_seconds"]
            assert seen["output_throughput"] == pytest.approx(pace, rel=0.01)
        assert chat.client.get("/api/chat/benchmarks").json()["items"][0] == found

    def test_an_unknown_model_is_refused(self, chat: Server) -> None:
        answer = chat.client.post("/api/chat/benchmarks", json={"models": ["echo", "nobody"]})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "models")

    def test_one_that_gives_no_answer_is_told(self, chat: Server) -> None:
        made = begin(chat, models=["vectors", "echo"], concurrency=[1])
        chat.wait_for(made["job_id"], "completed")
        echo, vectors = get(chat, made["id"])["stages"]
        assert (echo["figures"]["completed"], vectors["figures"]["completed"]) == (4, 0)
        assert vectors["figures"]["failed"] == 4 and vectors["figures"]["error"]
        assert vectors["figures"]["ttft_ms"] is None

    def test_stopped_it_keeps_what_it_has_and_goes_on_later(self, own_server: Any, tmp_path: Path) -> None:
        server = own_server()
        add_chat_model(server, tmp_path)
        made = begin(server, requests=60, concurrency=[1, 2, 3, 4, 5, 6], output_tokens=40)
        deadline = time.monotonic() + 30
        while not (kept := get(server, made["id"])["stages"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        refused = server.client.delete(f"/api/chat/benchmarks/{made['id']}")
        begun = time.monotonic()
        server.client.delete(f"/api/jobs/{made['job_id']}")
        job = server.wait_for(made["job_id"], "cancelled", "completed")
        assert time.monotonic() - begun < 10
        if job["status"] == "completed":
            pytest.skip("it was done before it could be stopped")
        assert refused.status_code == 409
        found = get(server, made["id"])
        assert found["status"] == "cancelled" and found["stages"][: len(kept)] == kept
        server.client.post(f"/api/jobs/{made['job_id']}/retry")
        server.wait_for(made["job_id"], "completed", seconds=60)
        assert len(get(server, made["id"])["stages"]) == 6 and get(server, made["id"])["stages"][: len(kept)] == kept

    def test_deleted(self, chat: Server) -> None:
        made = begin(chat, concurrency=[1])
        chat.wait_for(made["job_id"], "completed")
        assert chat.client.delete(f"/api/chat/benchmarks/{made['id']}").status_code == 204
        assert chat.client.get(f"/api/chat/benchmarks/{made['id']}").json()["code"] == "benchmark_not_found"

    def test_as_a_file(self, chat: Server) -> None:
        made = begin(chat, concurrency=[1, 2], name="=1+1")
        chat.wait_for(made["job_id"], "completed")
        path = f"/api/chat/benchmarks/{made['id']}/export"
        lines = list(csv.DictReader(io.StringIO(chat.client.get(path).text)))
        assert [line["concurrency"] for line in lines] == ["1", "2"]
        assert float(lines[0]["p50_ttft_ms"]) > 0 and lines[0]["benchmark"] == "'=1+1", "no formula for a spreadsheet"
        assert chat.client.get(path, params={"format": "json"}).json() == get(chat, made["id"])


def bench(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(BACKEND), "PORT": server.url.rpartition(":")[2]}
    command = [sys.executable, "-m", "atelier", "bench", "chat", *arguments]
    how = {"capture_output": True, "text": True, "timeout": 120, "check": False}
    return subprocess.run(command, cwd=BACKEND, env=environment, **how)


class TestCommand:
    def test_from_outside_and_kept(self, chat: Server, tmp_path: Path) -> None:
        files = ["--csv", str(tmp_path / "out.csv"), "--json", str(tmp_path / "out.json"), "--ttft-goal", "60000"]
        sizes = ["--requests", "3", "--prompt-tokens", "32", "--output-tokens", "6", "--concurrency", "1,3"]
        ended = bench(chat, "--model", "echo", "--name", "outside", "--save", *sizes, *files)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.count("\n") == 3 and "tokens/s" in ended.stdout and ended.stdout.count("100%") == 2
        report = json.loads((tmp_path / "out.json").read_text())
        assert [one["figures"]["completed"] for one in report["stages"]] == [3, 3]
        assert len((tmp_path / "out.csv").read_text().splitlines()) == 3
        kept = chat.client.get("/api/chat/benchmarks").json()["items"][0]
        assert (kept["name"], kept["server"], kept["job_id"]) == ("outside", f"{chat.url}/v1", None)
        assert kept["stages"] == report["stages"]

    def test_a_server_that_does_not_know_the_model(self, chat: Server, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a process of its own: the one above shows that it can be started."""
        where = ["bench", "chat", "--base-url", f"{chat.url}/v1"]
        assert cli.main([*where, "--model", "nobody", "--requests", "2", "--concurrency=1"]) == 1
        assert "nobody" in capsys.readouterr().err
        assert cli.main([*where, "--model", "echo", "--concurrency", "zero"]) == 2
