"""The calls that programs make first, header by header as they send them: Open WebUI, SillyTavern, Krita's plugin."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import time
from typing import Any

import pytest
import requests
from client_pictures import drawing, hole, jobs, png, wait_until
from PIL import Image
from serving import Server

NOBODY = "Basic " + base64.b64encode(b"").decode()


def size_of(text: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(text))).size


class TestOpenWebUIAsA1111:
    """It sends `authorization` always, empty where nobody set a password."""

    HEADERS = {"authorization": "", "user-agent": "python-requests/2.34.0", "accept": "*/*", "connection": "keep-alive"}

    def test_it_verifies_lists_chooses_and_draws(self, server: Server) -> None:
        call = server.client
        options = call.get("/sdapi/v1/options", headers=self.HEADERS)
        assert options.status_code == 200
        models = call.get("/sdapi/v1/sd-models", headers=self.HEADERS).json()
        choices = [{"id": model["title"], "name": model["model_name"]} for model in models]
        assert choices[0]["name"] == "creatures"
        back = options.json() | {"sd_model_checkpoint": choices[0]["id"]}
        changed = call.post("/sdapi/v1/options", json=back, headers=self.HEADERS)
        assert (changed.status_code, changed.json()) == (200, None)
        assert call.get("/sdapi/v1/options", headers=self.HEADERS).json()["sd_model_checkpoint"] == choices[0]["id"]
        asks = {"prompt": "a fox", "batch_size": 2, "width": 512, "height": 512, "steps": 3, "negative_prompt": "blue"}
        answer = call.post("/sdapi/v1/txt2img", json=asks, headers=self.HEADERS).json()
        assert [size_of(one) for one in answer["images"]] == [(256, 256)] * 2
        assert json.loads(answer["info"])["steps"] == 3


class TestOpenWebUIAsOpenAI:
    HEADERS = {"authorization": "Bearer ", "user-agent": "python-requests/2.34.0", "accept": "*/*"}

    def raw(self, server: Server, head: bytes, body: bytes) -> bytes:
        """A request whose bytes no client library mends."""
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as wire:
            wire.sendall(head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            parts = []
            while part := wire.recv(65536):
                parts.append(part)
        return b"".join(parts)

    @pytest.mark.parametrize("authorization", ["Bearer ", "", "Bearer"])
    def test_it_draws_with_whatever_key(self, server: Server, authorization: str) -> None:
        body = json.dumps(
            {"model": "creatures", "prompt": "a fox", "n": 1, "size": "256x256", "response_format": "b64_json"}
        ).encode()
        host = server.url.removeprefix("http://")
        head = (
            f"POST /v1/images/generations HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n"
            "Content-Type: application/json\r\nConnection: close"
        ).encode()
        answer = self.raw(server, head, body)
        assert answer.startswith(b"HTTP/1.1 200")
        assert size_of(json.loads(answer.partition(b"\r\n\r\n")[2])["data"][0]["b64_json"]) == (256, 256)

    @pytest.mark.parametrize("field", ["image", "image[]"])
    def test_it_edits_by_a_form(self, server: Server, field: str) -> None:
        form = {"model": "creatures", "prompt": "a fox", "n": "1", "size": "256x256", "response_format": "url"}
        files = [(field, ("image.png", png(drawing()), "image/png"))]
        answer = server.client.post("/v1/images/edits", data=form, files=files)
        assert answer.status_code == 200, answer.text
        # It fetches the address with the header that it called with.
        picture = server.client.get(answer.json()["data"][0]["url"], headers={"authorization": ""})
        assert picture.headers["content-type"] == "image/png"


class TestSillyTavern:
    """It sends `Basic ` and nothing, its own settings with every request, and an interrupt when its page closes."""

    HEADERS = {"Authorization": NOBODY, "Content-Type": "application/json", "User-Agent": "node-fetch", "Accept": "*/*"}

    @pytest.mark.parametrize(
        "path",
        ["options", "sd-models", "samplers", "schedulers", "upscalers", "latent-upscale-modes", "sd-vae", "sd-modules"],
    )
    def test_it_asks_what_there_is(self, server: Server, path: str) -> None:
        answer = requests.get(f"{server.url}/sdapi/v1/{path}", headers=self.HEADERS)
        assert answer.status_code == 200 and answer.json() is not None

    def test_it_sets_a_model_and_waits_until_it_is_idle(self, server: Server) -> None:
        asks = {"sd_model_checkpoint": "creatures"}
        answer = requests.post(f"{server.url}/sdapi/v1/options", json=asks, headers=self.HEADERS)
        assert (answer.status_code, answer.json()) == (200, None)
        state = requests.get(f"{server.url}/sdapi/v1/progress", headers=self.HEADERS).json()
        assert state["progress"] == 0 and state["state"]["job_count"] == 0

    def test_it_draws_with_fields_that_nobody_knows(self, server: Server) -> None:
        asks = {
            "url": server.url, "auth": "", "prompt": "a fox", "negative_prompt": "blue", "sampler_name": "Euler a",
            "scheduler": "Automatic", "steps": 2, "cfg_scale": 7, "width": 512, "height": 512, "restore_faces": False,
            "enable_hr": False, "hr_upscaler": "Latent", "hr_scale": 2, "hr_additional_modules": [], "seed": None,
            "denoising_strength": 0.7, "hr_second_pass_steps": 0, "override_settings": {"CLIP_stop_at_last_layers": 1},
            "override_settings_restore_afterwards": True, "clip_skip": 1, "save_images": True, "send_images": True,
            "do_not_save_grid": False, "do_not_save_samples": False,
        }  # fmt: skip
        answer = requests.post(f"{server.url}/sdapi/v1/txt2img", json=asks, headers=self.HEADERS)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["images"]) == 1

    def test_closing_the_page_interrupts(self, server: Server) -> None:
        asks = {"prompt": "closed page", "steps": 200}
        answers: list[Any] = []

        def draw() -> None:
            answers.append(requests.post(f"{server.url}/sdapi/v1/txt2img", json=asks, headers=self.HEADERS))

        thread = threading.Thread(target=draw)
        thread.start()
        wait_until(lambda: jobs(server, status="running"), "it draws")
        answer = requests.post(f"{server.url}/sdapi/v1/interrupt", headers={"Authorization": NOBODY})
        assert (answer.status_code, answer.json()) == (200, {})
        thread.join(60)
        assert answers and answers[0].json()["images"] == []


class TestKritaLike:
    """A plugin that polls `/progress` while a request of its own hangs."""

    def test_it_sees_how_far_it_is(self, server: Server) -> None:
        picture, mask = (base64.b64encode(png(image)).decode() for image in (drawing(), hole().getchannel("A")))
        asks = {
            "init_images": [f"data:image/png;base64,{picture}"], "mask": mask, "prompt": "polled", "steps": 100,
            "width": 256, "height": 256, "inpainting_fill": 1, "inpaint_full_res": False, "include_init_images": True,
            "sampler_name": "DPM++ 2M", "scheduler": "Karras", "batch_size": 1, "n_iter": 2, "mask_blur": 0,
        }  # fmt: skip
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(server.client.post("/sdapi/v1/img2img", json=asks, timeout=120))
        )
        thread.start()
        seen = []
        while thread.is_alive():
            params = {"skip_current_image": "true"}
            seen.append(server.client.get("/sdapi/v1/progress", params=params).json())
            time.sleep(0.1)
        assert answers[0].status_code == 200, answers[0].text
        assert len(answers[0].json()["images"]) == 2
        under_way = [one for one in seen if one["state"]["job_count"]]
        assert under_way and all(0 < one["progress"] <= 1 for one in under_way)
        assert {one["state"]["job_count"] for one in under_way} == {2}
        fractions = [one["progress"] for one in under_way]
        assert fractions == sorted(fractions)
