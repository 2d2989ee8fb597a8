"""Every hostile file through every door that takes pictures: refused in words, soon, and without a trace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest
from tests.hostile.bombs import bombs, harmless
from tests.hostile.conftest import Target
from tests.hostile.doors import DOORS
from tests.hostile.surface import is_file, operations

MIB = 1024 * 1024
# A limit for a machine that does other things as well; each is a fraction of a second where nothing else runs.
SECONDS = 20
BOMBS = bombs()


def resident(target: Target) -> int:
    return psutil.Process(target.server.pid).memory_info().rss


def kept(target: Target) -> set[str]:
    folder: Path = target.server.data_dir
    return {
        str(Path(root) / name)
        for part in ("inputs", "staging")
        for root, _, names in os.walk(folder / part)
        for name in names
    }


def test_there_are_enough() -> None:
    assert len(BOMBS) >= 20
    assert len(BOMBS["900 megapixels of one bit"]) < 150_000


NEVER_DECODED = {"/v1/files"}
"""What is given there is kept as it came; a batch reads it as lines of JSON."""


def test_every_door_is_known(target: Target) -> None:
    """A new form with a file in it has to be added to `doors`."""
    document = target.server.client.get("/openapi.json").json()
    with_files = {one.path for one in operations(document) if any(map(is_file, one.body.values()))}
    assert {path for path in with_files if not any(name.startswith(path) for name in DOORS)} == NEVER_DECODED


def test_every_bomb_at_the_front_door(target: Target) -> None:
    wire = target.wire()
    DOORS["/api/inputs"](wire, b"warm up")
    before, files = resident(target), kept(target)
    for name, content in BOMBS.items():
        begun = time.monotonic()
        answer = DOORS["/api/inputs"](wire, content)
        assert answer.status in {400, 413, 415, 422}, (name, answer)
        assert time.monotonic() - begun < SECONDS, name
        problem = answer.json()
        assert problem["detail"] and problem["hint"] and "0x" not in problem["detail"], name
        assert str(target.around) not in answer.body.decode(), name
    assert resident(target) - before < 64 * MIB
    assert kept(target) == files


@pytest.mark.parametrize("door", list(DOORS))
def test_bombs_at_every_door(target: Target, door: str) -> None:
    """A few at each, others at each; together all of them at more doors than one."""
    wire, at = target.wire(), list(DOORS).index(door)
    chosen = [name for index, name in enumerate(BOMBS) if index % len(DOORS) in {at, (at + 3) % len(DOORS)}]
    assert len(chosen) >= 5
    target.fill_the_line()
    files = kept(target)
    for name in chosen:
        answer = DOORS[door](wire, BOMBS[name])
        assert answer.status in {400, 413, 415, 422}, (name, answer)
        assert set(answer.json()) & {"detail", "error"}, name
    # A picture that came beside a hostile one may stay as an input of its owner; nothing else does.
    assert all(path.endswith(".png") and "new" not in Path(path).name for path in kept(target) - files)


def test_what_hangs_on_a_picture_stays_behind(target: Target) -> None:
    wire, before = target.wire(), resident(target)
    for name, content in harmless().items():
        answer = DOORS["/api/inputs"](wire, content)
        assert answer.status in {201, 422}, (name, answer)
        if answer.status == 201:
            file = target.server.client.get(f"/api/inputs/{answer.json()['id']}/file").content
            assert len(file) < 4000, name
    assert resident(target) - before < 64 * MIB


def test_as_many_bytes_as_may_be_and_one_more(target: Target) -> None:
    wire, most = target.wire(), 25 * MIB
    assert DOORS["/api/inputs raw"](wire, bytes(most)).status in {415, 422}  # no picture, but not too large
    assert DOORS["/api/inputs raw"](wire, bytes(most + 1)).status == 413
    assert not [path for path in kept(target) if path.endswith("part")]
