"""Models over the API: what ships, what is imported from the disk, changed and forgotten."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from atelier.config import BACKEND
from serving import Server
from tests.models.weights import diffusers_folder, safetensors, transformers_folder, write
from websockets.asyncio.client import connect

CREATURES = BACKEND / "embedded" / "models" / "creatures"
LORA = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"


def take_in(server: Server, path: Path, **given: Any) -> dict[str, Any]:
    answer = server.client.post("/api/models/import", json={"path": str(path), **given})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture(autouse=True)
def tidy(server: Server) -> Iterator[None]:
    """The shared server is left as it was found."""
    yield
    for model in server.client.get("/api/models/").json()["items"]:
        if model["removable"]:
            assert server.client.delete(f"/api/models/{model['key']}").status_code == 200


def keys(server: Server) -> list[str]:
    return [model["key"] for model in server.client.get("/api/models/").json()["items"]]


class TestShipped:
    def test_is_shown_with_what_it_is_made_of(self, server: Server) -> None:
        model = server.client.get("/api/models/creatures").json()
        assert (model["task"], model["type"], model["family"], model["dtype"]) == ("image", "base_model", "sd15", "F16")
        assert model["parameters"] > 5_000_000 and model["runnable"] and model["available"] and not model["removable"]

    def test_can_be_pinned_but_not_rewritten_or_removed(self, server: Server) -> None:
        assert server.client.patch("/api/models/creatures", json={"pinned": True}).json()["pinned"]
        assert not server.client.patch("/api/models/creatures", json={"pinned": False}).json()["pinned"]
        for query, there in (("type=base_model", True), ("task=image&type=base_model", True), ("type=lora", False)):
            listed = server.client.get(f"/api/models/?{query}").json()["items"]
            assert ("creatures" in [one["key"] for one in listed]) is there
        assert server.client.get("/api/models/?type=song").status_code == 422
        refused = server.client.patch("/api/models/creatures", json={"name": "Mine"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (409, "name")
        assert server.client.delete("/api/models/creatures").status_code == 409
        assert "creatures" in keys(server)


class TestImport:
    def test_a_folder_is_entered_used_and_forgotten_and_its_files_stay(self, server: Server, tmp_path: Path) -> None:
        folder = tmp_path / "My Creatures"
        shutil.copytree(CREATURES, folder)
        model = take_in(server, folder, tags=[" mine "])
        assert (model["key"], model["name"], model["source"], model["tags"]) == (
            "my-creatures",
            "My Creatures",
            "imported",
            ["mine"],
        )
        assert model["removable"] and model["runnable"] and model["defaults"]["width"] == 512
        job = server.wait_for(server.generate("a fox", model="my-creatures", width=256, height=256))
        assert job["status"] == "completed" and job["images"]
        assert server.client.delete("/api/models/my-creatures").status_code == 200
        assert "my-creatures" not in keys(server) and (folder / "model_index.json").is_file()
        refused = server.client.post("/api/generate/text-to-image", json={"prompt": "x", "model": "my-creatures"})
        assert refused.status_code == 404 and "creatures" in refused.json()["hint"]

    def test_a_checkpoint_in_one_file_is_run(self, server: Server, tmp_path: Path) -> None:
        names = {
            "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
            "first_stage_model.x": (2,),
            "cond_stage_model.x": (2,),
        }
        model = take_in(server, write(tmp_path / "Old Painter.safetensors", safetensors(names)))
        assert (model["key"], model["family"], model["runnable"]) == ("old-painter", "sd15", True)
        job = server.wait_for(server.generate("a fox", model="old-painter", width=256, height=256))
        assert job["status"] == "completed" and job["images"][0]["recipe"]["model"] == "old-painter"
        titles = [one["title"] for one in server.client.get("/sdapi/v1/sd-models").json()]
        assert any("old-painter" in title and "[" in title for title in titles)

    def test_what_would_be_left_without_a_model(self, server: Server, tmp_path: Path) -> None:
        """The last model of a family is all that its LoRAs have, whatever they were made for."""
        for name in ("first-xl", "second-xl"):
            folder = diffusers_folder(tmp_path / name, "StableDiffusionXLPipeline")
            write(folder / "unet" / "diffusion_pytorch_model.safetensors", safetensors({"a": (100, 100)}))
            take_in(server, folder, key=name)
        lora = {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 2048)}
        style = take_in(server, write(tmp_path / "gold.safetensors", safetensors(lora)))
        assert style["family"] == "sdxl"

        def left(key: str) -> list[str]:
            return server.client.get(f"/api/models/{key}/consequences").json()["loras"]

        assert left("first-xl") == [] and left(style["key"]) == []
        assert server.client.delete("/api/models/first-xl").status_code == 200
        assert left("second-xl") == [style["key"]]
        for key in ("second-xl", style["key"]):
            server.client.delete(f"/api/models/{key}")

    def test_a_part_of_a_model_is_run_once_another_lends_the_rest(self, server: Server, tmp_path: Path) -> None:
        """FLUX's files hold the denoiser alone."""
        file = write(tmp_path / "flux1-dev.safetensors", safetensors({"double_blocks.0.x": (64, 64)}))
        alone = take_in(server, file)
        assert (
            not alone["runnable"] and alone["parts"]["lender"] is None and "text_encoder_2" in alone["parts"]["lacks"]
        )
        refused = server.client.post("/api/generate/text-to-image", json={"prompt": "x", "model": "flux1-dev"})
        assert refused.status_code == 409 and "holds a part of a model only" in refused.json()["detail"]
        refused = server.client.post("/api/admin/models/flux1-dev/load", json={})
        assert (refused.status_code, refused.json()["said"]["code"]) == (409, "model.parts_missing")

        for name in ("poor", "whole", "second"):
            folder = diffusers_folder(tmp_path / name, "FluxPipeline")
            index = {"_class_name": "FluxPipeline"} | {part: ["transformers", "X"] for part in alone["parts"]["lacks"]}
            if name == "poor":
                index["text_encoder_2"] = [None, None]
            write(folder / "model_index.json", index)
            write(folder / "text_encoder_2" / "model.safetensors", safetensors({"a": (1000, 1000)}))
            take_in(server, folder)
        model = server.client.get("/api/models/flux1-dev").json()
        assert model["runnable"] and (model["parts"]["lender"], model["parts"]["lenders"]) == (
            "whole",
            ["whole", "second"],
        )
        assert model["bytes_needed"] > alone["bytes_needed"]
        refused = server.client.patch("/api/models/flux1-dev", json={"load_options": {"parts_from": "poor"}})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "parts_from")
        server.client.patch("/api/models/flux1-dev", json={"load_options": {"parts_from": "second"}})
        job = server.wait_for(server.generate("a fox", model="flux1-dev", width=512, height=512))
        assert job["status"] == "completed"
        options = server.client.get("/api/models/flux1-dev").json()
        assert options["parts"]["lender"] == "second"
        server.client.delete("/api/models/second")
        assert server.client.get("/api/models/flux1-dev").json()["parts"]["lender"] == "whole"

    def test_keys_are_made_from_names_and_stay_unique(self, server: Server, tmp_path: Path) -> None:
        for number, name in enumerate(("A", "B")):
            folder = tmp_path / name / "Über Model!"
            diffusers_folder(folder, "FluxPipeline")
            assert take_in(server, folder)["key"] == ("ber-model" if number == 0 else "ber-model-2")
        third = diffusers_folder(tmp_path / "C", "FluxPipeline")
        taken = server.client.post("/api/models/import", json={"path": str(third), "key": "creatures"})
        assert (taken.status_code, taken.json()["errors"][0]["field"]) == (409, "key")
        added = server.client.post("/api/models/", json={"path": str(third), "key": "third"})
        assert (added.status_code, added.json()["key"]) == (201, "third")
        again = server.client.post("/api/models/import", json={"path": str(third)})
        assert again.status_code == 409 and "'third'" in again.json()["detail"]

    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (
                lambda folder: write(folder / "style.safetensors", safetensors({LORA: (4, 768)})),
                ("image", "lora", "sd15"),
            ),
            (
                lambda folder: transformers_folder(folder, "WhisperForConditionalGeneration", model_type="whisper"),
                ("transcribe", "base_model", "whisper"),
            ),
            (lambda folder: diffusers_folder(folder, "WanPipeline"), ("video", "base_model", "wan")),
        ],
    )
    def test_what_no_engine_runs_yet_is_known_but_not_offered(
        self, server: Server, tmp_path: Path, make: Any, expected: tuple[str, ...]
    ) -> None:
        model = take_in(server, make(tmp_path))
        assert (model["task"], model["type"], model["family"]) == expected and not model["runnable"]
        refused = server.client.post("/api/generate/text-to-image", json={"prompt": "x", "model": model["key"]})
        assert refused.status_code == 404

    @pytest.mark.parametrize(
        ("given", "status", "field"),
        [
            ({"path": "relative/folder"}, 422, "path"),
            ({"path": "/nowhere/at/all"}, 422, "path"),
            ({"path": "/etc/passwd"}, 422, "path"),
            ({"path": "/dev/zero"}, 422, "path"),
            ({"path": "/proc/self/mem"}, 422, "path"),
            ({"path": "/tmp/a\0b"}, 422, "path"),
            ({"path": ""}, 422, "path"),
            ({}, 422, "path"),
            ({"path": "/tmp", "key": "Not A Key"}, 422, "key"),
            ({"path": "/tmp", "key": "../x"}, 422, "key"),
            ({"path": "/tmp", "trust_remote_code": True}, 422, "trust_remote_code"),
        ],
    )
    def test_what_cannot_be_entered(self, server: Server, given: dict[str, Any], status: int, field: str) -> None:
        before = keys(server)
        answer = server.client.post("/api/models/import", json=given)
        problem = answer.json()
        assert answer.status_code == status, answer.text
        assert problem["errors"][0]["field"] == field and problem["errors"][0].get("message", problem["detail"])
        assert "root:x" not in answer.text and keys(server) == before

    def test_files_that_are_gone_are_noticed(self, server: Server, tmp_path: Path) -> None:
        take_in(server, diffusers_folder(tmp_path / "short-lived", "StableDiffusionPipeline"))
        shutil.rmtree(tmp_path / "short-lived")
        assert not server.client.get("/api/models/short-lived").json()["available"]
        refused = server.client.post("/api/generate/text-to-image", json={"prompt": "x", "model": "short-lived"})
        assert refused.status_code == 404 and "missing" in refused.json()["detail"]


