"""Downloads through the API of a real server: found, planned, fetched, paused, broken off, gone on with, deleted."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from serving import Server
from tests.hub.conftest import studio_for
from tests.hub.fake_hub import FakeHub, Repo
from tests.hub.repositories import chat_repo, diffusers_repo, text
from tests.hub.worker import CHUNK, CONNECTIONS, is_sound, snapshot_of
from tests.models.weights import safetensors, write

Studio = Callable[..., Server]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeHub, Server, Path]]:
    """One hub and one server for all tests that need no settings of their own; their repositories differ."""
    folder = tmp_path_factory.mktemp("shared")
    with FakeHub() as running:
        yield from ((running, server, folder / "cache") for server in studio_for(running, folder))


@pytest.fixture
def hub(shared: tuple[FakeHub, Server, Path]) -> FakeHub:
    hub = shared[0]
    hub.fault, hub.bytes_per_second = lambda _place, _path: None, None
    hub.sent.clear()
    hub.seen.clear()
    return hub


@pytest.fixture
def server(hub: FakeHub, shared: tuple[FakeHub, Server, Path]) -> Server:
    return shared[1]


@pytest.fixture
def cache(shared: tuple[FakeHub, Server, Path]) -> Path:
    return shared[2]


def fetch(server: Server, repo: str, **given: Any) -> dict[str, Any]:
    answer = server.client.post("/api/models/download", json={"repo": repo, **given})
    assert answer.status_code == 202, answer.text
    return answer.json()


def model(server: Server, key: str) -> dict[str, Any]:
    return server.client.get(f"/api/models/{key}").json()


def figures(server: Server, key: str, seconds: float = 10.0) -> dict[str, Any]:
    """The model once its download says how fast it is."""
    deadline = time.monotonic() + seconds
    while not (found := model(server, key))["download"]["bytes_per_second"]:
        assert time.monotonic() < deadline, found["download"]
        time.sleep(0.05)
    return found


def wait_for_bytes(hub: FakeHub, more: int, seconds: float = 20.0) -> None:
    until, deadline = sum(hub.sent.values()) + more, time.monotonic() + seconds
    while sum(hub.sent.values()) < until:
        assert time.monotonic() < deadline, "no bytes come"
        time.sleep(0.005)


class TestFinding:
    def test_search(self, hub: FakeHub, server: Server) -> None:
        hub.add(diffusers_repo("acme/dragons", downloads=5))
        hub.add(diffusers_repo("acme/foxes", downloads=50, gated="manual"))
        hub.add(chat_repo("acme/dragon-talk"))
        found = server.client.get("/api/hub/search", params={"query": "acme"}).json()
        assert found["endpoint"] == hub.endpoint
        assert [item["repo"] for item in found["items"]] == ["acme/foxes", "acme/dragon-talk", "acme/dragons"]
        foxes = found["items"][0]
        assert (foxes["task"], foxes["family"], foxes["gated"], foxes["license"]) == (
            "image",
            "sd15",
            True,
            "apache-2.0",
        )
        assert foxes["page_url"] == f"{hub.endpoint}/acme/foxes" and foxes["key"] is None
        chat = server.client.get("/api/hub/search", params={"query": "dragon", "task": "chat"}).json()["items"]
        assert [item["repo"] for item in chat] == ["acme/dragon-talk"]
        assert server.client.get("/api/hub/search", params={"task": "cooking"}).status_code == 422

    def test_plan_says_everything_and_fetches_nothing(self, hub: FakeHub, server: Server) -> None:
        repo = hub.add(diffusers_repo("plan/sd"))
        plan = server.client.post("/api/hub/plan", json={"repo": repo.id}).json()
        assert (plan["commit"], plan["kind"], plan["task"], plan["family"], plan["pipeline"], plan["runnable"]) == (
            repo.commit, "diffusers", "image", "sd15", "StableDiffusionPipeline", True,
        )  # fmt: skip
        chosen = {file["path"]: file for file in plan["files"]}
        assert "unet/diffusion_pytorch_model.safetensors" in chosen, "a CPU takes the full precision"
        unet = chosen["unet/diffusion_pytorch_model.safetensors"]
        assert unet["sha256"] == repo.digest(unet["path"]) and unet["size_bytes"] == len(repo.files[unet["path"]])
        refused = {file["path"]: file["why"] for file in plan["refused"]}
        assert refused["v1-5-pruned.ckpt"] == "pickle" and refused["convert.py"] == "code"
        assert (
            refused["v1-5-pruned.safetensors"] == "copy"
            and refused["unet/diffusion_pytorch_model.fp16.safetensors"] == "copy"
        )
        assert set(chosen) | set(refused) == set(repo.files)
        assert plan["fits"] and plan["fetch_bytes"] == plan["total_bytes"] == sum(
            f["size_bytes"] for f in plan["files"]
        )
        assert plan["suggested_key"] == "sd" and plan["license"] == "apache-2.0" and plan["free_bytes"] > 0
        assert not any(seen.place == "data" for seen in hub.seen), "bytes were fetched for a plan"

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"repo": "no-owner"}, "repo"),
            ({"repo": "../../etc"}, "repo"),
            ({"repo": "a/b/c"}, "repo"),
            ({"repo": "a/b", "revision": "../x"}, "revision"),
            ({"repo": "a/b", "key": "Not A Key"}, "key"),
            ({"repo": "a/b", "trust_remote_code": True}, "trust_remote_code"),
        ],
    )
    def test_bad_requests_name_their_field(self, server: Server, given: dict[str, Any], field: str) -> None:
        answer = server.client.post("/api/models/download", json=given)
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field

    def test_what_the_hub_does_not_have(self, hub: FakeHub, server: Server) -> None:
        hub.add(chat_repo())
        for given, status, code in (
            ({"repo": "no/body"}, 404, "repository_not_found"),
            ({"repo": "someone/chat", "revision": "v2"}, 404, "revision_not_found"),
        ):
            answer = server.client.post("/api/hub/plan", json=given)
            assert (answer.status_code, answer.json()["code"]) == (status, code) and answer.json()["hint"]


class TestDownload:
    def test_from_the_plan_to_a_picture_to_nothing_left(
        self, hub: FakeHub, server: Server, cache: Path, tmp_path: Path
    ) -> None:
        repo = hub.add(diffusers_repo("first/sd"))
        accepted = fetch(server, repo.id, name="My SD")
        assert accepted["key"] == "sd" and accepted["job"]["kind"] == "model.download"
        assert model(server, "sd")["source"] == "hub", "the model is listed at once"
        job = server.wait_for(accepted["job"]["id"])
        assert job["status"] == "completed", job
        assert job["step"] == job["total_steps"] > 0
        ready = model(server, "sd")
        assert (ready["download"], ready["available"], ready["runnable"], ready["name"]) == (None, True, True, "My SD")
        assert (ready["repo"], ready["commit"], ready["family"], ready["dtype"]) == (
            repo.id,
            repo.commit,
            "sd15",
            "F32",
        )
        assert is_sound(cache, repo)
        found = server.client.get("/api/models/found").json()["items"]
        assert (repo.id, "sd") in [(item["repo"], item["key"]) for item in found]
        assert server.wait_for(server.generate("a fox", model="sd", width=256, height=256))["status"] == "completed"
        again = server.client.post("/api/models/download", json={"repo": repo.id})
        assert again.status_code == 409 and "'sd'" in again.json()["detail"]
        lora = {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 768)}
        file = write(tmp_path / "style.safetensors", safetensors(lora, metadata={"ss_sd_model_name": repo.id}))
        assert server.client.post("/api/models/import", json={"path": str(file)}).status_code == 201
        consequences = server.client.get("/api/models/sd/consequences").json()
        blobs = sum(path.stat().st_size for path in (cache / "models--first--sd").rglob("blobs/*"))
        assert consequences["removable"] and consequences["files"] == "deleted" and consequences["loras"] == ["style"]
        assert consequences["bytes_freed"] == blobs > 0
        assert server.client.delete("/api/models/sd").status_code == 200
        assert not (cache / "models--first--sd").exists(), "files were left behind"

    def test_blobs_that_another_commit_needs_stay(self, hub: FakeHub, server: Server, cache: Path) -> None:
        repo = hub.add(chat_repo("blobs/chat"))
        server.wait_for(fetch(server, repo.id, key="old")["job"]["id"])
        old = snapshot_of(cache, repo)
        repo.files["generation_config.json"] = text({"top_p": 0.1})
        hub.add(repo)
        server.wait_for(fetch(server, repo.id, key="new")["job"]["id"])
        assert model(server, "new")["commit"] == repo.commit != old.name
        assert server.client.get("/api/models/old/consequences").json()["bytes_freed"] < 100
        assert server.client.delete("/api/models/old").status_code == 200
        assert not old.exists() and is_sound(cache, repo)

    def test_pause_resume_cancel_and_delete(self, hub: FakeHub, server: Server, cache: Path) -> None:
        repo = hub.add(chat_repo("pause/chat", size=2_000_000))
        hub.bytes_per_second = 1_000_000
        accepted = fetch(server, repo.id, key="paused")
        wait_for_bytes(hub, 500_000)
        live = figures(server, "paused")
        download = live["download"]
        assert download["state"] == "downloading" and not live["available"] and not live["runnable"]
        assert 0 < download["done_bytes"] < download["total_bytes"] and download["bytes_per_second"] > 0
        assert download["seconds_left"] > 0
        told = {one["key"]: one for one in server.client.get("/api/admin/status").json()["models"]}["paused"]
        assert told["state"] == "downloading" and 0 < told["download"]["done_bytes"] < told["download"]["total_bytes"]
        assert {file["state"] for file in download["files"]} >= {"done", "fetching"}
        assert server.client.post("/api/models/paused/download/pause").status_code == 200
        server.wait_for(accepted["job"]["id"], "cancelled")
        paused = model(server, "paused")["download"]
        assert paused["state"] == "paused" and paused["done_bytes"] > 0 and paused["paused"]
        before = server.client.post("/api/plan", json={"model": "paused"}).json()
        assert model(server, "paused")["bytes_needed"] == before["bytes_leased"]
        assert before["told_by"] == "hub", "by the configs that the plan of the download read"
        sent = sum(hub.sent.values())
        time.sleep(0.3)
        assert sum(hub.sent.values()) - sent < CONNECTIONS * CHUNK, "it went on in the pause"
        assert server.client.post("/api/models/paused/download/resume").json()["job"]["id"] == accepted["job"]["id"]
        wait_for_bytes(hub, 300_000)
        assert server.client.delete(f"/api/jobs/{accepted['job']['id']}").status_code == 200
        server.wait_for(accepted["job"]["id"], "cancelled")
        assert model(server, "paused")["download"]["state"] == "cancelled"
        hub.bytes_per_second = None
        assert server.client.post(f"/api/jobs/{accepted['job']['id']}/retry").status_code == 202
        assert server.wait_for(accepted["job"]["id"])["status"] == "completed"
        assert is_sound(cache, repo) and model(server, "paused")["download"] is None
        here = server.client.post("/api/plan", json={"model": "paused"}).json()
        assert here["told_by"] == "files" and before["parts"] == pytest.approx(here["parts"], rel=0.02)
        assert before["bytes"]["low"] < here["bytes"]["low"] and before["bytes"]["high"] > here["bytes"]["high"]
        assert (
            server.client.post("/api/hub/plan", json={"repo": repo.id}).json()["bytes_needed"] == before["bytes_leased"]
        )
        assert sum(hub.sent.values()) <= 1.05 * sum(map(len, repo.files.values())) + 2 * CONNECTIONS * CHUNK
        assert server.client.post("/api/models/paused/download/pause").status_code == 409

    def test_deleting_a_download_under_way_leaves_nothing(self, hub: FakeHub, server: Server, cache: Path) -> None:
        repo = hub.add(chat_repo("delete/chat", size=2_000_000))
        hub.bytes_per_second = 500_000
        accepted = fetch(server, repo.id, key="deleted")
        wait_for_bytes(hub, 300_000)
        consequences = server.client.get("/api/models/deleted/consequences").json()
        assert consequences["removable"] and [job["id"] for job in consequences["jobs"]] == [accepted["job"]["id"]]
        assert server.client.delete("/api/models/deleted").status_code == 200
        assert server.wait_for(accepted["job"]["id"])["status"] == "cancelled"
        assert server.client.get("/api/models/deleted").status_code == 404
        assert not (cache / "models--delete--chat").exists(), "files were left behind"

    def test_the_same_idempotency_key_is_the_same_job(self, hub: FakeHub, server: Server) -> None:
        hub.add(chat_repo("once/chat"))
        post = lambda **body: server.client.post(  # noqa: E731
            "/api/models/download", json={"repo": "once/chat", **body}, headers={"Idempotency-Key": "once"}
        )
        first, second = post(), post()
        assert (first.status_code, second.status_code) == (202, 202)
        assert first.json()["job"]["id"] == second.json()["job"]["id"]
        assert post(key="other").status_code == 409

    def test_a_disk_without_room_is_said_before_a_byte(self, hub: FakeHub, server: Server) -> None:
        repo = hub.add(chat_repo("huge/chat"))
        repo.listed.append({"rfilename": "model.safetensors", "size": 10**18, "blobId": "1" * 40,
                            "lfs": {"sha256": "2" * 64, "size": 10**18, "pointerSize": 1}})  # fmt: skip
        for name in [name for name in repo.files if name.startswith("model-")]:
            del repo.files[name]
        plan = server.client.post("/api/hub/plan", json={"repo": repo.id}).json()
        assert not plan["fits"] and any(one["said"]["code"] == "hub.does_not_fit" for one in plan["warnings"])
        refused = server.client.post("/api/models/download", json={"repo": repo.id})
        assert (refused.status_code, refused.json()["code"]) == (507, "insufficient_storage")
        assert "huge/chat" not in [item["repo"] for item in server.client.get("/api/models/").json()["items"]]

    def test_a_failed_one_says_why_and_goes_on(self, hub: FakeHub, server: Server, cache: Path) -> None:
        repo = hub.add(chat_repo("failing/chat"))
        hub.fault = lambda place, _path: "503" if place == "data" else None
        accepted = fetch(server, repo.id, key="failing")
        job = server.wait_for(accepted["job"]["id"])
        assert job["status"] == "failed" and job["error"]["code"] == "hub_error" and job["error"]["hint"]
        assert "127.0.0.1 answered 503 for model-" in job["error"]["message"], (
            "which host and file, no address of blobs"
        )
        download = model(server, "failing")["download"]
        assert download["state"] == "failed" and download["error"]["code"] == "hub_error"
        hub.fault = lambda _place, _path: None
        assert server.client.post("/api/models/failing/download/resume").status_code == 202
        assert server.wait_for(accepted["job"]["id"])["status"] == "completed" and is_sound(cache, repo)

    def test_a_lora_in_one_file(self, hub: FakeHub, server: Server, cache: Path) -> None:
        lora = {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 768)}
        files = {"style.safetensors": safetensors(lora), "README.md": b"# A style\n", "preview.png": b"png"}
        repo = hub.add(Repo("loras/style", files, tags=["lora", "diffusers"], pipeline_tag="text-to-image"))
        job = server.wait_for(fetch(server, repo.id, key="a-style")["job"]["id"])
        assert job["status"] == "completed", job
        found = model(server, "a-style")
        assert (found["type"], found["family"], found["available"], found["task"]) == ("lora", "sd15", True, "image")
        assert not [w for w in server.client.get("/api/system").json()["workers"] if "a-style" in w["model"]]
        assert server.client.get("/api/models/a-style/consequences").json()["bytes_freed"] > 0
        assert server.client.delete("/api/models/a-style").status_code == 200
        assert not (cache / "models--loras--style").exists()

    def test_one_lora_of_several_in_a_repository(self, hub: FakeHub, server: Server, cache: Path) -> None:
        name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
        styles = {f"{what}.safetensors": safetensors({name: (rank, 768)}) for what, rank in (("ink", 4), ("oil", 8))}
        repo = hub.add(Repo("loras/many", {**styles, "README.md": b"# Styles\n"}, tags=["lora", "diffusers"]))
        plan = server.client.post("/api/hub/plan", json={"repo": repo.id}).json()
        assert [(one["path"], one["key"]) for one in plan["choices"]] == [
            ("ink.safetensors", None),
            ("oil.safetensors", None),
        ]
        assert (plan["files"], plan["key"], plan["type"]) == ([], None, "lora")
        refused = server.client.post("/api/models/download", json={"repo": repo.id})
        assert refused.status_code == 422 and [e["field"] for e in refused.json()["errors"]] == ["file"], refused.text
        missing = server.client.post("/api/hub/plan", json={"repo": repo.id, "file": "tar.safetensors"})
        assert (missing.status_code, missing.json()["code"]) == (404, "file_missing")
        for bad in ("../ink.safetensors", "ink.ckpt", "a/b.safetensors"):
            answer = server.client.post("/api/models/download", json={"repo": repo.id, "file": bad})
            assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "file"

        keys = {}
        for file in styles:
            plan = server.client.post("/api/hub/plan", json={"repo": repo.id, "file": file}).json()
            assert {one["path"] for one in plan["files"]} == {file, "README.md"} and plan["key"] is None
            accepted = fetch(server, repo.id, file=file)
            assert server.wait_for(accepted["job"]["id"])["status"] == "completed"
            keys[file] = accepted["key"]
            found = model(server, accepted["key"])
            assert (found["type"], found["family"], found["available"]) == ("lora", "sd15", True)
        assert keys == {"ink.safetensors": "ink", "oil.safetensors": "oil"}
        plan = server.client.post("/api/hub/plan", json={"repo": repo.id}).json()
        assert {one["path"]: one["key"] for one in plan["choices"]} == keys
        again = server.client.post("/api/models/download", json={"repo": repo.id, "file": "ink.safetensors"})
        assert again.status_code == 409

        snapshot = snapshot_of(cache, repo)
        assert {path.name for path in snapshot.iterdir()} == {*styles, "README.md"}
        freed = server.client.get("/api/models/ink/consequences").json()["bytes_freed"]
        assert freed == len(styles["ink.safetensors"])
        assert server.client.delete("/api/models/ink").status_code == 200
        assert {path.name for path in snapshot.iterdir()} == {"oil.safetensors", "README.md"}
        assert (snapshot / "oil.safetensors").read_bytes() == styles["oil.safetensors"]
        assert model(server, "oil")["available"]
        assert server.client.delete("/api/models/oil").status_code == 200
        assert not (cache / "models--loras--many").exists()

    def test_what_cannot_be_run_is_not_fetched(self, hub: FakeHub, server: Server) -> None:
        config = text({"architectures": ["BertForMaskedLM"], "model_type": "bert"})
        hub.add(chat_repo("odd/bert", files={"config.json": config}))
        refused = server.client.post("/api/models/download", json={"repo": "odd/bert"})
        assert (refused.status_code, refused.json()["code"]) == (422, "model_not_recognised")
        assert not any(seen.place == "data" for seen in hub.seen)


class TestCatalogue:
    def test_keys_and_download_by_key(self, hub: FakeHub, server: Server) -> None:
        hub.add(diffusers_repo("stabilityai/sdxl-turbo"))
        items = {item["key"]: item for item in server.client.get("/api/models/catalogue").json()["items"]}
        wanted = {"qwen", "canary", "pyannote", "stable-diffusion-1.5", "stable-diffusion-xl", "sdxl-turbo",
                  "stable-video-diffusion"}  # fmt: skip
        assert wanted <= set(items) and items["qwen"]["repo"] == "Qwen/Qwen3-VL-30B-A3B-Instruct"
        assert all(item["size_bytes"] > 0 and item["bytes_needed"] > 0 and item["license"] for item in items.values())
        assert items["sdxl-turbo"]["state"] == "absent"
        accepted = server.client.post("/api/admin/models/sdxl-turbo/download")
        assert accepted.status_code == 202 and accepted.json()["key"] == "sdxl-turbo"
        assert server.wait_for(accepted.json()["job"]["id"])["status"] == "completed"
        items = {item["key"]: item for item in server.client.get("/api/models/catalogue").json()["items"]}
        assert items["sdxl-turbo"]["state"] == "present"
        assert server.client.post("/api/admin/models/sdxl-turbo/download").status_code == 409
        unknown = server.client.post("/api/admin/models/nothing/download")
        assert unknown.status_code == 404 and "catalogue" in unknown.json()["hint"]


class TestOffline:
    def test_is_said_at_once(self, hub: FakeHub, studio: Studio) -> None:
        server = studio(HF_HUB_OFFLINE="1")
        begun = time.monotonic()
        answer = server.client.post("/api/hub/plan", json={"repo": "someone/chat"})
        assert (answer.status_code, answer.json()["code"]) == (503, "hub_offline") and time.monotonic() - begun < 1
        assert not hub.seen

    def test_a_hub_that_is_not_there(self, studio: Studio) -> None:
        server = studio(HF_ENDPOINT="http://127.0.0.1:9")
        server.client.get("/api/hub/search")
        begun = time.monotonic()
        answer = server.client.get("/api/hub/search", params={"query": "x"})
        assert (answer.status_code, answer.json()["code"]) == (503, "hub_unreachable") and time.monotonic() - begun < 3


class TestMemory:
    def test_no_byte_of_a_model_goes_through_the_server(self, hub: FakeHub, studio: Studio) -> None:
        """2 GiB may cost it 64 MiB; what is kept in its memory would show at a twentieth of that too. DOWNLOAD_MIB=2048
        measures the whole, `-s` shows the figure."""
        mib = int(os.environ.get("DOWNLOAD_MIB", "96"))
        size, allowed = mib * 1024**2, 64 if mib >= 2048 else 32
        name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
        weights = safetensors({name: (size // 2 // 768, 768)})
        repo = hub.add(Repo("large/style", {"style.safetensors": weights}, tags=["lora"]))
        repo.info()  # hashed before anybody waits for it
        own = studio(ATELIER_DOWNLOAD_CHUNK=str(16 * 1024**2))
        fetch(own, "large/style")
        most = before = psutil.Process(own.pid).memory_info().rss
        deadline = time.monotonic() + 60 + mib / 4
        while model(own, "style")["download"] is not None:
            assert time.monotonic() < deadline, str(model(own, "style"))
            most = max(most, psutil.Process(own.pid).memory_info().rss)
            time.sleep(0.02)
        print(f"{mib} MiB came down; the server's memory grew by {(most - before) / 1024**2:.1f} MiB")
        assert sum(hub.sent.values()) >= len(weights) and most - before < allowed * 1024**2

    def test_neither_waits_for_a_full_device_nor_fills_it(self, hub: FakeHub, server: Server, studio: Studio) -> None:
        hub.add(chat_repo("beside/chat"))
        needed = model(server, "creatures")["bytes_needed"]
        full = studio(ATELIER_MEMORY_BUDGET=str(needed + 1000))
        job = full.generate("a fox fake:step:60")
        full.wait_for(job, "running")
        assert full.client.get("/api/hub/search", params={"query": "beside"}).json()["items"]
        assert full.wait_for(fetch(full, "beside/chat")["job"]["id"])["status"] == "completed"
        assert full.client.get(f"/api/jobs/{job}").json()["status"] == "running", "they would have had to wait for it"
        device = full.client.get("/api/system").json()["devices"][0]
        assert device["leased_bytes"] <= needed + 1000


class TestRestart:
    def test_kills_of_the_server_and_it_goes_on_by_itself(self, hub: FakeHub, studio: Studio, tmp_path: Path) -> None:
        chance, kills = random.Random(7), 4
        repo = hub.add(chat_repo(size=1_500_000))
        hub.bytes_per_second = 1_500_000
        server = studio()
        accepted = fetch(server, repo.id, key="talk")
        for _ in range(kills):
            wait_for_bytes(hub, chance.randrange(100_000, 600_000))
            server.stop(signal.SIGKILL)
            assert not snapshot_of(tmp_path / "cache", repo).exists()
            server.start()
            assert model(server, "talk")["download"]["state"] in {"waiting", "downloading"}
        hub.bytes_per_second = None
        job = server.wait_for(accepted["job"]["id"])
        assert job["status"] == "completed" and is_sound(tmp_path / "cache", repo)
        again = sum(hub.sent.values()) - sum(map(len, repo.files.values()))
        assert again <= 0.05 * sum(map(len, repo.files.values())) + kills * CHUNK * CONNECTIONS
