"""A picture's file says how it was made: read back from it, and made again to be compared."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from atelier.images.prompt_schemas import StyleOut
from atelier.images.settings import settings_of
from atelier.images.verifying import _alone, _changed
from atelier.models.schemas import ModelOut
from engines import picture_files, picture_reader, protocol
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from serving import Server

A1111 = """a fox (in the snow:1.2), <lora:paper:0.7>
second line
Negative prompt: blurry, "bad"
Steps: 12, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 77, Size: 256x320, Model hash: 0123456789, \
Model: creatures, Clip skip: 2, Version: v1.10.1"""


COMFY = {
    "3": {"class_type": "KSampler", "inputs": {
        "seed": 77, "steps": 12, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0,
        "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
    "2": {"class_type": "KSampler", "inputs": {  # a second pass, which stands first
        "seed": 1, "steps": 5, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5,
        "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["11", 0]}},
    "11": {"class_type": "LatentUpscale", "inputs": {"samples": ["3", 0], "width": 512, "height": 640}},
    "10": {"class_type": "LoraLoader", "inputs": {
        "lora_name": "styles\\paper.safetensors", "strength_model": 0.7, "strength_clip": 1.0, "model": ["4", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/creatures.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 256, "height": 320, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["8", 0], "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["10", 1]}},
    "8": {"class_type": "PrimitiveString", "inputs": {"value": "a fox"}},
}  # fmt: skip
COMFY_FLUX = {
    "13": {"class_type": "SamplerCustomAdvanced", "inputs": {
        "noise": ["25", 0], "guider": ["22", 0], "sampler": ["16", 0], "sigmas": ["17", 0], "latent_image": ["27", 0]}},
    "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 77}},
    "22": {"class_type": "BasicGuider", "inputs": {"model": ["12", 0], "conditioning": ["26", 0]}},
    "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 6.5, "conditioning": ["6", 0]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["11", 0]}},
    "16": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "17": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 12, "model": ["12", 0]}},
    "12": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
    "27": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 256, "height": 320}},
}  # fmt: skip
INVOKE = {
    "generation_mode": "txt2img", "positive_prompt": "a fox", "negative_prompt": "blurry", "width": 256, "height": 320,
    "seed": 77, "cfg_scale": 6.5, "steps": 12, "scheduler": "dpmpp_2m_k",
    "model": {"key": "x", "name": "creatures", "base": "sd-1", "type": "main"},
    "loras": [{"model": {"name": "paper"}, "weight": 0.7}],
}  # fmt: skip
FOOOCUS = {
    "base_model": "creatures", "full_prompt": ["a fox"], "prompt": "fox", "negative_prompt": "", "steps": 12,
    "full_negative_prompt": ["blurry"], "guidance_scale": 6.5, "loras": [["paper", 0.7, "abc"]], "seed": "77",
    "resolution": "(256, 320)", "sampler": "dpmpp_2m", "scheduler": "karras", "metadata_scheme": "fooocus",
}  # fmt: skip
OTHERS = {"comfyui": ("prompt", COMFY), "invokeai": ("invokeai_metadata", INVOKE), "fooocus": ("parameters", FOOOCUS)}


def png(text: str | None = None, keyword: str = "parameters") -> bytes:
    info, buffer = PngInfo(), io.BytesIO()
    if text is not None:
        info.add_text(keyword, text)
    Image.new("RGB", (64, 80), "teal").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def read(server: Server, data: bytes) -> dict[str, Any]:
    answer = server.client.post("/api/generate/settings", files={"file": ("a.png", data)})
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestReadBack:
    @pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
    def test_of_our_own(self, server: Server, form: str) -> None:
        settings = {"prompt": "a fox, sitting", "negative_prompt": "no, hat", "steps": 7, "guidance_scale": 2.5,
                    "width": 256, "height": 320, "seed": 99, "scheduler": "ddim", "model": "creatures"}  # fmt: skip
        recipe = {**settings, "sampler": "DDIM", "schedule_type": "Automatic", "versions": {"torch": "2"}}
        found = read(server, picture_files.encode(Image.new("RGB", (256, 320)), form, recipe))
        assert (found["source"], found["missing"]) == ("atelier", [])
        assert found["settings"] == settings and found["recipe"] == recipe

    def test_of_a1111(self, server: Server) -> None:
        found = read(server, png(A1111))
        settings = found["settings"]
        assert found["source"] == "a1111" and found["text"] == A1111
        assert settings["prompt"] == "a fox (in the snow:1.2),\nsecond line"
        assert (settings["negative_prompt"], settings["steps"], settings["seed"]) == ('blurry, "bad"', 12, 77)
        assert (settings["width"], settings["height"], settings["guidance_scale"]) == (256, 320, 6.5)
        assert (settings["model"], settings["scheduler"]) == ("creatures", "dpmpp_2m_karras")
        assert {"kind": "lora", "name": "paper"} in found["missing"]

    @pytest.mark.parametrize("program", OTHERS)
    def test_of_other_programs(self, server: Server, program: str) -> None:
        keyword, content = OTHERS[program]
        found = read(server, png(json.dumps(content), keyword))
        assert (found["source"], found["missing"]) == (program, [{"kind": "lora", "name": "paper"}])
        assert found["settings"] == {
            "prompt": "a fox", "negative_prompt": "blurry", "steps": 12, "seed": 77, "width": 256, "height": 320,
            "guidance_scale": 6.5, "model": "creatures", "scheduler": "dpmpp_2m_karras",
        }  # fmt: skip

    def test_of_a_graph_for_flux(self) -> None:
        found = settings_of({"texts": {"prompt": json.dumps(COMFY_FLUX)}, "width": 1, "height": 1}, [])
        assert (found.source, found.model_name) == ("comfyui", "flux1-dev")
        assert found.settings == {
            "prompt": "a fox", "negative_prompt": "", "steps": 12, "seed": 77, "width": 256, "height": 320,
            "guidance_scale": 6.5,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("keyword", "content"),
        [
            ("prompt", {"1": {"inputs": {"latent_image": ["1", 0], "steps": ["1", 0], "positive": ["1", 0]}}}),
            ("prompt", {"1": {"inputs": {"latent_image": ["2", 0], "steps": 3, "positive": ["1"], "model": [[]]}}}),
            ("prompt", {str(at): {"inputs": {"latent_image": [str(at + 1), 0]}} for at in range(3000)}),
            ("prompt", {"1": 3, "2": {"inputs": []}, "3": None}),
            ("invokeai_metadata", {"steps": 3, "model": [], "loras": {"a": 1}, "scheduler": 3, "width": {}}),
            (
                "parameters",
                {"base_model": {}, "steps": 3, "loras": [[], [1], ["a", "b"]], "resolution": [], "seed": []},
            ),
        ],
    )
    def test_other_programs_in_disorder(self, keyword: str, content: Any) -> None:
        found = settings_of({"texts": {keyword: json.dumps(content)}, "width": 1, "height": 1}, [])
        assert set(found.settings) <= {"prompt", "negative_prompt", "steps", "loras"}

    def test_a_second_pass_and_what_the_sampler_was_told(self, server: Server) -> None:
        """Of A1111, which writes settings that its sampler took no notice of, and of our own."""
        more = "Model: creatures, Denoising strength: 0.4, Eta: 0.5, Sigma churn: 3, Hires upscale: 1.5, Hires steps: 4"
        text = A1111.replace("Model: creatures", more).replace("DPM++ 2M, Schedule type: Karras", "Euler")
        settings = read(server, png(text))["settings"]
        assert settings["sampler_settings"] == {"s_churn": 3} and "scheduler" not in settings["hires"]
        text = text.replace("Hires upscale", "Hires sampler: Heun, Hires schedule type: Karras, Hires upscale")
        hires = read(server, png(text))["settings"]["hires"]
        assert hires == {"scale": 1.5, "strength": 0.4, "steps": 4, "scheduler": "heun_karras"}
        told = {"scale": 2.0, "strength": 0.5, "steps": 3, "upscaler": "latent", "scheduler": "heun", "sampler": "Heun"}
        recipe = {"prompt": "x", "negative_prompt": "", "steps": 5, "guidance_scale": 3, "seed": 1, "width": 256,
                  "height": 256, "model": "creatures", "scheduler": "ddim", "sampler_settings": {"eta": 1.0},
                  "hires": {**told, "width": 512}}  # fmt: skip
        found = read(server, picture_files.encode(Image.new("RGB", (512, 512)), "webp", recipe, 40))["settings"]
        assert found["sampler_settings"] == {"eta": 1.0} and found["hires"]["scheduler"] == "heun"

    def test_what_is_missing_is_named(self, server: Server) -> None:
        found = read(server, png(A1111.replace("Model: creatures", "Model: dreamer_v9")))
        assert found["model_name"] == "dreamer_v9"
        assert {"kind": "model", "name": "dreamer_v9"} in found["missing"]
        assert "model" not in found["settings"] and "scheduler" not in found["settings"]

    @pytest.mark.parametrize("text", [None, "a holiday picture", "Steps: nine, Sampler: ?, Seed: x"])
    def test_a_file_that_says_nothing(self, server: Server, text: str | None) -> None:
        found = read(server, png(text))
        assert found["settings"] == {} or found["source"] == "a1111"
        assert (found["width"], found["height"]) == (64, 80)

    def test_what_is_no_picture_is_refused(self, server: Server) -> None:
        answer = server.client.post("/api/generate/settings", files={"file": ("a.png", b"not a picture")})
        assert answer.status_code in (415, 422) and answer.json()["errors"][0]["field"] == "file"

    def test_values_that_no_request_takes_are_left_out(self) -> None:
        recipe = '{"prompt": "x", "steps": 9999, "seed": -4, "width": "wide", "guidance_scale": 3}'
        found = settings_of({"texts": {"atelier": recipe}, "width": 1, "height": 1}, [])
        assert found.settings == {"prompt": "x", "guidance_scale": 3}

    @pytest.mark.parametrize(
        "told",
        [{"start": "a fox"}, {"hires": {"width": "wide"}, "width": 3}, {"hires": {"width": 9}, "width": 0},
         {"hires": {"width": 10**400}, "width": 3}, {"steps": 3, "scheduler": ["ddim"], "model": "creatures"}],
    )  # fmt: skip
    def test_values_of_another_kind(self, server: Server, told: dict[str, Any]) -> None:
        models = [ModelOut(**one) for one in server.client.get("/api/models/").json()["items"]]
        recipe = json.dumps({"prompt": "x", **told})
        found = settings_of({"texts": {"atelier": recipe}, "width": 1, "height": 1}, models)
        assert found.settings["prompt"] == "x" and not {"hires", "scheduler"} & set(found.settings)


class TestTyped:
    """What was typed comes back where it still comes to the same words."""

    RECIPE: ClassVar = {"prompt": "a fox at night", "negative_prompt": "", "steps": 3}
    NIGHT = StyleOut(id="sty_1", name="Night", prompt="{prompt} at night", negative_prompt="")

    def of(self, asked: Any, styles: Sequence[StyleOut] = (NIGHT,), **more: Any) -> dict[str, Any]:
        recipe = json.dumps({**self.RECIPE, **more, "asked": asked})
        return settings_of({"texts": {"atelier": recipe}, "width": 1, "height": 1}, [], styles).settings

    def test_styles(self) -> None:
        told = self.of({"prompt": "a fox", "styles": ["Night"]})
        assert (told["prompt"], told["styles"]) == ("a fox", ["Night"])

    def test_a_translation(self) -> None:
        told = self.of({"typed_prompt": "un zorro de noche"})
        assert (told["prompt"], told["typed_prompt"]) == ("a fox at night", "un zorro de noche")

    @pytest.mark.parametrize(
        "asked",
        [
            {"prompt": "a fox", "styles": ["Day"]},
            {"prompt": "a cow", "styles": ["Night"]},
            {"prompt": "a fox <lora:x:9999>", "styles": ["Night"]},
            {"prompt": ["a fox"], "styles": "Night"},
            {"styles": [[]]},
            {"prompt": 5},
            "a fox",
            [],
            None,
        ],
    )
    def test_what_comes_to_something_else_stays_as_it_was_drawn(self, asked: Any) -> None:
        told = self.of(asked)
        assert told["prompt"] == "a fox at night" and "styles" not in told

    def test_more_styles_than_a_request_takes(self) -> None:
        """A stranger's file may name one a hundred thousand times."""
        told = self.of({"prompt": "a fox", "styles": ["Night"] * 11}, prompt="a fox" + " at night" * 11)
        assert told["prompt"].endswith("at night") and "styles" not in told
        tenfold = StyleOut(id="sty_2", name="Ten", prompt="{prompt}" * 10, negative_prompt="")
        told = self.of({"prompt": "fox", "styles": ["Ten"] * 4}, [tenfold], prompt="fox" * 10**4)
        assert "styles" not in told

    def test_a_lora_that_is_not_here(self) -> None:
        loras = [{"model": "paper", "weight": 1.0}]
        told = self.of({"prompt": "a fox at night <lora:paper:1>", "loras": []}, loras=loras)
        assert (told["prompt"], told.get("loras")) == ("a fox at night", None)


class TestVerify:
    def test_the_same_file(self, server: Server) -> None:
        image = server.wait_for(server.generate("a fox", seed=5, num_outputs=3))["images"][1]
        answer = server.client.post(f"/api/gallery/{image['id']}/verify")
        assert answer.status_code == 202, answer.text
        job = server.wait_for(answer.json()["job_id"])
        assert (job["kind"], job["status"], job["images"]) == ("image.verify", "completed", [])
        verified = server.client.get(f"/api/gallery/{image['id']}").json()["verified"]
        assert (verified["result"], verified["most"], verified["changed"]) == ("same_bytes", 0, [])
        assert not list((server.data_dir / "staging").iterdir()), "what was made again is thrown away"
        file = server.data_dir / "images" / image["job_id"] / "1.png"
        other = file.with_name("0.png").read_bytes()
        damaged = "verify.file_damaged"
        for content, said in ((other, None), (other[:300], damaged), (b"x", damaged), (None, "verify.file_gone")):
            file.unlink() if content is None else file.write_bytes(content)
            job = server.wait_for(server.client.post(f"/api/gallery/{image['id']}/verify").json()["job_id"])
            assert job["status"] == ("failed" if said else "completed")
            assert not said or job["error"]["said"]["code"] == said
        verified = server.client.get(f"/api/gallery/{image['id']}").json()["verified"]
        assert verified["result"] == "different", "what lies there is another file, whatever its row remembers"

    def test_of_a_job_that_left_the_list(self, server: Server) -> None:
        job_id = server.generate("a fox", seed=6)
        image = server.wait_for(job_id)["images"][0]
        server.client.delete(f"/api/jobs/{job_id}")
        job = server.wait_for(server.client.post(f"/api/gallery/{image['id']}/verify").json()["job_id"])
        assert job["status"] == "completed"

    def test_an_unknown_picture(self, server: Server) -> None:
        assert server.client.post(f"/api/gallery/img_{'0' * 20}/verify").status_code == 404

    @pytest.mark.parametrize(
        ("level", "size", "expected"),
        [
            (0, (8, 8), {"same_size": True, "most": 0, "share": 0.0}),
            (1, (8, 8), {"same_size": True, "most": 1, "share": 1 / 64}),
            (40, (8, 8), {"same_size": True, "most": 40, "share": 1 / 64}),
            (0, (8, 9), {"same_size": False, "most": 255, "share": 1.0}),
        ],
    )
    def test_how_far_apart(self, tmp_path: Path, level: int, size: tuple[int, int], expected: dict[str, Any]) -> None:
        one, other = Image.new("RGB", (8, 8), (9, 9, 9)), Image.new("RGB", size, (9, 9, 9))
        other.putpixel((3, 3), (9, 9 + level, 9))
        one.save(tmp_path / "one.png")
        other.save(tmp_path / "other.png")
        paths = {"source": str(tmp_path / "one.png"), "other": str(tmp_path / "other.png")}
        found = picture_reader.compare(protocol.ComparePictures(task_id="t", **paths))
        assert found == pytest.approx(expected)

    def test_only_its_own_seed(self) -> None:
        assert _alone({"resolved": {"seeds": [1, 2, 3], "steps": 4}}, 1) == {"seeds": [2], "steps": 4}

    def test_what_changed_since(self) -> None:
        then = {"model_hash": "a", "device": "cpu", "versions": {"torch": "2.1", "diffusers": "1"}}
        now = {"model_hash": "b", "device": "cuda", "versions": {"torch": "2.2", "diffusers": "1"}}
        assert _changed(then, now) == ["model", "torch 2.1 → 2.2", "device cpu → cuda"]
        assert _changed(then, then) == []


