"""The notebooks run from top to bottom against the models that ship with Atelier, and show what they say they show."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image
from serving import Server
from tests.faults import real_models

NOTEBOOKS = Path(__file__).resolve().parents[3] / "doc" / "notebooks"

WHY_NOT = real_models.missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Server]:
    """A server with the real engine, on one thread."""
    with Server(tmp_path / "data", ATELIER_FAKE_ENGINE="0", ATELIER_THREADS="1") as running:
        yield running


def test_images(studio: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOKS / "images.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "it is committed without outputs"
    install = next(cell for cell in notebook.cells if cell.source.startswith("%pip install"))
    install.source = "pass  # what it installs is in this environment already"
    monkeypatch.setenv("ATELIER_URL", studio.url)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 6
    first = Image.open(io.BytesIO(base64.b64decode(pictures[0])))
    assert first.size == (256, 256) and len(first.convert("RGB").getcolors(256 * 256) or []) > 1000
    said = "".join(str(output.get("data", {}).get("text/plain", output.get("text", ""))) for output in outputs)
    assert "creatures" in said and "True" in said and "Steps: 20" in said
