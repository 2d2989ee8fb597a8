"""The doors on the real engine with the model that ships: what the fake engine cannot show."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator

import openai
import pytest
import webuiapi
from client_pictures import drawing, hole, png
from PIL import Image
from serving import Server
from tests.faults import real_models

pytestmark = pytest.mark.skipif(bool(real_models.missing()), reason=str(real_models.missing()))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"ATELIER_FAKE_ENGINE": "0", "ATELIER_THREADS": "1"}
    with Server(tmp_path_factory.mktemp("real") / "data", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(real: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{real.url}/v1", api_key="none", timeout=300, max_retries=0)


@pytest.fixture(scope="module")
def api(real: Server) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=f"{real.url}/sdapi/v1", sampler="Euler", steps=4)


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")


class TestOpenAI:
    def test_a_stream_shows_the_picture_on_its_way(self, client: openai.OpenAI) -> None:
        events = list(
            client.images.generate(
                prompt="a red dragon on a blue background", stream=True, partial_images=2, extra_body={"steps": 12}
            )
        )
        assert events[-1].type == "image_generation.completed"
        assert picture(events[-1].b64_json).size == (256, 256)
        partial = events[:-1]
        assert 1 <= len(partial) <= 2
        assert [event.partial_image_index for event in partial] == list(range(len(partial)))
        assert all(event.type == "image_generation.partial_image" for event in partial)
        assert Image.open(io.BytesIO(base64.b64decode(partial[0].b64_json))).format == "JPEG"

    @pytest.mark.parametrize("form", ["webp", "jpeg"])
    def test_formats(self, client: openai.OpenAI, form: str) -> None:
        asked = {"prompt": "a fox", "output_format": form, "extra_body": {"steps": 2, "seed": 7}}
        answer = client.images.generate(**asked)
        assert answer.output_format == form
        file = base64.b64decode(answer.data[0].b64_json)
        assert Image.open(io.BytesIO(file)).format == form.upper()
        less = client.images.generate(**asked, output_compression=20)
        assert len(base64.b64decode(less.data[0].b64_json)) < len(file) / 1.5

    def test_only_what_the_mask_leaves_open_changes(self, client: openai.OpenAI) -> None:
        before = drawing()
        answer = client.images.edit(image=png(before), mask=png(hole()), prompt="a green frog", extra_body={"steps": 4})
        after = picture(answer.data[0].b64_json)
        corners = [(2, 2), (253, 2), (2, 253), (253, 253)]
        for corner in corners:
            assert max(abs(a - b) for a, b in zip(after.getpixel(corner), before.getpixel(corner), strict=True)) <= 2
        middle = (64, 64, 192, 192)
        assert after.crop(middle).tobytes() != before.crop(middle).tobytes()


class TestWebUIApi:
    def test_the_infotext_of_an_answer_is_the_one_in_the_file(self, api: webuiapi.WebUIApi) -> None:
        result = api.txt2img(prompt="a red dragon", negative_prompt="blue", seed=7, width=256, height=256)
        file = Image.open(io.BytesIO(base64.b64decode(result.json["images"][0])))
        text = file.text["parameters"]
        assert result.info["infotexts"] == [text]
        assert f"Model hash: {result.info['sd_model_hash']}" in text
        sent = api.custom_post("sdapi/v1/png-info", {"image": result.json["images"][0]})
        assert sent.info == text and sent.parameters["Prompt"] == "a red dragon"
        assert json.loads(sent.json["items"]["atelier"])["seed"] == 7

    def test_the_same_seed_gives_the_same_picture(self, api: webuiapi.WebUIApi) -> None:
        asks = {"prompt": "a fox", "seed": 11, "width": 256, "height": 256}
        first, second = (api.txt2img(**asks).json["images"][0] for _ in range(2))
        assert first == second

    def test_a_picture_is_changed_the_more_the_stronger(self, api: webuiapi.WebUIApi) -> None:
        before = drawing()

        def distance(strength: float) -> int:
            asks = {"prompt": "a fox", "seed": 3, "width": 256, "height": 256, "steps": 8}
            after = api.img2img(images=[before], denoising_strength=strength, **asks).image.convert("RGB")
            pairs = zip(after.resize((16, 16)).tobytes(), before.resize((16, 16)).tobytes(), strict=True)
            return sum(abs(a - b) for a, b in pairs)

        assert distance(0.2) < distance(0.9)

    def test_jpeg_carries_its_text_too(self, api: webuiapi.WebUIApi) -> None:
        overriding = {"override_settings": {"samples_format": "jpg"}, "width": 256, "height": 256}
        result = api.txt2img(prompt="a fox, naïve", **overriding)
        assert Image.open(io.BytesIO(base64.b64decode(result.json["images"][0]))).format == "JPEG"
        assert result.info["infotexts"][0].startswith("a fox, naïve\n")