class TestPrompts:
    def test_used_kept_and_forgotten(self, own_server: Any) -> None:
        server = own_server()
        for prompt in ("a red fox", "a blue owl", "a red fox"):
            server.wait_for(server.generate(prompt, steps=1))
        listed = server.client.get("/api/prompts").json()["items"]
        assert [(one["prompt"], one["uses"]) for one in listed] == [("a red fox", 2), ("a blue owl", 1)]
        found = server.client.get("/api/prompts", params={"q": "owl"}).json()["items"]
        assert [one["prompt"] for one in found] == ["a blue owl"]
        owl = found[0]["id"]
        assert server.client.patch(f"/api/prompts/{owl}", json={"favourite": True}).json()["favourite"]
        assert server.client.delete("/api/prompts").status_code == 204
        assert [one["id"] for one in server.client.get("/api/prompts").json()["items"]] == [owl]
        assert server.client.delete(f"/api/prompts/{owl}").status_code == 204
        assert server.client.delete(f"/api/prompts/{owl}").status_code == 404

    def test_styles(self, own_server: Any) -> None:
        server = own_server()
        style = {"name": "Book", "prompt": "{prompt}, thick outlines", "negative_prompt": "photo"}
        made = server.client.post("/api/styles", json=style).json()
        assert server.client.post("/api/styles", json=style).status_code == 409
        server.client.post("/api/styles", json={"name": "Night", "prompt": "at night"})
        job = server.wait_for(server.generate("a fox", negative_prompt="hat", styles=["Book", "Night"], steps=1))
        resolved = job["request"]["resolved"]
        assert resolved["prompt"] == "a fox, thick outlines, at night" and resolved["negative_prompt"] == "hat, photo"
        assert job["request"]["prompt"] == "a fox"
        path = f"/api/gallery/{job['images'][0]['id']}/settings"
        told = server.client.get(path).json()["settings"]
        assert (told["prompt"], told["negative_prompt"], told["styles"]) == ("a fox", "hat", ["Book", "Night"])
        assert [one["prompt"] for one in server.client.get("/api/prompts").json()["items"]] == ["a fox"]
        changed = server.client.put(f"/api/styles/{made['id']}", json={**style, "name": "Paper"})
        assert changed.json()["name"] == "Paper"
        told = server.client.get(path).json()["settings"]
        assert told["prompt"] == "a fox, thick outlines, at night" and "styles" not in told
        assert server.client.put(f"/api/styles/{made['id']}", json={**style, "name": "Night"}).status_code == 409
        unknown = server.client.post("/api/generate/text-to-image", json={"prompt": "a", "styles": ["Book"]})
        assert unknown.status_code == 422 and unknown.json()["errors"][0]["field"] == "styles"
        # Each of these makes ten of what was there before it.
        server.client.put(f"/api/styles/{made['id']}", json={"name": "Ten", "prompt": "{prompt}" * 10})
        grown = server.client.post("/api/generate/text-to-image", json={"prompt": "a fox", "styles": ["Ten"] * 4})
        assert (grown.status_code, grown.json()["errors"][0]["field"]) == (422, "styles"), grown.text
        assert server.client.delete(f"/api/styles/{made['id']}").status_code == 204
        assert [one["name"] for one in server.client.get("/api/styles").json()["items"]] == ["Night"]
