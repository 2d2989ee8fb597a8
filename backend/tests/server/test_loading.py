"""Loading, unloading, parking and planning over the API."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from atelier.config import BACKEND
from chat_models import SIZES, add_chat_model
from serving import Server
from tests.models.weights import diffusers_folder, safetensors, transformers_folder, write

CREATURES = BACKEND / "embedded" / "models" / "creatures"
MIB = 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Room for one model of this size, not for two."""
    folder = tmp_path_factory.mktemp("loading") / "data"
    with Server(folder, ATELIER_MEMORY_BUDGET=str(240 * MIB)) as running:
        yield running


@pytest.fixture(scope="module")
def second_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "second"
    shutil.copytree(CREATURES, folder)
    return folder


@pytest.fixture(scope="module")
def second(server: Server, second_folder: Path) -> str:
    folder = second_folder
    defaults = {"steps": 4, "guidance_scale": 1.0, "width": 256, "height": 256}
    assert server.client.post("/api/models/import", json={"path": str(folder)}).status_code == 201
    assert server.client.patch("/api/models/second", json={"defaults": defaults}).status_code == 200
    return "second"


@pytest.fixture(autouse=True)
def unloaded(server: Server) -> Iterator[None]:
    """What a test began ends with it, also where it failed."""
    yield
    under_way = {"status": ["queued", "running"], "limit": 200}
    for job in server.client.get("/api/jobs", params=under_way).json()["items"]:
        server.client.delete(f"/api/jobs/{job['id']}")
    for model in server.client.get("/api/models/").json()["items"]:
        server.client.post(f"/api/admin/models/{model['key']}/unload", json={"force": True})
        if model["pinned"] or model["load_options"]:
            change = {"pinned": False, "load_options": {}}
            assert server.client.patch(f"/api/models/{model['key']}", json=change).status_code == 200


def model(server: Server, key: str = "creatures") -> dict[str, Any]:
    return server.client.get(f"/api/models/{key}").json()


def until(server: Server, condition: Callable[[dict[str, Any]], bool], key: str = "creatures") -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while not condition(found := model(server, key)):
        assert time.monotonic() < deadline, found
        time.sleep(0.03)
    return found


def load(server: Server, key: str = "creatures", **wanted: Any) -> dict[str, Any]:
    answer = server.client.post(f"/api/admin/models/{key}/load", json=wanted)
    assert answer.status_code == 202, answer.text
    return until(server, lambda found: found["state"] == "ready", key)


def _seconds(job: dict[str, Any]) -> float:
    """How long a job ran that has ended."""
    begun, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return (ended - begun).total_seconds()