class TestFound:
    def repository(self, cache: Path, name: str, commit: str) -> Path:
        """A repository in the layout of huggingface_hub: files of a snapshot are links to blobs."""
        repository = cache / f"models--someone--{name}"
        made = diffusers_folder(repository / "made", "StableDiffusionPipeline", unet={"cross_attention_dim": 768})
        for number, file in enumerate(sorted(path for path in made.rglob("*") if path.is_file())):
            blob = write(repository / "blobs" / str(number), file.read_bytes())
            link = repository / "snapshots" / commit / file.relative_to(made)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
        shutil.rmtree(made)
        return repository

    def test_the_cache_of_the_hub_is_listed_and_adopted(self, own_server: Any, tmp_path: Path) -> None:
        cache = tmp_path / "cache"
        old, new = "a" * 40, "b" * 40
        write(self.repository(cache, "sd", old) / "refs" / "main", old.encode())
        self.repository(cache, "sd", new)
        write(
            cache / "models--someone--pickles" / "snapshots" / old / "config.json", {"architectures": ["XForCausalLM"]}
        )
        (cache / "datasets--someone--data").mkdir()
        server = own_server(MODEL_CACHE_DIR=str(cache))
        listed = server.client.get("/api/models/found").json()
        assert listed["cache"] == str(cache)
        pickles, found = listed["items"]
        assert "no safetensors" in pickles["problem"] and pickles["task"] is None
        assert (found["repo"], found["commit"], found["key"], found["family"]) == ("someone/sd", old, None, "sd15")
        model = take_in(server, Path(found["path"]))
        assert (model["key"], model["name"], model["repo"], model["commit"]) == ("sd", "sd", "someone/sd", old)
        assert server.client.get("/api/models/found").json()["items"][1]["key"] == "sd"
        assert server.client.delete("/api/models/sd").status_code == 200
        assert Path(found["path"]).is_dir()

    def test_no_cache_is_no_error(self, own_server: Any, tmp_path: Path) -> None:
        server = own_server(HF_HOME=str(tmp_path / "none"), HF_HUB_CACHE="", MODEL_CACHE_DIR="")
        listed = server.client.get("/api/models/found").json()
        assert listed == {"cache": str(tmp_path / "none" / "hub"), "items": []}


