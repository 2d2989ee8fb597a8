"""What only the real image engine can show, with the model that ships: the notebook about pictures, the libraries of
clients, and with curl a creature and the Spanish API.

On one server, since the engine's libraries take longer to load than most of this."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
import webuiapi
from client_pictures import drawing, hole, png
from PIL import Image
from serving import Server
from tests.contract.notebooks import executed
from tests.faults import real_models

CURL = shutil.which("curl")
PASSWORD = "four words without rhyme"
PIKACHU = "Bearer pikachu"

WHY_NOT = real_models.missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "ATELIER_FAKE_ENGINE": "0", "ATELIER_THREADS": "1", "POKEMON_BEARER_TOKEN": "pikachu",
        "POKEMON_GENERATION_BACKEND": "sdxl", "SDXL_TURBO_MODEL": "creatures", "SDXL_STEPS": "8",
    }  # fmt: skip
    with Server(tmp_path_factory.mktemp("real") / "data", **settings) as running:
        yield running


def test_the_notebook_about_pictures(studio: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_STEPS", "4")  # of the 20 that are usual: 26 pictures are drawn
    notebook = executed("images.ipynb", studio, tmp_path, monkeypatch, seconds=300)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 6
    first = Image.open(io.BytesIO(base64.b64decode(pictures[0])))
    assert first.size == (256, 256) and len(first.convert("RGB").getcolors(256 * 256) or []) > 1000
    said = "".join(str(output.get("data", {}).get("text/plain", output.get("text", ""))) for output in outputs)
    assert "creatures" in said and "True" in said and "Steps: 4" in said


# ── the doors, with the libraries of their clients ──


@pytest.fixture(scope="module")
def client(studio: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", timeout=300, max_retries=0)


@pytest.fixture(scope="module")
def api(studio: Server) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=f"{studio.url}/sdapi/v1", sampler="Euler", steps=4)


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
        answer = client.images.generate(prompt="a fox", output_format=form, extra_body={"steps": 2})
        assert answer.output_format == form
        assert Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json))).format == form.upper()

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


# ── asked with curl ──


def curl(*arguments: str) -> bytes:
    command = [str(CURL), "-sS", "--fail-with-body", "--max-time", "240", *arguments]
    return subprocess.run(command, capture_output=True, timeout=300, check=True).stdout


def redness(path: Path) -> float:
    """How much redder than green and blue the middle is, 0 to 255."""
    with Image.open(path) as image:
        assert image.size == (256, 256)
        middle = image.convert("RGB").crop((64, 64, 192, 192)).resize((1, 1), Image.Resampling.BOX)
        red, green, blue = middle.getpixel((0, 0))
        return red - max(green, blue)


@pytest.mark.skipif(CURL is None, reason="curl is not installed (on Debian: apt install curl)")
def test_creatures_and_the_spanish_api(studio: Server, tmp_path: Path) -> None:
    prompt = "?prompt=a%20red%20slime%20on%20a%20white%20background"
    answer = json.loads(curl("-H", f"Authorization: {PIKACHU}", f"{studio.url}/v1/generate{prompt}"))
    (tmp_path / "slime.png").write_bytes(base64.b64decode(answer["imageBase64"]))
    assert redness(tmp_path / "slime.png") > 40

    assert studio.client.post("/api/users", json={"name": "ash", "password": PASSWORD}).status_code == 201
    form = ("-d", "username=ash", "--data-urlencode", f"password={PASSWORD}")
    bearer = ("-H", "Authorization: Bearer " + json.loads(curl(*form, f"{studio.url}/token"))["access_token"])
    words = ("-H", "Content-Type: application/json", "-d", json.dumps({"texto": "a red dragon"}))
    (tmp_path / "dragon.png").write_bytes(curl(*bearer, *words, f"{studio.url}/generar-imagen-texto"))
    assert redness(tmp_path / "dragon.png") > 40

    (tmp_path / "from.png").write_bytes(png(drawing()))
    parts = ("-F", f"imagen=@{tmp_path / 'from.png'}", "-F", "texto=a red slime")
    (tmp_path / "to.png").write_bytes(curl(*bearer, *parts, f"{studio.url}/generar-imagen-imagen"))
    with Image.open(tmp_path / "to.png") as made:
        assert made.size == (256, 256)
    assert (tmp_path / "to.png").read_bytes() != (tmp_path / "from.png").read_bytes()
    log = studio.log_path.read_text()
    assert "sdxl.ready" in log and "sdxl.fallback" not in log
