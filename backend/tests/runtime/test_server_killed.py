"""The server is killed in every phase: within five seconds nothing of it runs, and the next server starts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from atelier.runtime import processes, reaper
from tests.runtime.studio import MakeStudio

BACKEND = Path(__file__).resolve().parents[2]
PHASES = ["starting", "loading", "idle", "busy", "stopping", "grandchild", "setsid", "chat"]


def serve(folder: Path, instance: str, phase: str) -> subprocess.Popen[str]:
    """A server process that has reached the phase."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.runtime.server_process", str(folder), instance, phase],
        stdout=subprocess.PIPE,
        text=True,
        cwd=BACKEND,
        env=os.environ | {"PYTHONPATH": str(BACKEND)},
        start_new_session=True,
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line.strip() == phase, f"the server said {line!r}"
    return server


def left(instance: str) -> list[int]:
    return [process.pid for process, _ in processes.marked(reaper.INSTANCE, instance)]


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_outlives_it_by_five_seconds(folder: Path, phase: str) -> None:
    instance = uuid.uuid4().hex
    server = serve(folder, instance, phase)
    time.sleep(0.1 if phase == "starting" else 0)
    assert left(instance)
    server.kill()
    server.wait()
    began = time.monotonic()
    while left(instance) or _guards_of(server.pid):
        assert time.monotonic() - began < 5, f"still there: {left(instance)}, {_guards_of(server.pid)}"
        time.sleep(0.02)


async def test_the_next_server_ends_what_even_the_guard_left(folder: Path, open_studio: MakeStudio) -> None:
    server = await asyncio.to_thread(serve, folder, "x" * 32, "setsid")
    for guard in _guards_of(server.pid):
        os.kill(guard, signal.SIGSTOP)
    guards = _guards_of(server.pid)
    server.kill()
    server.wait()
    await asyncio.sleep(0.3)
    stray = left("x" * 32)
    assert stray
    (folder / "s" / "w-0000000000.tmp").mkdir()
    (folder / "s" / "w-0000000000.tmp" / "put down").touch()
    killed = await asyncio.to_thread(reaper.reap, "x" * 32, folder / "s")
    assert set(stray) <= set(killed) and left("x" * 32) == []
    assert [one for suffix in (".sock", ".v1", ".tmp") for one in (folder / "s").glob("*" + suffix)] == []
    for guard in guards:
        os.kill(guard, signal.SIGKILL)


def test_a_second_server_on_the_same_folder_spares_the_first_ones(folder: Path) -> None:
    instance = uuid.uuid4().hex
    server = serve(folder, instance, "idle")
    try:
        assert reaper.reap(instance, folder / "s") == []
        assert left(instance)
    finally:
        server.kill()
        server.wait()


def _guards_of(server: int) -> list[int]:
    found = []
    for process in processes.everyone():
        try:
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"atelier.runtime.reaper" in line and any(part.startswith(b"%d:" % server) for part in line):
            if not process.is_dead:
                found.append(process.pid)
    return found
