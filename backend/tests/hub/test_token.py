"""The hub's token: stored for its owner's eyes only, checked, and found nowhere but where it belongs."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from serving import Server
from tests.hub.fake_hub import FakeHub
from tests.hub.repositories import chat_repo, diffusers_repo
from websockets.asyncio.client import connect

Studio = Callable[..., Server]
CANARY = "hf_CanaryThatMustNotSing0123456789"
TOKEN_URL = "/api/admin/huggingface/token"


@pytest.fixture(autouse=True)
def known(hub: FakeHub) -> None:
    hub.tokens[CANARY] = "tester"


class TestStoring:
    def test_kept_checked_never_shown_forgotten(self, hub: FakeHub, studio: Studio) -> None:
        server = studio()
        assert server.client.get(TOKEN_URL).json() == {
            "is_set": False, "source": None, "name": None, "checked_at": None, "remark": None,
        }  # fmt: skip
        kept = server.client.post(TOKEN_URL, json={"token": CANARY})
        assert kept.status_code == 200 and CANARY not in kept.text
        assert (kept.json()["is_set"], kept.json()["source"], kept.json()["name"]) == (True, "stored", "tester")
        assert kept.json()["checked_at"]
        file = server.data_dir / "secrets" / "huggingface.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        server.stop()
        server.start()
        assert server.client.get(TOKEN_URL).json() == kept.json(), "it is there at later starts"
        refused = server.client.post(TOKEN_URL, json={"token": "hf_wrong"})
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "token"
        assert server.client.get(TOKEN_URL).json() == kept.json(), "a refused one does not replace a good one"
        assert not server.client.delete(TOKEN_URL).json()["is_set"] and not file.exists()

    def test_kept_unchecked_when_the_hub_is_away(self, studio: Studio) -> None:
        server = studio(HF_ENDPOINT="http://127.0.0.1:9")
        kept = server.client.post(TOKEN_URL, json={"token": CANARY}).json()
        assert kept["is_set"] and kept["checked_at"] is None and "cannot be reached" in kept["remark"]["message"]

    @pytest.mark.parametrize("token", ["", "two words", "new\nline", "x" * 513, "ümlaut"])
    def test_what_is_no_token(self, server: Server, token: str) -> None:
        answer = server.client.post(TOKEN_URL, json={"token": token})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "token"

    def test_only_for_administrators(self, studio: Studio) -> None:
        server = studio(ATELIER_TOKEN="a-token-of-atelier-itself")
        for method in ("GET", "POST", "DELETE"):
            assert server.client.request(method, TOKEN_URL, json={"token": CANARY}).status_code == 401


class TestGated:
    def test_with_words_and_a_link_until_the_terms_are_accepted(self, hub: FakeHub, studio: Studio) -> None:
        repo = hub.add(diffusers_repo("guarded/sd", gated="manual"))
        server = studio()
        plan = server.client.post("/api/hub/plan", json={"repo": repo.id}).json()
        assert plan["gated"] and not plan["can_access"] and plan["page_url"] == f"{hub.endpoint}/guarded/sd"
        assert plan["task"] == "image" and plan["total_bytes"] > 0, "what it would fetch can be told from its listing"
        for token in (None, CANARY):
            if token:
                server.client.post(TOKEN_URL, json={"token": token})
            answer = server.client.post("/api/models/download", json={"repo": repo.id})
            assert (answer.status_code, answer.json()["code"]) == (403, "gated_repository")
            assert plan["page_url"] in answer.json()["hint"]
        repo.open_to.add(CANARY)
        assert server.client.post("/api/hub/plan", json={"repo": repo.id}).json()["can_access"]
        answer = server.client.post("/api/models/download", json={"repo": repo.id})
        assert answer.status_code == 202, answer.text
        assert server.wait_for(answer.json()["job"]["id"])["status"] == "completed"

    def test_a_token_from_the_environment_counts_until_one_is_stored(self, hub: FakeHub, studio: Studio) -> None:
        hub.add(chat_repo("private/chat", private=True, open_to={CANARY}))
        hub.tokens["hf_other"] = "other"
        server = studio(HUGGINGFACE_TOKEN=CANARY)
        assert server.client.get(TOKEN_URL).json()["source"] == "environment"
        assert server.client.post("/api/hub/plan", json={"repo": "private/chat"}).status_code == 200
        assert server.client.post(TOKEN_URL, json={"token": "hf_other"}).json()["source"] == "stored"
        assert server.client.post("/api/hub/plan", json={"repo": "private/chat"}).status_code == 404
        assert server.client.delete(TOKEN_URL).json()["source"] == "environment"


class TestSweep:
    async def test_the_token_is_nowhere_else(self, hub: FakeHub, studio: Studio, tmp_path: Path) -> None:
        """Logs, events, rows, files, arguments and environments of every process, and every request to another host."""
        repo = hub.add(chat_repo("guarded/chat", size=800_000, gated="auto", open_to={CANARY}))
        server = await asyncio.to_thread(studio, LOG_LEVEL="DEBUG", LOG_DIR=str(tmp_path / "logs"))
        heard: list[str] = []
        async with connect(server.url.replace("http", "ws") + "/api/live") as socket:

            async def listen() -> None:
                async for frame in socket:
                    heard.append(str(frame))

            listening = asyncio.create_task(listen())
            await asyncio.to_thread(self._work, hub, server, repo.id)
            listening.cancel()
        assert any("model.download" in frame for frame in heard)
        assert not [frame for frame in heard if CANARY in frame], "an event sang"
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        sang = [str(path) for path in files if CANARY.encode() in path.read_bytes()]
        assert sang == [str(server.data_dir / "secrets" / "huggingface.json")]
        assert {seen.place for seen in hub.seen if CANARY in repr(seen)} == {"hub"}
        assert all(CANARY not in seen.path for seen in hub.seen), "it belongs into a header"

    def _work(self, hub: FakeHub, server: Server, repo: str) -> None:
        server.client.post(TOKEN_URL, json={"token": CANARY})
        hub.bytes_per_second = 400_000
        answer = server.client.post("/api/models/download", json={"repo": repo, "key": "talk"})
        server.wait_for(answer.json()["job"]["id"], "running")
        server.wait_for(server.generate("a fox"))  # a worker of another engine
        processes = psutil.Process(server.pid).children(recursive=True)
        assert len(processes) >= 4
        for process in processes:
            said = json.dumps([process.cmdline(), process.environ()])
            assert CANARY not in said, process
        pages = [
            f"/api/jobs/{answer.json()['job']['id']}",
            "/api/models/talk",
            "/api/system",
            "/openapi.json",
            TOKEN_URL,
        ]
        assert not [page for page in pages if CANARY in server.client.get(page).text]
        hub.bytes_per_second = None
        assert server.wait_for(answer.json()["job"]["id"])["status"] == "completed"
