"""Ends a process and all that it started, and waits until nothing of it is left; then its sockets go."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from engines.protocol import OPENAI_SUFFIX, TEMPORARY_SUFFIX

from atelier.runtime import processes

log = logging.getLogger(__name__)

KILL_SECONDS = 10.0
FORGET_SECONDS = 5.0


async def end_process(root: processes.Process, has_exited: Callable[[], bool], *, term_seconds: float) -> bool:
    """SIGTERM to `root`, SIGKILL to its tree after `term_seconds`; whether everything is gone within ten seconds more.

    The tree is looked up before the first signal, since children of a dead process are nobody's.
    """
    tree = await asyncio.to_thread(processes.tree, root)
    if not has_exited():
        processes.kill([root], signal.SIGTERM)
        processes.kill([root], signal.SIGCONT)  # a stopped process sees SIGTERM only when it goes on
        await _until(lambda: has_exited() or not processes.is_alive(root), term_seconds)
    deadline = time.monotonic() + KILL_SECONDS
    pause = 0.01
    while True:
        left = [process for process in tree if processes.is_alive(process)]
        if not left:
            return True
        processes.kill(left)
        if time.monotonic() > deadline:
            log.error("process %s cannot be ended: %s", root.pid, left)
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.2)
        tree = await asyncio.to_thread(_still, tree, root)


def _still(tree: list[processes.Process], root: processes.Process) -> list[processes.Process]:
    known = {process.pid: process for process in tree}
    for process in processes.tree(root):
        known.setdefault(process.pid, process)
    return list(known.values())


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.05)


async def forget_files(socket: Path) -> None:
    """The sockets of a worker that has ended, and the folder of its server. Who was started in the very moment of the
    end may still put something into that folder, so it is removed until it stays away."""
    deadline = time.monotonic() + FORGET_SECONDS
    while not await asyncio.to_thread(_is_forgotten, socket) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)


def _is_forgotten(socket: Path) -> bool:
    socket.unlink(missing_ok=True)
    socket.with_suffix(OPENAI_SUFFIX).unlink(missing_ok=True)
    folder = socket.with_suffix(TEMPORARY_SUFFIX)
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