class TestLoad:
    def test_it_becomes_ready_and_is_a_worker(self, server: Server) -> None:
        assert model(server)["state"] == "idle" and model(server)["worker_id"] is None
        answer = server.client.post("/api/admin/models/creatures/load")
        assert answer.status_code == 202 and answer.json()["state"] in {"loading", "ready"}
        seen: list[dict[str, Any]] = []
        found = until(server, lambda found: seen.append(found) or found["state"] == "ready")
        assert not [one for one in seen if one["worker_id"] and one["waiting"]], "it waits for nothing but itself"
        workers = server.client.get("/api/system").json()["workers"]
        assert [worker["id"] for worker in workers] == [found["worker_id"]]
        assert found["device"] == "cpu:0" and found["loaded_bytes"] == workers[0]["held_bytes"] > 50 * MIB
        assert workers[0]["devices"] == ["cpu:0"]

    def test_what_it_goes_without_is_said_while_it_is_there(self, server: Server) -> None:
        assert server.client.patch("/api/models/creatures", json={"load_options": {"quantization": "fp8"}}).is_success
        load(server)
        [left_out] = until(server, lambda found: found["state"] == "ready")["left_out"]
        assert left_out["said"] == {"code": "load.left_out_model", "params": {"option": "quantization: fp8"}}
        server.client.post("/api/admin/models/creatures/unload", json={"force": True})
        assert until(server, lambda found: found["state"] == "idle")["left_out"] == []

    def test_the_next_request_uses_it(self, server: Server) -> None:
        worker = load(server)["worker_id"]
        server.wait_for(server.generate("a fox"), "completed")
        assert model(server)["worker_id"] == worker

    def test_loading_twice_is_loading_once(self, server: Server) -> None:
        first = load(server)
        assert load(server)["worker_id"] == first["worker_id"]

    def test_other_options_take_the_place_of_a_load_under_way(self, server: Server) -> None:
        for options in ({"dtype": "float32"}, {"quantization": "fp8"}):
            answer = server.client.post("/api/admin/models/creatures/load", json={"options": options})
            assert answer.status_code == 202, answer.text
        found = until(server, lambda found: found["state"] == "ready")
        [left_out] = found["left_out"]
        assert left_out["said"]["params"] == {"option": "quantization: fp8"}, "as it was asked for last"
        assert load(server, options={"quantization": "fp8"})["state"] == "ready"

    def test_options_stay_until_it_is_unloaded(self, server: Server) -> None:
        plain = load(server)["worker_id"]
        other = load(server, options={"dtype": "float16"})["worker_id"]
        assert other != plain
        server.wait_for(server.generate("a fox"), "completed")
        assert model(server)["worker_id"] == other
        assert server.client.post("/api/admin/models/creatures/unload").json()["state"] == "idle"
        again = load(server)["worker_id"]
        assert again not in {plain, other}

    @pytest.mark.parametrize(
        ("wanted", "status", "field"),
        [
            ({"gpu_device_ids": [7]}, 422, "gpu_device_ids"),
            ({"options": {"dtype": "int3"}}, 422, "options.dtype"),
            ({"options": {"gpu_device_ids": [0, 0]}}, 422, "options.gpu_device_ids"),
            ({"wrong": 1}, 422, "wrong"),
        ],
    )
    def test_nonsense_names_the_field(self, server: Server, wanted: dict[str, Any], status: int, field: str) -> None:
        answer = server.client.post("/api/admin/models/creatures/load", json=wanted)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)

    def test_what_cannot_be_run_is_refused(self, server: Server, tmp_path: Path) -> None:
        assert server.client.post("/api/admin/models/nobody/load").status_code == 404
        folder = diffusers_folder(tmp_path / "gone", "FluxPipeline")
        assert server.client.post("/api/models/import", json={"path": str(folder)}).status_code == 201
        shutil.rmtree(folder)
        refused = server.client.post("/api/admin/models/gone/load")
        assert refused.status_code == 409 and "missing" in refused.json()["detail"]
        assert server.client.delete("/api/models/gone").status_code == 200

    def test_what_never_fits_ends_as_an_error_in_words(self, server: Server, tmp_path: Path) -> None:
        folder = diffusers_folder(tmp_path / "giant", "FluxPipeline")
        assert server.client.post("/api/models/import", json={"path": str(folder)}).status_code == 201
        server.client.post("/api/admin/models/giant/load")
        found = until(server, lambda found: found["state"] == "error", "giant")
        assert "the largest device may give 252 MB" in found["state_reason"] or "0.3 GB" in found["state_reason"]
        assert server.client.delete("/api/models/giant").status_code == 200


class TestUnload:
    def test_not_while_it_is_at_work_unless_forced(self, server: Server) -> None:
        job = server.generate("a fox fake:step:3", steps=2)
        server.wait_for(job, "running")
        until(server, lambda found: found["state"] == "ready")
        time.sleep(0.2)
        refused = server.client.post("/api/admin/models/creatures/unload")
        assert refused.status_code == 409 and "force" in refused.json()["hint"]
        forced = server.client.post("/api/admin/models/creatures/unload", json={"force": True})
        assert forced.status_code == 200
        assert server.wait_for(job)["status"] == "completed", "the job was started again"

    def test_the_fake_engine_cannot_be_parked_and_that_is_said(self, server: Server) -> None:
        load(server)
        refused = server.client.post("/api/admin/models/creatures/park")
        assert refused.status_code == 409 and "cannot park" in refused.json()["detail"]
        server.client.post("/api/admin/models/creatures/unload")
        refused = server.client.post("/api/admin/models/creatures/park")
        assert refused.status_code == 409 and "not loaded" in refused.json()["detail"]


