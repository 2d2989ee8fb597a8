"""Starting: what cannot be used is told in a sentence, and a server that has served holds no model library."""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import Server
from tests.launching import BACKEND, plain_environment


def newer(folder: Path) -> None:
    with sqlite3.connect(folder / "atelier.db") as db:
        db.execute("CREATE TABLE alembic_version (version_num TEXT)")
        db.execute("INSERT INTO alembic_version VALUES ('29990101_0000')")


def no_database(folder: Path) -> None:
    (folder / "atelier.db").write_bytes(b"this is a diary and no database " * 100)


def no_folder(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("a file")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(newer, "was made by a newer Atelier"), (no_database, "cannot be read"), (no_folder, "cannot be used")],
)
def test_a_data_folder_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    spoil(folder)
    server = Server(folder, from_nothing=spoil is no_folder)
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    said = server.log_path.read_text()
    assert server.stop() not in (0, -11)
    assert words in said and "DATA_DIR" in said and str(folder) in said
    assert "Traceback" not in said


def refused_start(**environment: str) -> str:
    """What `atelier serve` says as it refuses to begin."""
    full = {**plain_environment(), "PYTHONPATH": str(BACKEND), **environment}
    command = [sys.executable, "-m", "atelier", "serve"]
    done = subprocess.run(command, cwd=BACKEND, env=full, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and not done.stdout
    return done.stderr


def test_an_address_that_cannot_be_had(tmp_path: Path) -> None:
    token = "0123456789abcdef"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        taken = refused_start(PORT=port, DATA_DIR=str(tmp_path / "data"))
        beyond = refused_start(PORT=port, HOST="0.0.0.0", ATELIER_TOKEN=token)
    elsewhere = refused_start(PORT="0", HOST="192.0.2.1", ATELIER_TOKEN=token)
    unknown = refused_start(PORT="0", HOST="no such.name", ATELIER_TOKEN=token)
    assert f"Port {port} of 127.0.0.1 is taken" in taken and "--port" in taken
    assert f"Port {port} of 0.0.0.0 is taken" in beyond
    assert "HOST='192.0.2.1' is no address of this machine" in elsewhere
    assert "HOST='no such.name'" in unknown
    assert "Traceback" not in taken + beyond + elsewhere + unknown
    assert not (tmp_path / "data").exists(), "nothing was begun"


def test_a_server_that_has_served_holds_no_model_library(tmp_path: Path) -> None:
    """By what its process has mapped: every one of these libraries comes with compiled parts."""
    with Server(tmp_path / "data", from_nothing=True) as server:
        job = server.wait_for(server.generate("a grey owl", num_outputs=2))
        assert job["status"] == "completed"
        for path in ("/api/gallery", "/api/models/", "/api/models/found", "/api/system", "/docs", "/"):
            server.client.get(path)
        mapped = Path(f"/proc/{server.pid}/maps").read_text()
    held = set(re.findall(r"site-packages/([A-Za-z0-9_]+)", mapped))
    assert "uvloop" in held, "the test looks at nothing"
    assert not held & {"torch", "numpy", "PIL", "safetensors", "tokenizers", "vllm", "sentencepiece"}, held
