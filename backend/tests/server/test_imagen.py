"""The Spanish API, asked with plain curl: sign in, then a picture as the answer's body."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from serving import Server
from tests.hostile.pictures import png

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed (on Debian: apt install curl)")
PASSWORD = "cuatro palabras sin rima"
TEXT, IMAGE = "/generar-imagen-texto", "/generar-imagen-imagen"


def curl(*arguments: str) -> tuple[int, dict[str, str], bytes]:
    command = [str(CURL), "-sS", "-i", "--max-time", "60", *arguments]
    answer = subprocess.run(command, capture_output=True, timeout=90, check=True).stdout
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return (
        int(first.split()[1]),
        {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)},
        body,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On loopback, open: these routes ask for a token all the same."""
    with Server(tmp_path_factory.mktemp("imagen") / "data") as running:
        made = running.client.post("/api/users", json={"name": "lucía", "password": PASSWORD})
        assert made.status_code == 201
        yield running


@pytest.fixture(scope="module")
def bearer(server: Server) -> tuple[str, str]:
    form = ("--data-urlencode", "username=lucía", "--data-urlencode", f"password={PASSWORD}")
    status, _, body = curl(*form, f"{server.url}/token")
    assert status == 200, body
    answer = json.loads(body)
    assert answer["token_type"] == "bearer"
    return "-H", f"Authorization: Bearer {answer['access_token']}"


def words(texto: Any) -> tuple[str, ...]:
    return "-H", "Content-Type: application/json", "-d", json.dumps({"texto": texto})


class TestText:
    def test_the_picture_is_the_body(self, server: Server, bearer: tuple[str, str]) -> None:
        status, headers, body = curl(*bearer, *words("un dragón rojo"), server.url + TEXT)
        assert status == 200 and headers["content-type"] == "image/png" and body.startswith(b"\x89PNG")
        image = server.client.get("/api/gallery").json()["items"][0]
        assert image["prompt"] == "un dragón rojo" and image["model"] == "creatures"
        assert server.client.get(f"/api/gallery/{image['id']}/file").content == body
        own = server.client.get("/api/gallery", headers={"Authorization": bearer[1].partition(": ")[2]}).json()["items"]
        assert image["id"] in [one["id"] for one in own], "it is hers"

    @pytest.mark.parametrize("texto", ["", "  ", "x" * 2001, None, 7, ["a"]])
    def test_bad_words_are_told_as_fastapi_does(self, server: Server, bearer: tuple[str, str], texto: Any) -> None:
        status, _, body = curl(*bearer, *words(texto), server.url + TEXT)
        (wrong,) = json.loads(body)["detail"]
        assert status == 422 and wrong["loc"] == ["body", "texto"] and wrong["msg"] and wrong["type"]

    def test_a_client_that_hangs_up_cancels(self, own_server: Any) -> None:
        slow = own_server(ATELIER_FAKE_STEP_SECONDS="0.3", ATELIER_TOKEN="0123456789abcdef")
        slow.client.headers["Authorization"] = "Bearer 0123456789abcdef"
        _, _, body = curl("-d", "username=admin&password=0123456789abcdef", f"{slow.url}/token")
        token = json.loads(body)["access_token"]
        command = [str(CURL), "-sS", "-H", f"Authorization: Bearer {token}", *words("un gato"), slow.url + TEXT]
        with subprocess.Popen(command) as asking:
            deadline = time.monotonic() + 60
            while not (jobs := slow.client.get("/api/jobs").json()["items"]) and time.monotonic() < deadline:
                time.sleep(0.05)
            slow.wait_for(jobs[0]["id"], "running")
            asking.kill()
        assert slow.wait_for(jobs[0]["id"])["status"] == "cancelled"


class TestImage:
    @pytest.fixture
    def picture(self, tmp_path: Path) -> Path:
        path = tmp_path / "gato ñ.png"
        path.write_bytes(png(300, 300))
        return path

    @pytest.mark.parametrize(("file", "text"), [("imagen", "texto"), ("image", "text"), ("file", "prompt")])
    def test_a_picture_from_a_picture(
        self, server: Server, bearer: tuple[str, str], picture: Path, file: str, text: str
    ) -> None:
        form = ("-F", f"{file}=@{picture}", "-F", f"{text}=un gato azul")
        status, headers, body = curl(*bearer, *form, server.url + IMAGE)
        assert status == 200 and headers["content-type"] == "image/png" and body.startswith(b"\x89PNG"), body[:300]
        image = server.client.get("/api/gallery").json()["items"][0]
        assert image["prompt"] == "un gato azul" and image["recipe"]["task"] == "image_to_image"

    @pytest.mark.parametrize(
        ("form", "field"),
        [(("-F", "texto=un gato"), "imagen"), (("-F", "imagen=palabras", "-F", "texto=x"), "imagen")],
    )
    def test_without_a_picture(
        self, server: Server, bearer: tuple[str, str], form: tuple[str, ...], field: str
    ) -> None:
        status, _, body = curl(*bearer, *form, server.url + IMAGE)
        assert status == 422 and json.loads(body)["detail"][0]["loc"] == ["body", field]

    def test_without_words(self, server: Server, bearer: tuple[str, str], picture: Path) -> None:
        status, _, body = curl(*bearer, "-F", f"imagen=@{picture}", server.url + IMAGE)
        assert status == 422 and json.loads(body)["detail"][0]["loc"] == ["body", "texto"]

    def test_what_is_no_picture(self, server: Server, bearer: tuple[str, str], tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(b"no picture at all")
        status, _, body = curl(
            *bearer, "-F", f"imagen=@{tmp_path / 'x.png'}", "-F", "texto=un gato", server.url + IMAGE
        )
        assert status in {415, 422} and json.loads(body)["detail"]

    def test_a_form_that_is_none(self, server: Server, bearer: tuple[str, str]) -> None:
        for media in ("multipart/form-data; boundary=x", "multipart/form-data", "application/json"):
            status, _, body = curl(*bearer, "-H", f"Content-Type: {media}", "-d", "{nothing", server.url + IMAGE)
            assert status in {400, 422} and json.loads(body)["detail"], media


class TestToken:
    @pytest.mark.parametrize("path", [TEXT, IMAGE])
    def test_without_a_valid_one(self, server: Server, bearer: tuple[str, str], path: str) -> None:
        right = bearer[1].rpartition(" ")[2]
        secret = (server.data_dir / "secrets" / "sign-in.key").read_bytes()
        claims = jwt.decode(right, secret, algorithms=["HS256"])
        expired = jwt.encode({**claims, "exp": claims["iat"] - 1}, secret, "HS256")
        forged = jwt.encode(claims, None, "none")
        for wrong in ("", "Bearer", "Bearer x.y.z", f"Bearer {expired}", f"Bearer {forged}", "Basic bHVjw61hOng="):
            status, headers, body = curl("-H", f"Authorization: {wrong}", *words("x"), server.url + path)
            assert status == 401 and headers["www-authenticate"] == "Bearer", wrong
            assert json.loads(body) == {"detail": "This needs a valid token."}

    def test_a_wrong_password(self, server: Server) -> None:
        status, headers, body = curl("-d", "username=lucía&password=mala", f"{server.url}/token")
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert json.loads(body) == {"detail": "Name or password is wrong."}

    def test_they_are_among_the_endpoints(self, server: Server) -> None:
        items = server.client.get("/api/system/endpoints").json()["items"]
        assert {item["path"] for item in items if item["dialect"] == "imagen"} == {"/token", TEXT, IMAGE}