class TestBudget:
    def test_a_second_model_takes_the_place_of_the_first(self, server: Server, second: str) -> None:
        load(server)
        load(server, second)
        assert model(server)["state"] == "idle"

    def test_a_pinned_model_stays_and_who_waits_is_told(self, server: Server, second: str) -> None:
        load(server)
        assert server.client.patch("/api/models/creatures", json={"pinned": True}).status_code == 200
        server.client.post(f"/api/admin/models/{second}/load")
        waiting = until(server, lambda found: "pinned" in (found["state_reason"] or ""), second)
        assert waiting["state"] == "loading" and waiting["state_reason"].startswith("waits for memory: creatures holds")
        assert model(server)["state"] == "ready"
        plan = server.client.post("/api/plan", json={"model": second}).json()
        assert plan["fit"] == "wait" and "pinned" in plan["makes_room"][0]["reason"]
        server.client.patch("/api/models/creatures", json={"pinned": False})
        until(server, lambda found: found["state"] == "ready", second)

    def test_how_long_it_may_be_idle_is_its_own(self, server: Server) -> None:
        changed = server.client.patch("/api/models/creatures", json={"load_options": {"ttl_seconds": 0.3}})
        assert changed.json()["load_options"]["ttl_seconds"] == 0.3
        load(server)
        until(server, lambda found: found["state"] == "idle")


class TestWaiting:
    def test_a_load_in_line_has_a_place_a_forecast_and_who_has_the_memory(
        self, server: Server, second: str, tmp_path: Path
    ) -> None:
        third = add_chat_model(server, tmp_path, "third")
        load(server, third)
        load(server, second)
        server.wait_for(server.generate("a fox fake:step:0.3", steps=1), "completed")
        job = server.generate("a fox fake:step:60", steps=1)
        server.wait_for(job, "running")
        for key in (second, third):
            server.client.post(f"/api/admin/models/{key}/load")
        next_, after = (
            until(server, lambda found: (found["waiting"] or {}).get("position"), k) for k in (second, third)
        )
        for shown, place in ((next_["waiting"], 1), (after["waiting"], 2)):
            assert (shown["reason"], shown["position"]) == ("memory", place) and shown["seconds"] is not None
        [holder] = next_["waiting"]["holders"]
        assert holder.pop("bytes") > 50 * MIB
        assert holder == {"model": "creatures", "doing": "busy", "deed": "wait"}
        assert (next_["state"], next_["worker_id"]) == ("loading", None)
        left = server.client.post(f"/api/admin/models/{second}/unload").json()
        assert (left["state"], left["waiting"]) == ("idle", None)
        until(server, lambda found: found["waiting"]["position"] == 1, third)
        server.client.delete(f"/api/jobs/{job}")
        assert until(server, lambda found: found["state"] == "ready", third)["waiting"] is None

    def test_the_line_has_places_and_a_forecast(self, server: Server) -> None:
        before = [server.wait_for(server.generate("a fox fake:step:0.5", steps=1), "completed") for _ in range(2)]
        took = max(_seconds(job) for job in before)
        # The first one lasts while the others are asked about, however long that takes.
        jobs = [server.generate("a fox fake:step:60", steps=1)]
        server.wait_for(jobs[0], "running")  # who comes before that may share its run
        jobs += [server.generate("a fox fake:step:0.5", steps=1) for _ in range(3)]
        waiting = [server.client.get(f"/api/jobs/{job}").json()["waiting"] for job in jobs[1:]]
        assert [one["position"] for one in waiting] == [1, 2, 3]
        seconds = [one["seconds"] for one in waiting]
        assert seconds == sorted(seconds) and 0.5 < seconds[2] < 5 + 4 * (took - 0.5)
        server.client.delete(f"/api/jobs/{jobs[0]}")
        for job in jobs[1:]:
            server.wait_for(job, "completed")


