"""Notebooks, run from top to bottom against a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from serving import Server

NOTEBOOKS = Path(__file__).resolve().parents[3] / "doc" / "notebooks"


def executed(name: str, studio: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> Any:
    """The notebook after all its cells ran, with the addresses of this server."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "it is committed without outputs"
    install = next(cell for cell in notebook.cells if cell.source.startswith("%pip install"))
    install.source = "pass  # what it installs is in this environment already"
    monkeypatch.setenv("ATELIER_URL", studio.url)
    NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook
