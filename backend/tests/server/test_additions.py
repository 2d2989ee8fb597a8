"""LoRAs and embeddings over the API: in fields, in the prompt, by any of their names; what does not fit is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Server
from tests.models.weights import safetensors, write

KEY = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
TAGS = json.dumps({"1_fox": {"red fox": 12, "snow": 3}})


@pytest.fixture(scope="module")
def files(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("loras")
    said = {"ss_output_name": "FoxStyle_v2", "ss_tag_frequency": TAGS}
    found = {
        "fox": write(folder / "fox-file.safetensors", safetensors({KEY: (4, 768)}, metadata=said)),
        "owl": write(folder / "owl.safetensors", safetensors({KEY: (4, 768)}, metadata={"a": "b"})),
        "wide": write(folder / "wide.safetensors", safetensors({KEY: (4, 2048)})),
        "easyneg": write(folder / "EasyNeg.safetensors", safetensors({"emb_params": (8, 768)})),
    }
    for key, path in found.items():
        answer = server.client.post("/api/models/import", json={"path": str(path), "key": key})
        assert answer.status_code == 201, answer.text
    yield found
    for key in found:
        assert server.client.delete(f"/api/models/{key}").status_code == 200


def recipe(server: Server, prompt: str, **more: Any) -> dict[str, Any]:
    job = server.wait_for(server.generate(prompt, steps=1, **more), "completed")
    return job["images"][0]["recipe"]


def refused(server: Server, prompt: str = "a fox", **more: Any) -> tuple[int, str, str]:
    answer = server.client.post("/api/generate/text-to-image", json={"prompt": prompt, **more})
    problem = answer.json()
    return answer.status_code, problem["errors"][0]["field"], f"{problem['detail']} {problem.get('hint')}"


class TestLoras:
    def test_in_a_field(self, server: Server, files: dict[str, Path]) -> None:
        made = recipe(server, "a fox", loras=[{"model": "fox", "weight": 0.7, "text_weight": 0.2}])
        digest = hashlib.sha256(files["fox"].read_bytes()).hexdigest()
        assert made["loras"] == [
            {"model": "fox", "name": "fox-file", "weight": 0.7, "text_weight": 0.2, "sha256": digest}
        ]
        assert made["prompt"] == "a fox"

    @pytest.mark.usefixtures("files")
    def test_one_that_a_job_runs_with_stays(self, server: Server) -> None:
        job = server.generate("a fox", steps=200, num_outputs=8, loras=[{"model": "owl"}])
        server.wait_for(job, "running")
        assert [one["id"] for one in server.client.get("/api/models/owl/consequences").json()["jobs"]] == [job]
        refused = server.client.delete("/api/models/owl")
        assert refused.status_code == 409 and "at work" in refused.json()["detail"]
        server.client.delete(f"/api/jobs/{job}")
        server.wait_for(job)

    @pytest.mark.parametrize("name", ["fox", "fox-file", "FoxStyle_v2", "FOX"])
    @pytest.mark.usefixtures("files")
    def test_in_the_prompt_by_any_of_its_names(self, server: Server, name: str) -> None:
        made = recipe(server, f"a red <lora:{name}:0.5> dragon")
        assert made["prompt"] == "a red dragon"
        assert [(lora["model"], lora["weight"], lora["text_weight"]) for lora in made["loras"]] == [("fox", 0.5, None)]

    @pytest.mark.usefixtures("files")
    def test_several_and_both_weights(self, server: Server) -> None:
        made = recipe(server, "a fox <lora:fox><lora:owl:-1:0.25>", loras=[{"model": "owl"}])
        assert [(lora["model"], lora["weight"], lora["text_weight"]) for lora in made["loras"]] == [
            ("owl", 1.0, None),
            ("fox", 1.0, None),
            ("owl", -1.0, 0.25),
        ]

    @pytest.mark.usefixtures("files")
    def test_settings_have_them_where_they_were_typed(self, server: Server) -> None:
        words, loras = "a fox <lora:FoxStyle_v2:0.5>", [{"model": "owl", "weight": 0.3}]
        job = server.wait_for(server.generate(words, steps=1, loras=loras), "completed")
        told = server.client.get(f"/api/gallery/{job['images'][0]['id']}/settings").json()
        assert told["missing"] == []
        assert (told["settings"]["prompt"], told["settings"]["loras"]) == (words, loras)

    def test_without_any_the_recipe_is_silent(self, server: Server) -> None:
        made = recipe(server, "a fox, <b>bold</b>")
        assert made["prompt"] == "a fox, <b>bold</b>"
        assert not {"loras", "embeddings", "clip_skip"} & set(made)

    @pytest.mark.usefixtures("files")
    def test_what_does_not_fit_is_refused_before_the_job(self, server: Server) -> None:
        assert refused(server, loras=[{"model": "owl"}, {"model": "foks"}])[:2] == (404, "loras.1.model")
        status, field, words = refused(server, "a <lora:foxstyle:1>")
        assert (status, field) == (404, "prompt") and "fox" in words.split("one of these:")[1]
        status, field, words = refused(server, "a <lora:wide:1>")
        assert (status, field) == (422, "prompt") and "sdxl" in words and "sd15" in words
        assert refused(server, "a <lora:fox:much>")[:2] == (422, "prompt")
        assert refused(server, "a <lora:fox:4.1>")[:2] == (422, "prompt")
        assert refused(server, "a <lora:fox:nan>")[:2] == (422, "prompt")
        assert refused(server, loras=[{"model": "fox", "weight": 4.1}])[0] == 422
        assert refused(server, "a" + "<lora:fox:1>" * 33)[:2] == (422, "loras")
        assert recipe(server, "a" + "<lora:fox:1>" * 32)["prompt"] == "a"
        assert refused(server, loras=[{"model": "../../etc/passwd"}])[:2] == (404, "loras.0.model")
        assert refused(server, loras=[{"model": "creatures"}])[0] == 404
        assert refused(server, model="fox")[:2] == (404, "model")

    def test_the_list_says_what_calls_it(self, server: Server, files: dict[str, Path]) -> None:
        shown = {model["key"]: model for model in server.client.get("/api/models/").json()["items"]}
        assert shown["fox"]["trigger_words"] == ["red fox", "snow"] and shown["owl"]["trigger_words"] == []
        assert [shown[key]["type"] for key in files] == ["lora", "lora", "lora", "embedding"]
        assert not shown["easyneg"]["runnable"] and shown["easyneg"]["family"] == "sd15"

    def test_one_whose_file_is_gone(self, server: Server, files: dict[str, Path]) -> None:
        kept = files["owl"].rename(files["owl"].with_suffix(".away"))
        try:
            assert refused(server, "a <lora:owl:1>")[0] == 404
        finally:
            kept.rename(files["owl"])


class TestEmbeddings:
    @pytest.mark.usefixtures("files")
    def test_named_by_a_word(self, server: Server) -> None:
        made = recipe(server, "a fox", negative_prompt="(easyneg:1.2), blurry")
        assert [(one["model"], one["token"]) for one in made["embeddings"]] == [("easyneg", "EasyNeg")]
        assert "embeddings" not in recipe(server, "easynegative")


class TestClipSkip:
    def test_is_kept_in_the_recipe(self, server: Server) -> None:
        assert recipe(server, "a fox", clip_skip=1)["clip_skip"] == 1
        assert refused(server, clip_skip=9)[:2] == (422, "clip_skip")