class TestOutOfMemory:
    def test_the_estimate_is_raised_and_the_job_done_again_once(self, server: Server) -> None:
        job = server.wait_for(server.generate("a fox fake:fail_first:out_of_memory", steps=1))
        assert (job["status"], job["attempt"]) == ("completed", 1)
        leased = server.client.get("/api/system").json()["workers"][0]["bytes_leased"]
        server.client.post("/api/admin/models/creatures/unload")
        assert load(server)["loaded_bytes"] < leased

    def test_then_it_fails_with_what_would_help(self, server: Server) -> None:
        size = {"width": 320, "height": 320}
        before = server.client.post("/api/plan", json={"model": "creatures", **size}).json()["bytes_leased"]
        job = server.wait_for(server.generate("a fox fake:fail:out_of_memory", steps=1, **size))
        assert (job["status"], job["error"]["code"]) == ("failed", "out_of_memory")
        assert "320 × 320 pixels do not fit" in job["error"]["message"] and "/api/plan" in job["error"]["hint"]
        assert server.client.post("/api/plan", json={"model": "creatures", **size}).json()["bytes_leased"] > before
        smaller = server.wait_for(server.generate("a fox", steps=1, width=256, height=256))
        assert smaller["status"] == "completed", "a smaller one is not held back"


class TestOutOfMemoryWhileLoading:
    """Fake engines whose model's folder tells them to fail."""

    @pytest.fixture(scope="class")
    @classmethod
    def chats(cls, server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
        folder = tmp_path_factory.mktemp("chats")
        return {add_chat_model(server, folder, key): folder / key for key in ("by-hand", "asked", "too-large")}

    def leased(self, server: Server, key: str) -> int:
        return server.client.post("/api/plan", json={"model": key}).json()["bytes_leased"]

    def failures(self, server: Server, key: str) -> int:
        with sqlite3.connect(f"file:{server.data_dir}/atelier.db?mode=ro", uri=True) as database:
            return database.execute(
                "select count(*) from memory_observations where event = 'oom' and model_id = "
                "(select id from models where key = ?)",
                (key,),
            ).fetchone()[0]

    def test_the_estimate_is_raised_and_the_load_tried_once_more(self, server: Server, chats: dict[str, Path]) -> None:
        write(chats["by-hand"] / "fake.json", {"load_fails_first": "out_of_memory"})
        before = self.leased(server, "by-hand")
        assert load(server, "by-hand")["loaded_bytes"] >= 1.3 * before
        assert self.failures(server, "by-hand") == 1

    def test_so_it_is_for_everybody_who_asks_for_a_chat_model(self, server: Server, chats: dict[str, Path]) -> None:
        write(chats["asked"] / "fake.json", {"load_fails_first": "out_of_memory"})
        body = {"model": "asked", "messages": [{"role": "user", "content": "Hello"}]}
        with ThreadPoolExecutor(4) as clients:
            asked = [clients.submit(server.client.post, "/v1/chat/completions", json=body) for _ in range(4)]
            assert [one.result().status_code for one in asked] == [200] * 4
        assert self.failures(server, "asked") == 1, "one failure, however many waited for it"

    def test_then_it_fails_with_what_would_help(self, server: Server, chats: dict[str, Path]) -> None:
        write(chats["too-large"] / "fake.json", {"load_fails": "out_of_memory"})
        before = self.leased(server, "too-large")
        server.client.post("/api/admin/models/too-large/load")
        found = until(server, lambda found: found["state"] == "error" and "fit" in found["state_reason"], "too-large")
        assert found["state_said"]["code"] == "memory.chat_ran_out"
        assert found["state_said"]["params"]["bytes"] >= 1.3 * before
        assert self.leased(server, "too-large") > before
        body = {"model": "too-large", "messages": [{"role": "user", "content": "Hello"}]}
        refused = server.client.post("/v1/chat/completions", json=body)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (503, "not_enough_memory")
        assert refused.headers["x-should-retry"] == "false" and "a shorter context" in error["message"]

    def test_a_job_starts_again_by_itself(self, server: Server, second: str, second_folder: Path) -> None:
        write(second_folder / "fake.json", {"load_fails_first": "out_of_memory"})
        job = server.wait_for(server.generate("a fox", model=second, width=256, height=256, steps=20))
        (second_folder / "fake.json").unlink()
        assert (job["status"], job["attempt"]) == ("completed", 1)
        assert self.failures(server, second) == 1

    def test_another_failure_is_not_tried_again(self, server: Server, chats: dict[str, Path]) -> None:
        write(chats["by-hand"] / "fake.json", {"load_fails": "parser_unknown"})
        before = self.failures(server, "by-hand")
        server.client.post("/api/admin/models/by-hand/load")
        found = until(server, lambda found: found["state"] == "error", "by-hand")
        assert "told to fail" in found["state_reason"] and self.failures(server, "by-hand") == before


class TestPlan:
    def plan(self, server: Server, **wanted: Any) -> dict[str, Any]:
        answer = server.client.post("/api/plan", json={"model": "creatures", **wanted})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def test_nothing_is_claimed_of_what_never_ran(self, server: Server, tmp_path: Path) -> None:
        shutil.copytree(CREATURES, tmp_path / "fresh")
        server.client.post("/api/models/import", json={"path": str(tmp_path / "fresh")})
        plan = self.plan(server, model="fresh", width=256, height=256)
        assert plan["measurements"] == 0 and plan["run_seconds"] is plan["load_seconds"] is plan["seconds"] is None
        assert server.client.delete("/api/models/fresh").status_code == 200

    def test_now_and_what_it_takes(self, server: Server) -> None:
        plan = self.plan(server, width=256, height=256, steps=4)
        assert plan["fit"] == "now" and plan["devices"] == ["cpu:0"] and plan["makes_room"] == []
        assert plan["bytes"]["low"] < plan["bytes"]["expected"] < plan["bytes"]["high"]
        assert plan["parts"]["weights"] > 20 * MIB and plan["parts"]["activations"] > 0
        assert not server.client.get("/api/system").json()["workers"], "nothing was started"

    def test_after_something_gives_way(self, server: Server, second: str) -> None:
        load(server, second)
        plan = self.plan(server)
        assert plan["fit"] == "after"
        (goes,) = plan["makes_room"]
        assert (goes["model"], goes["deed"]) == (second, "stop") and "the least missed" in goes["reason"]

    def test_never_with_what_would_help(self, server: Server) -> None:
        plan = self.plan(server, width=4096, height=4096, num_outputs=4, options={"batch": 4})
        assert plan["fit"] == "never" and "the largest device may give" in plan["message"]
        ranked = [(not remedy["enough"], -remedy["saves_bytes"]) for remedy in plan["remedies"]]
        assert ranked == sorted(ranked) and max(saved for _, saved in ranked) < 0
        named = {remedy["id"] for remedy in plan["remedies"]}
        assert {"smaller_batch", "smaller_picture", "half_precision", "fp8", "int8"} <= named
        for remedy in plan["remedies"]:
            if remedy["id"] != "half_precision":
                options = {"batch": 4, **remedy["change"].get("options", {})}
                smaller = {"width": 4096, "height": 4096, "num_outputs": 4, **remedy["change"], "options": options}
                less = self.plan(server, **smaller)
                saved = plan["bytes"]["expected"] - less["bytes"]["expected"]
                assert saved == pytest.approx(remedy["saves_bytes"], rel=0.01)
                assert (less["fit"], less["bytes"]) == (remedy["fit"], remedy["bytes"]), "as it said"
                assert remedy["enough"] == (less["fit"] != "never")

    def test_the_smaller_picture_is_one_that_fits(self, server: Server) -> None:
        asked = {"width": 8192, "height": 4096, "options": {"batch": 4}}
        plan = self.plan(server, **asked)
        remedy = next(one for one in plan["remedies"] if one["id"] == "smaller_picture")
        smaller = remedy["change"]
        assert remedy["enough"] and plan["remedies"][0]["enough"]
        assert plan["fit"] == "never" and self.plan(server, **asked | smaller)["fit"] != "never"
        larger = {name: side * 4 // 3 + 64 for name, side in smaller.items()}
        assert self.plan(server, **asked | larger)["fit"] == "never", "no smaller than it must be"

    def test_of_a_chat_model_every_remedy_saves_what_it_says(self, server: Server, tmp_path: Path) -> None:
        folder = transformers_folder(tmp_path / "talk", "Qwen3ForCausalLM", **SIZES | {"hidden_size": 256})
        write(folder / "model-00001-of-00002.safetensors", safetensors({"a": (4000, 1000)}, "BF16"))
        server.client.post("/api/models/import", json={"path": str(folder), "key": "talk"})
        asked = {"model": "talk", "context": 4096, "batch": 64, "options": {"dtype": "float32"}}
        plan = self.plan(server, **asked)
        named = {remedy["id"]: remedy for remedy in plan["remedies"]}
        assert set(named) == {"half_precision", "fp8", "fp8_cache", "smaller_batch", "shorter_context"}
        for remedy in named.values():
            change = remedy["change"]
            options = {**asked["options"], **change.get("options", {})}
            less = self.plan(server, **{**asked, **change, "options": options})
            assert less["bytes_leased"] < plan["bytes_leased"], remedy
            total = sum(plan["parts"].values()) - sum(less["parts"].values())
            assert total == pytest.approx(remedy["saves_bytes"], rel=0.01), remedy
            assert (less["fit"], less["bytes"]) == (remedy["fit"], remedy["bytes"])
            assert remedy["enough"] == (less["fit"] != "never")
        ranked = [remedy["enough"] for remedy in plan["remedies"]]
        assert plan["fit"] == "never" and ranked == sorted(ranked, reverse=True) and {*ranked} == {True, False}
        assert not {"fp8", "fp8_cache"} & {
            one["id"]
            for one in self.plan(server, **asked | {"options": {"quantization": "fp8", "kv_cache": "fp8"}})["remedies"]
        }
        assert server.client.delete("/api/models/talk").status_code == 200

    def test_what_it_would_go_without_is_said_before_it_loads(self, server: Server) -> None:
        [offload] = self.plan(server, options={"offload": "model"})["left_out"]
        assert offload["said"] == {"code": "load.left_out_cpu", "params": {"option": "offload: model"}}
        assert self.plan(server)["left_out"] == []
        load(server, options={"quantization": "int8"})
        [seen] = self.plan(server, options={"quantization": "int8"})["left_out"]
        assert seen["said"]["code"] == "load.left_out_model", "what the last load with them lacked"

    def test_its_own_worker_with_other_options_is_in_nobodys_way(self, server: Server) -> None:
        load(server)
        server.client.patch("/api/models/creatures", json={"pinned": True})
        plan = self.plan(server, options={"dtype": "float16"})
        assert plan["fit"] == "now" and plan["makes_room"] == [] and not plan["loaded"]
        assert load(server, options={"dtype": "float16"})["state"] == "ready", "as the plan said"

    def test_seconds_are_learned_from_what_ran(self, server: Server, second: str) -> None:
        server.wait_for(server.generate("a fox", model=second, width=256, height=256, steps=20), "completed")
        plan = self.plan(server, model=second, width=256, height=256, steps=40)
        assert plan["loaded"] and plan["measurements"] >= 2
        assert plan["run_seconds"]["expected"] == pytest.approx(0.5, abs=0.4)
        assert plan["seconds"] == plan["run_seconds"] and plan["load_seconds"] is None

    @pytest.mark.parametrize(
        ("wanted", "field"),
        [({"task": "chat"}, "task"), ({"gpu_device_ids": [3]}, "gpu_device_ids"), ({"width": 0}, "width")],
    )
    def test_nonsense_names_the_field(self, server: Server, wanted: dict[str, Any], field: str) -> None:
        answer = server.client.post("/api/plan", json={"model": "creatures", **wanted})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


class TestLog:
    def test_followed_from_where_it_ended(self, server: Server) -> None:
        worker = load(server)["worker_id"]
        server.wait_for(server.generate("a fox fake:stdout_flood:5000"), "completed")
        first = server.client.get(f"/api/system/workers/{worker}/log").json()
        assert len(first["lines"]) >= 1 and first["next"] >= 5000 and not first["skipped"]
        address = f"/api/system/workers/{worker}/log?after={first['next']}"
        assert server.client.get(address).json() == {"lines": [], "next": first["next"], "skipped": False}
        server.wait_for(server.generate("a fox fake:stdout_flood:200000"), "completed")
        more = server.client.get(address).json()
        assert more["skipped"] and sum(map(len, more["lines"])) < 70_000

    def test_a_worker_that_is_not_there(self, server: Server) -> None:
        assert server.client.get("/api/system/workers/w-none/log").status_code == 404
