"""`/v1` with OpenAI's own client."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from client_pictures import drawing, hole, jobs, png
from PIL import Image
from serving import Server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", timeout=60) as one:
        yield one


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


class TestModels:
    def test_they_are_listed(self, client: openai.OpenAI) -> None:
        models = list(client.models.list())
        assert "creatures" in {model.id for model in models}
        assert models[0].object == "model" and models[0].created > 1_700_000_000

    def test_one_is_retrieved(self, client: openai.OpenAI) -> None:
        assert client.models.retrieve("creatures").owned_by == "atelier"

    @pytest.mark.parametrize("name", ["gpt-image-2", "somebody/else", "../creatures"])
    def test_an_unknown_one_is_not_found(self, client: openai.OpenAI, name: str) -> None:
        with pytest.raises(openai.NotFoundError) as error:
            client.models.retrieve(name)
        assert error.value.request_id


class TestGenerate:
    def test_base64_is_the_picture_of_the_gallery(self, server: Server, client: openai.OpenAI) -> None:
        answer = client.images.generate(prompt="a red dragon", model="creatures", size="320x256", n=2)
        assert (answer.size, answer.output_format, answer.background) == ("320x256", "png", "opaque")
        assert [picture(one.b64_json).size for one in answer.data] == [(320, 256)] * 2
        newest = server.client.get("/api/gallery", params={"limit": 2}).json()["items"]
        files = [server.client.get(image["url"]).content for image in reversed(newest)]
        assert [base64.b64decode(one.b64_json) for one in answer.data] == files
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
        assert answer.usage.output_tokens == 2 * 320 * 256 // 256

    def test_a_url_leads_to_the_picture(self, client: openai.OpenAI) -> None:
        answer = client.images.generate(prompt="a fox", response_format="url")
        file = httpx2.get(answer.data[0].url)
        assert file.status_code == 200 and file.headers["content-type"] == "image/png"
        assert answer.data[0].b64_json is None

    def test_ten_pictures_are_two_jobs_with_seeds_that_go_on(self, server: Server, client: openai.OpenAI) -> None:
        before = len(jobs(server, limit=200))
        answer = client.images.generate(prompt="ten", n=10, extra_body={"seed": 2**32 - 4, "steps": 1})
        assert [one.seed for one in answer.data] == [*range(2**32 - 4, 2**32), *range(6)]
        assert len(jobs(server, limit=200)) == before + 2

    def test_what_only_atelier_has(self, server: Server, client: openai.OpenAI) -> None:
        extra = {"seed": 7, "steps": 3, "negative_prompt": "blue", "guidance_scale": 2.5, "scheduler": "euler"}
        client.images.generate(prompt="extras", extra_body=extra)
        resolved = jobs(server)[0]["request"]["resolved"]
        assert {name: resolved[name] for name in extra if name != "seed"} == {
            name: value for name, value in extra.items() if name != "seed"
        }
        assert resolved["seeds"] == [7]

    @pytest.mark.parametrize(("quality", "steps"), [("low", 10), ("auto", 20), ("hd", 30), ("max", 60)])
    def test_quality_is_steps(self, server: Server, client: openai.OpenAI, quality: Any, steps: int) -> None:
        answer = client.images.generate(prompt="quality", quality=quality, size="auto", style="vivid", user="me")
        assert answer.quality == quality and answer.size == "256x256"
        assert jobs(server)[0]["request"]["resolved"]["steps"] == steps

    def test_a_stream_ends_with_each_picture(self, client: openai.OpenAI) -> None:
        events = list(client.images.generate(prompt="stream", n=2, stream=True, safety_identifier="me"))
        assert [event.type for event in events] == ["image_generation.completed"] * 2
        assert picture(events[0].b64_json).size == (256, 256)
        assert events[0].usage.output_tokens == 256 and events[0].safety_identifier == "me"

    def test_the_wire_names_events_twice(self, server: Server) -> None:
        body = {"prompt": "wire", "stream": True}
        answer = server.client.post("/v1/images/generations", json=body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.startswith('event: image_generation.completed\ndata: {"type":"image_generation.completed"')


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": " "}, "prompt"),
    ({"n": 11}, "n"),
    ({"n": 0}, "n"),
    ({"size": "big"}, "size"),
    ({"size": "0x256"}, "size"),
    ({"size": "257x256"}, "size"),
    ({"size": "256x2048"}, "size"),
    ({"size": "99999x99999"}, "size"),
    ({"quality": "best"}, "quality"),
    ({"output_format": "gif"}, "output_format"),
    ({"output_format": "svg"}, "output_format"),
    ({"output_compression": 101}, "output_compression"),
    ({"background": "transparent"}, "background"),
    ({"partial_images": 4}, "partial_images"),
    ({"response_format": "bytes"}, "response_format"),
    ({"frame_count": 4}, "frame_count"),
    ({"svg": {"model": "x"}}, "svg"),
    ({"scheduler": "nonsense"}, "scheduler"),
    ({"seed": -1}, "seed"),
    ({"guidance_scle": 3}, "guidance_scle"),
]


class TestErrors:
    @pytest.mark.parametrize(("change", "param"), WRONG, ids=[str(change)[:40] for change, _ in WRONG])
    def test_a_wrong_request_names_the_field(self, client: openai.OpenAI, change: dict[str, Any], param: str) -> None:
        with pytest.raises(openai.BadRequestError) as error:
            client.images.generate(**{"prompt": "x"} | {"extra_body": change})
        body = error.value.body
        assert error.value.param == param
        assert isinstance(body, dict) and body["type"] == "invalid_request_error"
        assert error.value.request_id == error.value.response.headers["x-request-id"]

    def test_an_unknown_model_says_which_exist(self, client: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError, match="creatures") as error:
            client.images.generate(prompt="x", model="gpt-image-2")
        assert error.value.code == "model_not_found" and error.value.param == "model"

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
    def test_broken_json(self, server: Server, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        answer = server.client.post("/v1/images/generations", content=body, headers=headers)
        assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"

    def test_a_failure_is_not_tried_again(self, server: Server, client: openai.OpenAI) -> None:
        with pytest.raises(openai.InternalServerError) as error:
            client.images.generate(prompt="x fake:fail:boom")
        assert error.value.response.headers["x-should-retry"] == "false"
        assert error.value.code == "boom"
        assert len([job for job in jobs(server) if job["title"] == "x fake:fail:boom"]) == 1

    def test_a_failure_ends_a_stream(self, client: openai.OpenAI) -> None:
        with pytest.raises(openai.APIError, match="the script says so"):
            list(client.images.generate(prompt="x fake:fail:boom", stream=True))

    def test_a_full_line_is_a_rate_limit(self, own_server: Callable[..., Server]) -> None:
        full = own_server(ATELIER_QUEUE_LIMIT="1", ATELIER_FAKE_STEP_SECONDS="0.2")
        waiting = [full.generate(steps=100), full.generate()]
        with openai.OpenAI(base_url=f"{full.url}/v1", api_key="x", max_retries=0) as client:
            with pytest.raises(openai.RateLimitError) as error:
                client.images.generate(prompt="one too many")
        assert int(error.value.response.headers["retry-after"]) > 0
        for job_id in waiting:
            full.client.delete(f"/api/jobs/{job_id}")


class TestHangingUp:
    @pytest.mark.parametrize("stream", [False, True])
    def test_it_cancels_the_jobs(self, server: Server, stream: bool) -> None:
        prompt = f"nobody waits {stream}"
        body = {"prompt": prompt, "n": 10, "steps": 200, "stream": stream, "partial_images": 1}
        with pytest.raises(httpx2.TimeoutException):
            httpx2.post(f"{server.url}/v1/images/generations", json=body, timeout=1.5)
        mine = [job["id"] for job in jobs(server) if job["title"] == prompt]
        assert len(mine) == 2
        for job_id in mine:
            assert server.wait_for(job_id)["status"] == "cancelled"


class TestAccess:
    def test_keys_guard_it_and_what_it_links_to(self, own_server: Callable[..., Server]) -> None:
        closed = own_server(OPENAI_API_KEYS="key-one,key-two")

        def using(key: str) -> openai.OpenAI:
            return openai.OpenAI(base_url=f"{closed.url}/v1", api_key=key, max_retries=0)

        for call in (lambda c: c.models.list(), lambda c: c.images.generate(prompt="x")):
            with pytest.raises(openai.AuthenticationError), using("wrong") as client:
                call(client)
        with using("key-one") as client:
            url = client.images.generate(prompt="mine", response_format="url").data[0].url
        assert [
            httpx2.get(url, headers={"authorization": f"Bearer {key}"}).status_code
            for key in ("key-one", "key-two", "wrong")
        ] == [200, 404, 401]
        assert httpx2.get(url).status_code == 401

    @pytest.mark.parametrize("value", ["", "Bearer x", "Basic", "Basic Og=="])
    def test_an_open_door_takes_every_header(self, server: Server, value: str) -> None:
        assert server.client.get("/v1/models", headers={"authorization": value}).status_code == 200


class TestEdit:
    def test_a_picture_keeps_its_size(self, server: Server, client: openai.OpenAI) -> None:
        answer = client.images.edit(image=png(drawing((320, 256))), prompt="a fox", input_fidelity="high")
        assert answer.size == "320x256" and answer.usage.input_tokens_details.image_tokens == 320
        resolved = jobs(server)[0]["request"]["resolved"]
        assert (resolved["task"], resolved["strength"]) == ("image_to_image", 0.4)

    def test_what_is_transparent_in_the_mask_is_painted(self, server: Server, client: openai.OpenAI) -> None:
        answer = client.images.edit(
            image=[png(drawing())], mask=png(hole()), prompt="a fox", n=2, size="256x256", extra_body={"seed": 5}
        )
        assert [one.seed for one in answer.data] == [5, 6]
        asked = jobs(server)[0]["request"]
        assert (asked["resolved"]["task"], asked["strength"]) == ("inpaint", 1.0)
        mask = Image.open(io.BytesIO(server.client.get(f"/api/inputs/{asked['mask']}/file").content))
        assert (mask.getpixel((128, 128)), mask.getpixel((0, 0))) == (255, 0)

    def test_json_names_its_pictures(self, server: Server, client: openai.OpenAI) -> None:
        written = "data:image/png;base64," + base64.b64encode(png(drawing((320, 256)))).decode()
        file = client.files.create(file=("mask.png", png(hole((320, 256)))), purpose="vision")
        asked = {"images": [{"image_url": written}], "mask": {"file_id": file.id}, "prompt": "a fox", "seed": 5, "n": 1}
        answer = server.client.post("/v1/images/edits", json=asked).json()
        assert (answer["size"], answer["data"][0]["seed"]) == ("320x256", 5)
        resolved = jobs(server)[0]["request"]["resolved"]
        assert (resolved["task"], resolved["prompt"]) == ("inpaint", "a fox")
        mask = Image.open(io.BytesIO(server.client.get(f"/api/inputs/{resolved['mask']}/file").content))
        assert (mask.getpixel((160, 128)), mask.getpixel((0, 0))) == (255, 0)

    def test_a_form_may_hold_them_as_text(self, server: Server) -> None:
        """More than a form's field may usually have: a megabyte."""
        noise = Image.effect_noise((1300, 1300), 100)
        written = "data:image/png;base64," + base64.b64encode(png(noise)).decode()
        assert len(written) > 1024**2
        answer = server.client.post("/v1/images/variations", data={"image": written, "size": "256x256"})
        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"images": []}, "image"),
            ({"images": [{"image_url": "data:,"}, {"image_url": "data:,"}]}, "image"),
            ({"images": [{}]}, "image"),
            ({"images": [{"file_id": "file-0123456789abcdef0123"}]}, "image"),
            ({"images": [{"image_url": "http://127.0.0.1/x.png"}]}, "image"),
            ({"nonsense": {"deep": 1}}, "nonsense"),
            ({"seed": [1]}, "seed"),
        ],
    )
    def test_what_is_wrong_with_json(self, server: Server, change: dict[str, Any], param: str) -> None:
        written = base64.b64encode(png(drawing((64, 64)))).decode()
        body = {"images": [{"image_url": written}], "prompt": "x", **change}
        answer = server.client.post("/v1/images/edits", json=body)
        assert 400 <= answer.status_code < 500 and answer.json()["error"]["param"] == param, answer.text

    @pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"'])
    def test_broken_json_is_no_edit(self, server: Server, body: bytes) -> None:
        answer = server.client.post("/v1/images/edits", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422} and answer.json()["error"]["message"]

    def test_it_streams(self, client: openai.OpenAI) -> None:
        events = list(client.images.edit(image=png(drawing()), prompt="a fox", stream=True, partial_images=2))
        assert [event.type for event in events] == ["image_edit.completed"]

    def test_variations_have_no_words(self, server: Server, client: openai.OpenAI) -> None:
        answer = client.images.create_variation(image=png(drawing()), n=2, response_format="b64_json")
        assert len(answer.data) == 2
        assert jobs(server)[0]["request"]["resolved"]["prompt"] == ""

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"image": b"no picture"}, "image"),
            ({"image": [png(drawing((8, 8)))] * 2}, "image"),
            ({"mask": b"no picture"}, "mask"),
            ({"prompt": ""}, "prompt"),
            ({"size": "1x1"}, "size"),
            ({"size": "large"}, "size"),
            ({"mask": png(drawing((64, 64)))}, "mask"),
            ({"extra_body": {"nonsense": "1"}}, "nonsense"),
        ],
        ids=["image", "two images", "mask", "prompt", "size", "no size", "opaque mask", "unknown"],
    )
    def test_a_wrong_request_names_the_field(self, client: openai.OpenAI, change: dict[str, Any], param: str) -> None:
        with pytest.raises(openai.APIStatusError) as error:
            client.images.edit(**({"image": png(drawing((64, 64))), "prompt": "x"} | change))
        assert error.value.param == param and error.value.status_code < 500
        assert "^(" not in error.value.message, "an expression is nothing to read"
