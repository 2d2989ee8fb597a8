"""One server for each of two processes: starts of the engines take most of the time, and one core each. The one has
`lore` on vLLM with a LoRA beside it, the other the models that need an engine of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from atelier.runtime.engines import EngineName
from serving import Server
from tests.chat_engines.running import RunningEngine, ServedEngine, not_built, tiny_models
from xdist.scheduler import LoadScopeScheduling

LORA = "sea-shanty"
OWN_ENGINES = {"test_embeddings", "test_pictures"}
HERE = (EngineName.VLLM_CPU_CHAT, EngineName.TRANSFORMERS_CHAT, EngineName.FAKE)


class ByServer(LoadScopeScheduling):
    """Each process gets the tests of one server. (The groups of xdist 3.8 do nothing under pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        return "own" if Path(nodeid.partition("::")[0]).stem in OWN_ENGINES else "lore"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer:
    return ByServer(config, log)


class Studio(Server):
    """A server that puts the sockets of its workers into `sockets`, a short path."""

    def __init__(self, folder: Path) -> None:
        self.sockets = Path(tempfile.mkdtemp(prefix="at-"))
        super().__init__(
            folder / "data",
            ATELIER_FAKE_ENGINE="0",
            ATELIER_THREADS="1",
            ATELIER_IDLE_SECONDS="3600",
            POKEMON_NAME_BACKEND="remote",
            XDG_RUNTIME_DIR=str(self.sockets),
        )

    def enter(self, path: Path, key: str, **load_options: object) -> None:
        """A model that lies at `path`."""
        answer = self.client.post("/api/models/import", json={"path": str(path), "key": key})
        assert answer.status_code == 201, answer.text
        if load_options:
            self.load_with(key, **load_options)

    def load_with(self, key: str, **options: object) -> None:
        answer = self.client.patch(f"/api/models/{key}", json={"load_options": options})
        assert answer.status_code == 200, answer.text

    def unload(self, key: str) -> None:
        answer = self.client.post(f"/api/admin/models/{key}/unload", json={"force": True})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of random weights: `sees`, `embeds`, `lora`."""
    return tiny_models(tmp_path_factory.mktemp("tiny"), "sees", "embeds", "lora")


@pytest.fixture(scope="session")
def studio(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(tmp_path_factory.mktemp("studio")) as server:
        server.enter(tiny / "lora", LORA)
        server.load_with("lore", loras=[LORA])
        yield server
    shutil.rmtree(server.sockets)


@pytest.fixture(scope="session")
def lore_on_vllm(studio: Studio) -> ServedEngine:
    if reason := not_built(EngineName.VLLM_CPU_CHAT):
        pytest.skip(reason)
    return ServedEngine(studio, "lore", studio.sockets, ("lore", LORA))


@pytest.fixture(scope="session", params=HERE, ids=lambda name: name.value)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningEngine | ServedEngine]:
    """`lore` on each engine."""
    if request.param is EngineName.VLLM_CPU_CHAT:
        yield request.getfixturevalue("lore_on_vllm")
        return
    if reason := not_built(request.param):
        pytest.skip(reason)
    running = RunningEngine(request.param, tmp_path_factory.mktemp("e"), tool_parser="hermes")
    try:
        running.wait()
        yield running
    finally:
        running.close()
        assert running.below() == set(), "something of it stays"
