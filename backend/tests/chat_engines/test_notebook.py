"""The chat notebook against `lore` on vLLM; what the creature service and the translation of prompts ask of it is
proved along the way."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from tests.chat_engines.conftest import Studio
from tests.chat_engines.running import ServedEngine
from tests.contract.notebooks import executed


def test_chat(studio: Studio, lore_on_vllm: ServedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lore_on_vllm.health()["serves_openai"]
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


def told(notebook: Any) -> list[tuple[str, str]]:
    """(what a cell showed, its source)."""
    return [(said_by(cell), cell.source) for cell in notebook.cells if cell.cell_type == "code"]


def said_by(cell: Any) -> str:
    outputs = cell.get("outputs", [])
    return "".join(
        str(one.get("data", {}).get("text/markdown") or one.get("data", {}).get("text/plain") or one.get("text", ""))
        for one in outputs
    )
