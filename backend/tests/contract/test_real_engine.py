"""A creature and a picture of the Spanish API on the real engine, with the model that ships: asked with curl."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from client_pictures import drawing, png
from PIL import Image
from serving import Server
from tests.faults import real_models

CURL = shutil.which("curl")
pytestmark = [
    pytest.mark.skipif(real_models.missing() is not None, reason=str(real_models.missing())),
    pytest.mark.skipif(CURL is None, reason="curl is not installed (on Debian: apt install curl)"),
]
TOKEN = "0123456789abcdef0123456789abcdef"


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


def test_creatures_and_the_spanish_api(tmp_path: Path) -> None:
    settings = {
        "ATELIER_FAKE_ENGINE": "0", "ATELIER_THREADS": "1", "ATELIER_TOKEN": TOKEN, "POKEMON_BEARER_TOKEN": "pikachu",
        "POKEMON_GENERATION_BACKEND": "sdxl", "SDXL_TURBO_MODEL": "creatures", "SDXL_STEPS": "8",
    }  # fmt: skip
    with Server(tmp_path / "data", **settings) as server:
        prompt = "?prompt=a%20red%20slime%20on%20a%20white%20background"
        answer = json.loads(curl("-H", "Authorization: Bearer pikachu", f"{server.url}/v1/generate{prompt}"))
        (tmp_path / "slime.png").write_bytes(base64.b64decode(answer["imageBase64"]))
        assert redness(tmp_path / "slime.png") > 40

        form = ("-d", "username=admin", "-d", f"password={TOKEN}")
        bearer = ("-H", "Authorization: Bearer " + json.loads(curl(*form, f"{server.url}/token"))["access_token"])
        words = ("-H", "Content-Type: application/json", "-d", json.dumps({"texto": "a red dragon"}))
        (tmp_path / "dragon.png").write_bytes(curl(*bearer, *words, f"{server.url}/generar-imagen-texto"))
        assert redness(tmp_path / "dragon.png") > 40

        (tmp_path / "from.png").write_bytes(png(drawing()))
        parts = ("-F", f"imagen=@{tmp_path / 'from.png'}", "-F", "texto=a red slime")
        (tmp_path / "to.png").write_bytes(curl(*bearer, *parts, f"{server.url}/generar-imagen-imagen"))
        with Image.open(tmp_path / "to.png") as made:
            assert made.size == (256, 256)
        assert (tmp_path / "to.png").read_bytes() != (tmp_path / "from.png").read_bytes()
        log = server.log_path.read_text()
        assert "sdxl.ready" in log and "sdxl.fallback" not in log