class TestChange:
    def test_only_what_is_given(self, server: Server, tmp_path: Path) -> None:
        model = take_in(server, diffusers_folder(tmp_path / "to-change", "FluxPipeline"), description="first")
        defaults = {"steps": 4, "guidance_scale": 1.0, "width": 512, "height": 768, "scheduler": None}
        given = {"name": "Changed", "pinned": True, "tags": ["a", "b"], "defaults": defaults}
        changed = server.client.patch("/api/models/to-change", json=given).json()
        follows = {name: changed[name] for name in ("bytes_needed", "presets")}
        assert changed == {**model, **given, "defaults": {**defaults, "frames": None}, **follows}
        assert model["redraw_strength"] == 0.3
        assert changed["presets"] != model["presets"], "sizes of as many pixels as it makes now"
        assert changed["bytes_needed"] < model["bytes_needed"], "smaller pictures take less"
        assert server.client.get("/api/models/to-change").json() == changed

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": None}, "name"),
            ({"pinned": "perhaps"}, "pinned"),
            ({"tags": ["x" * 41]}, "tags"),
            ({"path": "/etc"}, "path"),
            ({"defaults": {"steps": 0, "guidance_scale": 1, "width": 1, "height": 1}}, "defaults"),
        ],
    )
    def test_bad_values_name_their_field(self, server: Server, given: dict[str, Any], field: str) -> None:
        answer = server.client.patch("/api/models/creatures", json=given)
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"].startswith(field)

    def test_one_of_the_catalogue_that_is_not_here_says_how_it_comes(self, server: Server) -> None:
        answer = server.client.post("/api/admin/models/qwen/load")
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["said"]["code"]) == (
            404,
            "model_not_found",
            "model.not_downloaded",
        )
        assert "POST /api/admin/models/qwen/download" in problem["hint"]

    def test_one_of_the_catalogue_is_planned_before_it_is_here(self, server: Server) -> None:
        offers = {one["key"]: one for one in server.client.get("/api/models/catalogue").json()["items"]}
        for key in ("qwen", "flux-dev"):
            plan = server.client.post("/api/plan", json={"model": key}).json()
            assert (plan["told_by"], plan["loaded"], plan["measurements"]) == ("catalogue", False, 0)
            assert plan["bytes_leased"] == offers[key]["bytes_needed"] > offers[key]["size_bytes"] * 0.9
            low, middle, high = (plan["bytes"][name] for name in ("low", "expected", "high"))
            assert low < 0.85 * middle and high > 1.15 * middle, "wide"
        plan = server.client.post("/api/plan", json={"model": "qwen", "context": 262144, "batch": 1024}).json()
        assert plan["fit"] == "never" and plan["parts"]["cache"] == 1024 * 262144 * 98304 + 256 * 98304, (
            "96 KiB a token"
        )
        assert {"smaller_batch", "shorter_context"} <= {one["id"] for one in plan["remedies"]}
        refused = server.client.post("/api/plan", json={"model": "canary"})
        assert (refused.status_code, refused.json()["said"]["code"]) == (409, "model.not_runnable")

    def test_unknown_models(self, server: Server) -> None:
        for answer in (
            server.client.get("/api/models/none"),
            server.client.patch("/api/models/none", json={"pinned": True}),
            server.client.delete("/api/models/none"),
        ):
            assert answer.status_code == 404 and answer.json()["code"] == "model_not_found"


