"""`/sdapi/v1` with webuiapi, the client that scripts and notebooks use for A1111 and Forge."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests
import webuiapi
from client_pictures import drawing, jobs, wait_until
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from serving import Server
from tests.models.weights import ESRGAN, safetensors, transformers_folder, write


def api_of(server: Server, **how: Any) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1", **({"steps": 2} | how))


@pytest.fixture(scope="module")
def api(server: Server) -> webuiapi.WebUIApi:
    return api_of(server)


class TestLists:
    def test_scripts_are_its_first_call(self, api: webuiapi.WebUIApi) -> None:
        assert api.get_scripts() == {"txt2img": [], "img2img": []}
        assert not (api.has_controlnet or api.has_adetailer or api.has_animatediff)

    def test_models_have_titles_with_hashes(self, api: webuiapi.WebUIApi) -> None:
        model = api.get_sd_models()[0]
        assert model["model_name"] == "creatures" and len(model["hash"]) == 10
        assert model["title"] == f"creatures [{model['hash']}]" and model["sha256"].startswith(model["hash"])
        assert api.util_get_model_names() == [model["title"]]

    def test_samplers_and_schedules(self, api: webuiapi.WebUIApi) -> None:
        assert {"Euler", "Euler a", "DPM++ 2M", "DDIM", "UniPC", "LCM"} <= set(api.util_get_sampler_names())
        assert {"automatic", "karras", "exponential", "sgm_uniform"} <= set(api.util_get_scheduler_names())
        assert all(isinstance(value, str) for one in api.get_samplers() for value in one["options"].values())

    def test_upscalers(self, api: webuiapi.WebUIApi) -> None:
        assert [one["name"] for one in api.get_upscalers()] == ["None", "Lanczos", "Nearest"]
        assert api.get_latent_upscale_modes()[0] == {"name": "Latent"}

    @pytest.mark.parametrize(
        "call",
        ["get_loras", "get_sd_vae", "get_hypernetworks", "get_face_restorers", "get_realesrgan_models"],
    )  # fmt: skip
    def test_what_there_is_none_of_is_an_empty_list(self, api: webuiapi.WebUIApi, call: str) -> None:
        assert getattr(api, call)() == []

    def test_the_rest(self, api: webuiapi.WebUIApi) -> None:
        assert api.get_embeddings() == {"loaded": {}, "skipped": {}}
        assert isinstance(api.get_cmd_flags(), dict)
        assert api.get_memory()["ram"]["total"] > 0
        assert api.refresh_checkpoints() is None
        for path in ("sd-modules", "script-info", "extensions"):
            assert api.custom_get(path, baseurl=True) == []


class TestTextToImage:
    def test_its_defaults_draw_something(self, server: Server, api: webuiapi.WebUIApi) -> None:
        result = api.txt2img(prompt="a red dragon", negative_prompt="blue", seed=7)
        # It asks for 512 × 512, which this model does not make.
        assert result.image.size == (256, 256)
        assert "512x512" in result.info["comments"]
        assert (result.info["seed"], result.info["all_seeds"]) == (7, [7])
        assert (result.info["width"], result.info["height"], result.info["steps"]) == (256, 256, 2)
        assert result.info["sampler_name"] == "Euler a" and result.info["sd_model_name"] == "creatures"
        assert (result.info["prompt"], result.info["negative_prompt"]) == ("a red dragon", "blue")
        assert result.parameters["prompt"] == "a red dragon" and result.parameters["width"] == 512
        newest = server.client.get("/api/gallery").json()["items"][0]
        assert base64.b64decode(result.json["images"][0]) == server.client.get(newest["url"]).content
        assert result.info["image_ids"] == [newest["id"]]

    def test_batches_count_on(self, server: Server, api: webuiapi.WebUIApi) -> None:
        before = len(jobs(server, limit=200))
        result = api.txt2img(prompt="six", seed=10, batch_size=2, n_iter=3, width=256, height=256)
        assert [result.info["all_seeds"], len(result.images)] == [[10, 11, 12, 13, 14, 15], 6]
        assert len(jobs(server, limit=200)) == before + 3

    def test_without_a_prompt_or_seed(self, api: webuiapi.WebUIApi) -> None:
        seeds = {api.txt2img(width=256, height=256).info["seed"] for _ in range(2)}
        assert len(seeds) == 2 and -1 not in seeds

    @pytest.mark.parametrize(
        ("sampler", "schedule", "key"),
        [
            ("Euler", "automatic", "euler"),
            ("DPM++ 2M", "karras", "dpmpp_2m_karras"),
            ("DPM++ 2M Karras", None, "dpmpp_2m_karras"),
            ("k_euler_a", "Automatic", "euler_a"),
        ],
    )
    def test_samplers_by_every_name(
        self, server: Server, api: webuiapi.WebUIApi, sampler: str, schedule: str | None, key: str
    ) -> None:
        result = api.txt2img(prompt="x", sampler_name=sampler, scheduler=schedule, width=256, height=256)
        assert jobs(server)[0]["request"]["resolved"]["scheduler"] == key
        assert result.info["comments"] == ""

    def test_a_second_pass_and_variations(self, server: Server, api: webuiapi.WebUIApi) -> None:
        result = api.txt2img(
            prompt="x", seed=5, subseed=9, subseed_strength=0.3, n_iter=2, batch_size=2, width=256, height=256,
            enable_hr=True, hr_scale=1.5, hr_second_pass_steps=3, hr_upscaler="R-ESRGAN 4x+", denoising_strength=0.4,
        )  # fmt: skip
        last = jobs(server)[0]["request"]["resolved"]
        assert last["hires"] == {"width": 384, "height": 384, "steps": 3, "strength": 0.4, "upscaler": "lanczos"}
        assert (last["seeds"], last["subseeds"], last["subseed_strength"]) == ([5, 5], [11, 12], 0.3)
        assert result.info["all_seeds"] == [5] * 4 and "R-ESRGAN" in result.info["comments"]

    def test_a_second_pass_has_a_sampler_of_its_own(self, server: Server, api: webuiapi.WebUIApi) -> None:
        def again(**more: str) -> dict:
            sizes = {"width": 256, "height": 256, "enable_hr": True, "hr_scale": 1.5, "sampler_name": "Euler"}
            answer = server.client.post("/sdapi/v1/txt2img", json={"prompt": "x", "steps": 2, **sizes, **more})
            assert answer.status_code == 200, answer.text
            return jobs(server)[0]["request"]["resolved"]["hires"]

        assert again(hr_sampler_name="DPM++ 2M", hr_scheduler="Karras")["scheduler"] == "dpmpp_2m_karras"
        assert again(hr_sampler_name="DPM++ 2M")["scheduler"] == "dpmpp_2m_karras"
        assert again(hr_scheduler="Karras")["scheduler"] == "euler_karras"
        assert "scheduler" not in again(hr_sampler_name="Use same sampler", hr_scheduler="Use same scheduler")
        wrong = {"prompt": "x", "enable_hr": True, "hr_sampler_name": "nonsense"}
        assert server.client.post("/sdapi/v1/txt2img", json=wrong).status_code == 400

    def test_layers_of_clip_are_left_out(self, server: Server, api: webuiapi.WebUIApi) -> None:
        overriding = {"override_settings": {"CLIP_stop_at_last_layers": 2}, "width": 256, "height": 256}
        assert api.txt2img(prompt="x", **overriding).info["clip_skip"] == 2
        assert jobs(server)[0]["request"]["resolved"]["clip_skip"] == 1
        assert api.get_options()["CLIP_stop_at_last_layers"] == 1

    def test_styles_are_those_of_the_user(self, server: Server, api: webuiapi.WebUIApi) -> None:
        style = {"name": "ink", "prompt": "ink drawing of {prompt}", "negative_prompt": "colour"}
        assert server.client.post("/api/styles", json=style).status_code == 201
        assert api.get_prompt_styles() == [style]
        result = api.txt2img(prompt="a fox", styles=["ink", "nobody's"], width=256, height=256)
        assert (result.info["prompt"], result.info["negative_prompt"]) == ("ink drawing of a fox", "colour")
        assert "nobody's" in result.info["comments"]
        result = api.txt2img(prompt="a fox", styles=["ink"] * 11, width=64, height=64)
        assert "The style ink was ignored: 10 are the most." in result.info["comments"]

    def test_what_is_not_there_is_said(self, api: webuiapi.WebUIApi) -> None:
        result = api.txt2img(
            prompt="x",
            restore_faces=True,
            sampler_name="DPM adaptive",
            alwayson_scripts={"ControlNet": {"args": []}},
            width=256,
            height=256,
        )
        comments = result.info["comments"]
        assert all(word in comments for word in ("restore_faces", "DPM adaptive", "ControlNet"))

    def test_pictures_may_stay_here(self, api: webuiapi.WebUIApi) -> None:
        result = api.txt2img(prompt="x", send_images=False, width=256, height=256)
        assert result.images == [] and len(result.info["image_ids"]) == 1

    @pytest.mark.parametrize(
        ("change", "status", "words"),
        [
            ({"sampler_name": "Nonsense"}, 400, "Sampler not found"),
            ({"script_name": "X/Y/Z plot"}, 422, "X/Y/Z plot"),
            ({"override_settings": {"sd_model_checkpoint": "nothing"}}, 404, "nothing"),
            ({"seed": 2**40}, 422, "seed"),
            ({"batch_size": 64, "n_iter": 2}, 422, "128"),
            ({"steps": 201}, 422, "steps"),
            ({"cfg_scale": -1}, 422, "cfg_scale"),
            ({"prompt": "x fake:fail:boom"}, 500, "the script says so"),
        ],
    )
    def test_errors(self, api: webuiapi.WebUIApi, change: dict[str, Any], status: int, words: str) -> None:
        with pytest.raises(RuntimeError) as error:
            api.txt2img(**({"prompt": "x"} | change))
        assert error.value.args[0] == status
        assert '"error":"HTTPException"' in error.value.args[1] and words in error.value.args[1]


class TestOptions:
    def test_a_model_is_chosen_by_every_name(self, api: webuiapi.WebUIApi) -> None:
        model = api.get_sd_models()[0]
        for name in (model["title"], "creatures", "Creatures.safetensors", model["hash"], model["sha256"]):
            assert api.set_options({"sd_model_checkpoint": name}) is None
            assert api.util_get_current_model() == model["title"]
        api.util_set_model("creature")
        assert api.util_get_current_model() == model["title"]

    def test_all_of_them_may_come_back(self, api: webuiapi.WebUIApi) -> None:
        options = api.get_options()
        assert {"sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers", "samples_format"} <= set(options)
        api.set_options(options | {"something": "unknown"})
        assert api.get_options() == options

    def test_an_unknown_model_is_refused(self, server: Server) -> None:
        answer = server.client.post("/sdapi/v1/options", json={"sd_model_checkpoint": "nothing"})
        assert answer.status_code == 404
        assert set(answer.json()) == {"error", "detail", "body", "errors"} and "creatures" in answer.json()["errors"]


class TestProgress:
    def test_idle(self, api: webuiapi.WebUIApi) -> None:
        api.util_wait_for_ready(check_interval=0.1)
        progress = api.get_progress()
        assert progress["progress"] == 0 and progress["state"]["job_count"] == 0
        assert progress["current_image"] is None and len(progress["state"]["job_timestamp"]) == 14

    def test_an_interrupt_ends_the_whole_call(self, server: Server, api: webuiapi.WebUIApi) -> None:
        results: list[Any] = []
        asks = {"prompt": "long", "steps": 200, "n_iter": 3, "width": 256, "height": 256}
        thread = threading.Thread(target=lambda: results.append(api_of(server).txt2img(**asks)))
        thread.start()
        wait_until(lambda: api.get_progress()["state"]["sampling_step"] > 1, "it draws")
        progress = api.get_progress()
        assert 0 < progress["progress"] < 1
        assert (progress["state"]["job_count"], progress["state"]["job_no"]) == (3, 0)
        assert progress["state"]["sampling_steps"] == 200
        assert api.interrupt() == {}
        thread.join(60)
        assert results and results[0].images == []
        assert {job["status"] for job in jobs(server) if job["title"] == "long"} == {"cancelled"}
        assert api.get_progress()["state"]["job_count"] == 0

    def test_a_skip_ends_one_batch(self, server: Server, api: webuiapi.WebUIApi) -> None:
        results: list[Any] = []
        asks = {"prompt": "skipped", "steps": 200, "n_iter": 2, "width": 256, "height": 256}
        thread = threading.Thread(target=lambda: results.append(api_of(server).txt2img(**asks)))
        thread.start()
        wait_until(lambda: api.get_progress()["state"]["sampling_step"] > 1, "it draws")
        assert api.skip() is None
        thread.join(60)
        assert results and len(results[0].images) == 1

    def test_nothing_to_end_is_no_error(self, api: webuiapi.WebUIApi) -> None:
        assert api.interrupt() == {} and api.skip() is None

    def test_hanging_up_cancels(self, server: Server) -> None:
        body = {"prompt": "hung up", "steps": 200, "n_iter": 2}
        with contextlib.closing(HTTPConnection(server.url.removeprefix("http://"), timeout=30)) as line:
            line.request("POST", "/sdapi/v1/txt2img", json.dumps(body), {"content-type": "application/json"})
            wait_until(lambda: [job["title"] for job in jobs(server)].count("hung up") == 2, "both were accepted")
        mine = [job["id"] for job in jobs(server) if job["title"] == "hung up"]
        assert [server.wait_for(job_id)["status"] for job_id in mine] == ["cancelled"] * 2


class TestAccess:
    def test_the_token_is_a_password(self, own_server: Callable[..., Server]) -> None:
        token = "x" * 32
        closed = own_server(ATELIER_TOKEN=token)
        with pytest.raises(RuntimeError) as error:
            api_of(closed).txt2img(prompt="x")
        assert error.value.args[0] == 401
        answer = closed.client.get("/sdapi/v1/options")
        assert answer.headers["www-authenticate"].startswith("Basic") and answer.json()["error"] == "HTTPException"
        api = api_of(closed, username="anybody", password=token)
        assert api.txt2img(prompt="x", width=256, height=256).image.size == (256, 256)

    def test_every_answer_says_how_long_it_took(self, server: Server) -> None:
        assert float(server.client.get("/sdapi/v1/options").headers["x-process-time"]) >= 0
        for body, status in (("{", 400), ("{}", 404), ('{"seed": "x"}', 422)):
            answer = server.client.post("/sdapi/v1/img2img", content=body)
            assert (answer.status_code, float(answer.headers["x-process-time"]) >= 0) == (status, True)

    def test_what_atelier_does_another_way_is_said(self, server: Server) -> None:
        for path in ("create/embedding", "create/hypernetwork", "train/embedding", "train/hypernetwork"):
            answer = server.client.post(f"/sdapi/v1/{path}", json={"name": "mine"})
            assert answer.status_code == 200 and answer.json()["info"].startswith("error: ")
        for path in ("server-kill", "server-restart", "server-stop"):
            answer = server.client.post(f"/sdapi/v1/{path}")
            assert answer.status_code == 403 and "not stopped" in answer.json()["detail"]
        assert server.client.get("/health").status_code == 200
        assert server.client.get("/internal/ping").json() == {}

    def test_options_outlive_the_server(self, own_server: Callable[..., Server]) -> None:
        first = own_server()
        change = {"samples_format": "webp", "CLIP_stop_at_last_layers": 3, "sd_model_checkpoint": "creatures"}
        assert first.client.post("/sdapi/v1/options", json=change).status_code == 200
        first.stop()
        again = own_server().client.get("/sdapi/v1/options").json()
        assert (again["samples_format"], again["CLIP_stop_at_last_layers"]) == ("webp", 3)

    def test_what_no_sampler_takes_is_told(self, server: Server, api: webuiapi.WebUIApi) -> None:
        def told(sampler: str, **more: float) -> str:
            result = api.txt2img(prompt="x", steps=1, width=256, height=256, sampler_name=sampler, **more)
            return result.info["comments"]

        changed = told("Euler a", eta=0.5, s_churn=10)
        assert "eta was ignored" in changed and "s_churn was ignored" in changed and "s_noise" not in changed
        assert told("Euler a", eta=1.0) == told("DDIM", eta=0.0) == told("DDIM", eta=0.5) == ""
        assert jobs(server)[0]["request"]["resolved"]["sampler_settings"] == {"eta": 0.5}
        assert told("Euler", s_churn=3, s_tmin=0, s_tmax=0, s_noise=1) == ""
        assert jobs(server)[0]["request"]["resolved"]["sampler_settings"] == {"s_churn": 3}


class TestImageToImage:
    def test_a_picture_is_changed(self, server: Server, api: webuiapi.WebUIApi) -> None:
        result = api.img2img(images=[drawing((300, 200))], prompt="a fox", seed=3, resize_mode=1, width=256, height=256)
        assert result.image.size == (256, 256) and result.info["seed"] == 3
        assert result.info["denoising_strength"] == 0.75
        assert "init_images" not in result.parameters
        resolved = jobs(server)[0]["request"]["resolved"]
        assert (resolved["task"], resolved["fit"], resolved["strength"]) == ("image_to_image", "crop", 0.75)

    def test_several_pictures_are_changed_once_each(self, api: webuiapi.WebUIApi) -> None:
        pictures = [drawing(), drawing(colour="green")]
        assert len(api.img2img(images=pictures, prompt="x", seed=1, width=256, height=256).images) == 2

    def test_a_mask_says_where(self, server: Server, api: webuiapi.WebUIApi) -> None:
        mask = Image.new("L", (256, 256))
        mask.paste(255, (0, 0, 128, 256))
        result = api.img2img(
            images=[drawing()], mask_image=mask, prompt="x", inpainting_fill=1, inpainting_mask_invert=1, mask_blur=99,
            inpaint_full_res_padding=32, width=256, height=256,
        )  # fmt: skip
        assert result.image.size == (256, 256)
        asked = jobs(server)[0]["request"]
        assert asked["resolved"]["task"] == "inpaint"
        assert (asked["fill"], asked["invert_mask"], asked["mask_blur"], asked["padding"]) == ("original", True, 64, 32)

    def test_without_a_picture(self, api: webuiapi.WebUIApi) -> None:
        with pytest.raises(RuntimeError) as error:
            api.img2img(images=[], prompt="x")
        assert error.value.args[0] == 404 and "Init image not found" in error.value.args[1]

    @pytest.mark.parametrize(
        "image", ["!!", "", "aGVsbG8=", "data:image/png;base64,aGVsbG8=", "http://127.0.0.1/x.png"]
    )
    def test_what_is_no_picture(self, server: Server, image: str) -> None:
        answer = server.client.post("/sdapi/v1/img2img", json={"init_images": [image]})
        assert 400 <= answer.status_code < 500 and answer.json()["error"] == "HTTPException"
        assert "init_images" in answer.json()["errors"]


class TestExtras:
    @pytest.mark.parametrize("upscaler", ["Lanczos", "Nearest"])
    def test_a_picture_is_made_larger(self, api: webuiapi.WebUIApi, upscaler: str) -> None:
        result = api.extra_single_image(drawing((30, 20)), upscaler_1=upscaler, upscaling_resize=3)
        assert result.image.size == (90, 60)
        assert result.image.getpixel((0, 0)) == (255, 0, 0) and result.image.getpixel((89, 59)) == (0, 0, 255)

    def test_by_a_model(self, api: webuiapi.WebUIApi, server: Server, tmp_path: Path) -> None:
        file = write(tmp_path / "2x-Fine.safetensors", safetensors(ESRGAN))
        key = server.client.post("/api/models/import", json={"path": str(file)}).json()["key"]
        try:
            listed = api.get_upscalers()[-1]
            assert (listed["name"], listed["model_name"], listed["scale"]) == (key, "2x-Fine", 2)
            asks = {"upscaler_1": "2x-Fine", "upscaling_resize": 3}
            assert api.extra_single_image(drawing((30, 20)), **asks).image.size == (90, 60)
            with pytest.raises(RuntimeError):
                api.extra_single_image(drawing((1000, 20)), **asks | {"upscaling_resize": 5})
            again = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "2x-fine", "denoising_strength": 0.4}
            result = api.txt2img(prompt="x", width=256, height=256, **again)
            assert jobs(server)[0]["request"]["resolved"]["hires"]["upscaler"] == key
            assert result.info["comments"] == ""
        finally:
            server.client.delete(f"/api/models/{key}")

    def test_who_hangs_up_ends_it(self, own_server: Callable[..., Server], tmp_path: Path) -> None:
        file = write(tmp_path / "2x.safetensors", safetensors(ESRGAN))
        server = own_server(ATELIER_FAKE_STEP_SECONDS="60")
        key = server.client.post("/api/models/import", json={"path": str(file)}).json()["key"]

        def states() -> list[str]:
            return [one["state"] for one in server.client.get("/api/system").json()["workers"] if one["model"] == key]

        buffer = io.BytesIO()
        drawing((8, 8)).save(buffer, "PNG")
        body = {"image": base64.b64encode(buffer.getvalue()).decode(), "upscaler_1": key}
        with pytest.raises(requests.Timeout):
            requests.post(f"{server.url}/sdapi/v1/extra-single-image", json=body, timeout=3)
        wait_until(lambda: states() == ["ready"], "the run to end", 20)

    def test_to_a_size(self, api: webuiapi.WebUIApi) -> None:
        asks = {"upscaler_1": "Lanczos", "resize_mode": 1, "upscaling_resize_w": 60, "upscaling_resize_h": 60}
        assert api.extra_single_image(drawing((30, 20)), **asks).image.size == (60, 60)
        assert api.extra_single_image(drawing((30, 20)), **asks, upscaling_crop=False).image.size == (90, 60)

    def test_several(self, api: webuiapi.WebUIApi) -> None:
        result = api.extra_batch_images([drawing((8, 8)), drawing((9, 9))], upscaler_1="None", gfpgan_visibility=1)
        assert [image.size for image in result.images] == [(8, 8), (9, 9)]
        assert "GFPGAN" in result.info

    def test_what_is_not_there(self, api: webuiapi.WebUIApi) -> None:
        for asks in ({"upscaler_1": "R-ESRGAN 4x+"}, {"upscaler_1": "Lanczos", "upscaling_resize": 9}):
            with pytest.raises(RuntimeError) as error:
                api.extra_single_image(drawing((8, 8)), **asks)
            assert error.value.args[0] == 422

    def test_png_info_reads_every_kind_of_text(self, api: webuiapi.WebUIApi) -> None:
        words = 'a fox, red\nNegative prompt: blue\nSteps: 20, Sampler: Euler a, Size: 64x32, Note: "a, b"'
        texts = PngInfo()
        texts.add_text("parameters", words, zip=True)
        texts.add_itxt("Über", "ß", zip=True)
        buffer = io.BytesIO()
        drawing((8, 8)).save(buffer, "PNG", pnginfo=texts)
        result = api.custom_post("sdapi/v1/png-info", {"image": base64.b64encode(buffer.getvalue()).decode()})
        assert result.info == words and result.json["items"]["Über"] == "ß"
        found = result.parameters
        assert (found["Prompt"], found["Negative prompt"], found["Sampler"]) == ("a fox, red", "blue", "Euler a")
        assert (found["Size-1"], found["Size-2"], found["Note"]) == ("64", "32", "a, b")
        assert api.png_info(drawing((8, 8))).info == ""

    def test_nobody_describes_pictures(self, api: webuiapi.WebUIApi) -> None:
        with pytest.raises(RuntimeError) as error:
            api.interrogate(drawing((8, 8)))
        assert error.value.args[0] == 422 and "describes" in error.value.args[1]

    def test_a_model_that_sees_describes_pictures(self, own_server: Callable[..., Server], tmp_path: Path) -> None:
        own = own_server()
        path = transformers_folder(tmp_path / "eyes", "Qwen3VLForConditionalGeneration", vision_config={})
        entered = own.client.post("/api/models/import", json={"path": str(path), "key": "eyes"})
        assert entered.status_code == 201 and entered.json()["sees"], entered.text
        api = api_of(own)
        assert api.interrogate(drawing((8, 8))).info.startswith("I see 1 picture:")
        with pytest.raises(RuntimeError) as error:
            api.custom_post("sdapi/v1/interrogate", {"image": "aGVsbG8="})
        assert 400 <= error.value.args[0] < 500
