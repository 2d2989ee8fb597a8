"""The notebooks run from top to bottom against the models that ship with Atelier, and show what they say they show."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from client_batches import answered
from nbclient import NotebookClient
from serving import Server
from tests.faults import real_models

NOTEBOOKS = Path(__file__).resolve().parents[3] / "doc" / "notebooks"

WHY_NOT = real_models.missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Server]:
    """A server with the real engine, on one thread."""
    with Server(
        tmp_path / "data", ATELIER_FAKE_ENGINE="0", ATELIER_THREADS="1", POKEMON_NAME_BACKEND="remote"
    ) as running:
        yield running


def executed(name: str, studio: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> Any:
    """The notebook after all its cells ran, with the addresses of this server."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "it is committed without outputs"
    install = next(cell for cell in notebook.cells if cell.source.startswith("%pip install"))
    install.source = "pass  # what it installs is in this environment already"
    monkeypatch.setenv("ATELIER_URL", studio.url)
    NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


NO_CHAT = None if real_models.environments().python("chat-cpu") else "the environment chat-cpu is not built"


@pytest.mark.skipif(NO_CHAT is not None, reason=str(NO_CHAT))
def test_chat(studio: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against `lore` on vLLM: what the creature service and the translation of prompts ask of it is proved along the
    way, for a start of the engine is dear."""
    notebook = executed("chat.ipynb", studio, tmp_path, monkeypatch, seconds=600)
    everything = " ".join(" ".join(text for text, _source in told(notebook)).split())
    for words in (
        "is a red dragon with wings that lives",
        "blue octopus with a hat",
        "404",
        "'species': 'dragon'",
        "a striped orange fish",
        """[('make_picture', '{"prompt": "a red dragon with wings"}')]""",
        "The user wants a name for a red dragon with wings.",
        "tokens per second",
        "8 at a time: 8 answers",
        "'text': 'a red dragon with wings on a blue background', 'model': 'lore', 'changed': True",
        "'reason': 'not_sure'",
    ):
        assert words in everything, (words, everything[-6000:])
    usual, other = ast.literal_eval(next(text for text, source in told(notebook) if "logit_bias=" in source))
    assert usual != other
    named = [studio.client.get("/v1/generate", timeout=60).json()["metadata"]["name"] for _ in range(3)]
    log = studio.log_path.read_text()
    assert "extract_name.json" in log and "remote_name.fallback" not in log and all(name in log for name in named)
    a_batch_is_as_good_as_its_lines(studio)


def a_batch_is_as_good_as_its_lines(studio: Server) -> None:
    endpoint = "/v1/chat/completions"
    words = ("a red dragon with wings", "a blue octopus with a hat", "a striped orange fish", "a green turtle")
    bodies = [
        {"model": "lore", "messages": [{"role": "user", "content": one}], "max_tokens": 24, "temperature": 0}
        for one in words
    ]
    batch, answers = answered(studio, endpoint, [*bodies, {**bodies[0], "max_tokens": -1}])
    assert batch["status"] == "completed" and batch["request_counts"] == {"total": 5, "completed": 4, "failed": 1}
    assert [one["custom_id"] for one in answers] == [f"line-{at}" for at in range(4)]
    whole = [one["response"]["body"] for one in answers]
    assert batch["usage"]["output_tokens"] == sum(one["usage"]["completion_tokens"] for one in whole) > 0
    assert batch["usage"]["input_tokens"] == sum(one["usage"]["prompt_tokens"] for one in whole)
    alone = studio.client.post(endpoint, json=bodies[1]).json()
    assert whole[1]["choices"][0]["message"]["content"] == alone["choices"][0]["message"]["content"]


def told(notebook: Any) -> list[tuple[str, str]]:
    """(what a cell showed, its source)."""
    return [(said_by(cell), cell.source) for cell in notebook.cells if cell.cell_type == "code"]


def said_by(cell: Any) -> str:
    outputs = cell.get("outputs", [])
    return "".join(
        str(one.get("data", {}).get("text/markdown") or one.get("data", {}).get("text/plain") or one.get("text", ""))
        for one in outputs
    )