class TestEvents:
    async def test_browsers_hear_of_it(self, server: Server, tmp_path: Path) -> None:
        folder = diffusers_folder(tmp_path / "heard-of", "FluxPipeline")
        async with connect(server.url.replace("http", "ws") + "/api/live") as socket:
            await socket.recv()

            async def heard() -> None:
                async with asyncio.timeout(5):
                    while True:
                        events = json.loads(await socket.recv()).get("events", [])
                        if any(event["type"] == "models.changed" for event in events):
                            return

            for act in (
                lambda: take_in(server, folder),
                lambda: server.client.patch("/api/models/heard-of", json={"pinned": True}),
                lambda: server.client.delete("/api/models/heard-of"),
            ):
                await asyncio.to_thread(act)
                await heard()


class TestRemoval:
    def test_not_while_it_makes_something_and_its_idle_worker_ends(self, own_server: Any, tmp_path: Path) -> None:
        server = own_server()
        take_in(server, diffusers_folder(tmp_path / "busy-one", "StableDiffusionPipeline"))
        job_id = server.generate("fake:step:2", model="busy-one")
        server.wait_for(job_id, "running")
        refused = server.client.delete("/api/models/busy-one")
        server.wait_for(job_id)
        assert refused.status_code == 409 and "right now" in refused.json()["detail"]
        assert any(worker["model"] == "busy-one" for worker in server.client.get("/api/system").json()["workers"])
        assert server.client.delete("/api/models/busy-one").status_code == 200
        assert not any(worker["model"] == "busy-one" for worker in server.client.get("/api/system").json()["workers"])
