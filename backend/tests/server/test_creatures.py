"""The creature service as its clients know it, asked with plain curl."""

from __future__ import annotations

import base64
import json
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chat_models import add_chat_model
from serving import BACKEND, Server
from tests.creatures.chat_server import ChatServer
from websockets.sync.client import connect

POKEMON = BACKEND.parent / "pokemon"
CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed (on Debian: apt install curl)")


def curl(url: str, *arguments: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers (in small letters) and body of what curl got."""
    command = [str(CURL), "-sS", "-i", "--max-time", "60", *arguments, url]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body) if body else None


def records(server: Server) -> list[dict[str, Any]]:
    """The log's JSON lines."""
    return [json.loads(line) for line in server.log_path.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def open_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("creatures") / "data"
    with Server(data, LOG_JSON="1", POKEMON_RATE_LIMIT_PER_MIN="0", LOG_SAMPLE_IMAGE_BYTES="4") as running:
        yield running


class TestFiles:
    def test_a_creature(self, open_one: Server) -> None:
        status, headers, body = curl(f"{open_one.url}/v1/generate")
        assert status == 200 and headers["content-type"] == "application/json"
        assert list(body) == ["imageBase64", "metadata", "generatedAt"]
        assert base64.b64decode(body["imageBase64"], validate=True) in {path.read_bytes() for path in POKEMON.iterdir()}
        assert list(body["metadata"]) == ["id", "name", "rarity"]
        assert re.fullmatch(r"pkm_[A-Z0-9]{12}", body["metadata"]["id"])
        assert body["metadata"]["name"].isalpha() and body["metadata"]["name"].lower() != "name"
        assert body["metadata"]["rarity"] in {"F", "E", "D", "C", "B", "A", "S", "S+"}
        at = datetime.strptime(body["generatedAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - at).total_seconds()) < 120

    def test_whatever_key_is_sent_an_open_service_answers(self, open_one: Server) -> None:
        for key in ("Authorization: Bearer anything", "Authorization;"):
            assert curl(f"{open_one.url}/v1/generate", "-H", key)[0] == 200

    def test_its_settings_are_told_and_no_key(self, open_one: Server) -> None:
        told = open_one.client.get("/api/creatures/settings").json()
        assert (told["backend"], told["names"], told["pictures"]) == ("files", "local", 6)
        assert sum(told["weights"].values()) == 1000 and "key" not in str(told)

    def test_health_has_its_keys(self, open_one: Server) -> None:
        status, _, body = curl(f"{open_one.url}/health")
        assert status == 200 and body["status"] == "ok" and body["backend"] == "files"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["time"])

    def test_the_log_has_its_events(self, open_one: Server) -> None:
        curl(f"{open_one.url}/v1/generate")
        lines = records(open_one)
        assert all(list(line) == ["ts", "level", "logger", "message", "extra"] for line in lines)
        events = {line["message"]: line["extra"] for line in lines if line["logger"] != "atelier"}
        assert {"startup.config", "http.request", "http.response", "generate.success"} <= set(events)
        assert events["startup.config"]["backend"] == "files"
        assert events["generate.success"]["sample"] == "89504e47"
        assert "image_b64" not in events["generate.success"]

    def test_it_is_among_the_endpoints(self, open_one: Server) -> None:
        items = open_one.client.get("/api/system/endpoints").json()["items"]
        (one,) = [item for item in items if item["path"] == "/v1/generate"]
        assert one["dialect"] == "creatures" and one["url"] == f"{open_one.url}/v1/generate"


class TestAccess:
    def test_its_own_token_and_limit(self, own_server: Any) -> None:
        server = own_server(POKEMON_BEARER_TOKEN="pikachu", POKEMON_RATE_LIMIT_PER_MIN="2")
        url, right = f"{server.url}/v1/generate", ("-H", "Authorization: Bearer pikachu")
        for wrong in ((), ("-H", "Authorization: Bearer x"), ("-H", "Authorization: Basic cGlrYWNodTpwaWthY2h1")):
            status, headers, body = curl(url, *wrong)
            assert status == 401 and body["code"] == "UNAUTHORIZED" and body["message"]
            assert headers["www-authenticate"] == "Bearer"
        assert [curl(url, *right)[0] for _ in range(3)] == [200, 200, 429]
        status, headers, body = curl(url, *right)
        assert (status, body["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(headers["retry-after"]) <= 61
        assert curl(f"{server.url}/health")[0] == 200
        assert curl(f"{server.url}/api/jobs")[0] == 200, "its token closes its own door only"

    def test_without_any_picture(self, own_server: Any, tmp_path: Path) -> None:
        server = own_server(POKEMON_IMAGES_DIR=str(tmp_path / "none"))
        status, _, body = curl(f"{server.url}/v1/generate")
        assert (status, body["code"]) == (500, "GENERATION_FAILED")
        assert str(tmp_path) not in body["message"]


class TestMade:
    """The backend `sdxl`, on the image trip of the product (with the fake engine)."""

    def test_a_made_creature_is_in_the_gallery(self, own_server: Any) -> None:
        chat = ChatServer()
        server = own_server(
            LOG_JSON="1", POKEMON_GENERATION_BACKEND="sdxl", SDXL_TURBO_MODEL="creatures", SDXL_STEPS="3",
            POKEMON_NAME_BACKEND="remote", OPENAI_BASE_URL=chat.url, OPENAI_MODEL="tiny", LOG_IMAGE_B64="1",
        )  # fmt: skip
        assert curl(f"{server.url}/health")[2]["backend"] == "sdxl"
        status, _, body = curl(f"{server.url}/v1/generate")
        assert status == 200 and body["metadata"]["name"] == "Flamara"
        (image,) = server.client.get("/api/gallery").json()["items"]
        file = server.client.get(f"/api/gallery/{image['id']}/file").content
        assert file == base64.b64decode(body["imageBase64"])
        assert image["recipe"]["steps"] == 3 and image["model"] == "creatures"
        assert (image["width"], image["height"]) == (256, 256), "512 is more than this model makes: its own size"
        assert image["prompt"] in chat.asked[0]["messages"][1]["content"]
        curl(f"{server.url}/v1/generate?prompt=a%20blue%20ghost")
        assert server.client.get("/api/gallery").json()["items"][0]["prompt"] == "a blue ghost"
        events = [line["message"] for line in records(server)]
        for event in ("sdxl.warmup", "sdxl.ready", "sdxl.generated", "remote_name.request", "extract_name.json"):
            assert events.count(event) == (2 if event in {"remote_name.request", "extract_name.json"} else 1), event
        (chosen,) = [line["extra"] for line in records(server) if line["message"] == "attention.chosen"]
        assert chosen["backend"] == "sdpa" and "for GPUs" in chosen["without"]["flash"]
        shown = [line["extra"].get("image_b64") for line in records(server) if line["message"] == "generate.success"]
        assert shown[0] == body["imageBase64"]
        chat.close()

    def test_what_cannot_be_made_comes_from_the_folder(self, own_server: Any) -> None:
        server = own_server(LOG_JSON="1", POKEMON_GENERATION_BACKEND="sdxl", POKEMON_NAME_BACKEND="remote")
        status, _, body = curl(f"{server.url}/v1/generate")
        assert status == 200
        assert base64.b64decode(body["imageBase64"]) in {path.read_bytes() for path in POKEMON.iterdir()}
        (fallback,) = [line for line in records(server) if line["message"] == "sdxl.fallback"]
        assert fallback["level"] == "warning" and "stabilityai/sdxl-turbo" in fallback["extra"]["reason"]

    def test_names_come_from_the_chat_of_this_server(self, own_server: Any, tmp_path: Path) -> None:
        """Where no other is named. What the fake engine says is no name: one of ours follows, and the log says why."""
        server = own_server(LOG_JSON="1", LOG_REMOTE_CONTENT="1", POKEMON_NAME_BACKEND="remote", OPENAI_MODEL="echo")
        add_chat_model(server, tmp_path)
        assert curl(f"{server.url}/v1/generate")[0] == 200
        lines = {line["message"]: line["extra"] for line in records(server) if "name" in line["message"]}
        assert lines["remote_name.request"]["model"] == "echo"
        assert len(lines["extract_name.failed"]["content"].split()) == 8, "the fake engine's words"
        assert "remote_name.fallback" in lines

    def test_whoever_does_not_wait_for_the_model_does_not_stop_its_loading(
        self, own_server: Any, tmp_path: Path
    ) -> None:
        server = own_server(
            LOG_JSON="1", POKEMON_NAME_BACKEND="remote", OPENAI_MODEL="echo", OPENAI_TIMEOUT="0.02"
        )  # fmt: skip
        add_chat_model(server, tmp_path)
        assert curl(f"{server.url}/v1/generate")[0] == 200
        failed = next(line for line in records(server) if line["message"] == "remote_name.failed")
        assert failed["extra"]["reason"] == "TimeoutError"
        deadline = time.monotonic() + 30
        while server.client.get("/api/models/echo").json()["state"] != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_a_server_that_is_named_without_a_model_is_not_asked(self, own_server: Any) -> None:
        server = own_server(LOG_JSON="1", POKEMON_NAME_BACKEND="remote", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
        assert "remote_name.not_configured" in [line["message"] for line in records(server)]

    def test_a_client_that_hangs_up_cancels(self, own_server: Any) -> None:
        server = own_server(
            POKEMON_GENERATION_BACKEND="sdxl", SDXL_TURBO_MODEL="creatures", SDXL_STEPS="200",
            ATELIER_FAKE_STEP_SECONDS="0.2",
        )  # fmt: skip
        with subprocess.Popen([str(CURL), "-sS", "--max-time", "60", f"{server.url}/v1/generate"]) as asking:
            deadline = time.monotonic() + 60
            while not (jobs := server.client.get("/api/jobs").json()["items"]) and time.monotonic() < deadline:
                time.sleep(0.05)
            server.wait_for(jobs[0]["id"], "running")
            asking.kill()
        assert server.wait_for(jobs[0]["id"])["status"] == "cancelled"


class TestHTTPS:
    def test_with_a_certificate_it_speaks_tls(self, own_server: Any, tmp_path: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is not installed (on Debian: apt install openssl)")
        certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        server = Server(tmp_path / "data", TLS_CERT_FILE=str(certificate), TLS_KEY_FILE=str(key))
        server.certificate = certificate
        with server:
            assert server.url.startswith("https://")
            trusted = ("--cacert", str(certificate))
            assert curl(f"{server.url}/v1/generate", *trusted)[0] == 200
            refused = subprocess.run([str(CURL), "-sS", f"{server.url}/health"], capture_output=True, timeout=60)
            assert refused.returncode == 60, "a certificate that nobody vouches for"
            context = ssl.create_default_context(cafile=str(certificate))
            with connect(server.url.replace("https", "wss") + "/api/live", ssl=context) as live:
                assert json.loads(live.recv(timeout=30))["type"] == "snapshot"
            job = server.generate("over TLS")
            assert server.wait_for(job)["status"] == "completed"
            items = server.client.get("/api/system/endpoints").json()["items"]
            assert all(item["url"].startswith(("https://", "wss://")) for item in items)
