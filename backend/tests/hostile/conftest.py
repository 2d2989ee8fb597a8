"""A server among files that are none of its business, and a look at whether any of them was touched."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from serving import Server
from tests.hostile.wire import Wire

TOKEN = "0123456789abcdef0123456789abcdef"
MARK = "SENTINEL-7f3a91-CONTENT"
# Where the server is meant to write.
OWN = ("atelier.db", "inputs", "images", "staging", "logs", "lock", "secrets")
UPLOADED = re.compile("data/files/file-[0-9a-f]{20}")
"""What `/v1/files` keeps, under names of its own making and no other."""


@dataclass
class Target:
    """A server under attack, and what lies around it."""

    server: Server
    around: Path
    before: dict[str, str]

    def fill_the_line(self) -> None:
        """Work enough for minutes, so that whoever asks for pictures is told at once that the line is full."""
        for _ in range(8):
            body = {"prompt": "patience", "steps": 200}
            if self.server.client.post("/api/generate/text-to-image", json=body).status_code == 429:
                return
        raise AssertionError("the line does not fill")

    def wire(self) -> Wire:
        return Wire(self.server.url, {"Authorization": f"Bearer {TOKEN}"})

    def changed(self) -> set[str]:
        """Files outside the server's own that came, went or are different."""
        now = tree(self.around)
        return {path for path in self.before.keys() | now.keys() if self.before.get(path) != now.get(path)}


def tree(folder: Path) -> dict[str, str]:
    found = {}
    for root, folders, files in os.walk(folder):
        inside = Path(root).relative_to(folder)
        if inside == Path("data"):
            folders[:] = [name for name in folders if not name.startswith(OWN)]
            files = [name for name in files if not name.startswith(OWN)]
        found |= {str(inside / name): "folder" for name in folders}
        for name in files:
            if not name.endswith(".log") and not UPLOADED.fullmatch(str(inside / name)):
                found[str(inside / name)] = hashlib.sha256((Path(root) / name).read_bytes()).hexdigest()
    return found


@pytest.fixture(scope="package")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Its engine is so slow that a job lasts for minutes, and only one may wait."""
    yield from attacked(tmp_path_factory.mktemp("hostile"), ATELIER_QUEUE_LIMIT="1", ATELIER_FAKE_STEP_SECONDS="3")


@pytest.fixture(scope="package")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Its engine is as quick as can be."""
    yield from attacked(tmp_path_factory.mktemp("quick"), ATELIER_FAKE_STEP_SECONDS="0.0001")


def attacked(around: Path, **settings: str) -> Iterator[Target]:
    data = around / "data"
    for folder in (data, around / "SENTINEL", data / "SENTINEL", data / "images" / "SENTINEL", around / "etc"):
        folder.mkdir(parents=True)
        (folder / "secret.txt").write_text(MARK)
    (around / "etc" / "passwd").write_text(f"root:{MARK}")
    (around / "win.ini").write_text(MARK)
    with Server(data, ATELIER_TOKEN=TOKEN, HF_HUB_OFFLINE="1", POKEMON_RATE_LIMIT_PER_MIN="0", **settings) as server:
        server.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield Target(server, around, tree(around))
