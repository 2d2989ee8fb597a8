"""Ends what a server left behind, at two moments.

* At start: `reap` kills processes of an earlier server on the same data folder and removes their sockets and folders.
* At a sudden end: `Guard` is a small process of the server's that holds the read end of a pipe. When the server goes,
  however it goes, the pipe closes and the guard kills all that it started, also what hid in a session of its own.

Both find processes by two variables that every engine process inherits: `ATELIER_INSTANCE` (the data folder) and
`ATELIER_SERVER` (pid and start time of the server process). A process whose server still lives is left alone.

    python -m atelier.runtime.reaper --watch FD --server PID:STARTED
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from atelier.runtime import processes

INSTANCE = "ATELIER_INSTANCE"
SERVER = "ATELIER_SERVER"
BACKEND = Path(__file__).resolve().parents[2]


def server_mark(pid: int | None = None) -> str:
    """`PID:STARTED` of this process: the value of `ATELIER_SERVER` for all it starts."""
    me = processes.look(pid or os.getpid())
    assert me is not None
    return f"{me.pid}:{me.started}"


def is_living_server(mark: str) -> bool:
    pid, _, started = mark.partition(":")
    if not pid.isdigit() or not started.isdigit():
        return False
    found = processes.look(int(pid))
    return found is not None and str(found.started) == started and not found.is_dead


def reap(instance: str, sockets_dir: Path, *, patience: float = 5.0) -> list[int]:
    """Kill leftovers of earlier servers on this data folder, remove their sockets; the pids that were killed.

    Blocks for up to `patience` seconds, usually for a few milliseconds: call it in a thread.
    """
    killed: dict[int, None] = {}
    deadline = time.monotonic() + patience
    while left := _leftovers(instance):
        killed.update(dict.fromkeys(process.pid for process in left))
        processes.kill(left)
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    # Named as in `engines.protocol`, which the guard cannot import: it runs without packages.
    for pattern in ("*.sock", "*.v1"):
        for socket in sockets_dir.glob(pattern):
            with contextlib.suppress(OSError):
                socket.unlink()
    for folder in sockets_dir.glob("*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)
    return list(killed)


def _leftovers(instance: str) -> list[processes.Process]:
    mine = server_mark()
    return [
        process
        for process, env in processes.marked(INSTANCE, instance)
        if env.get(SERVER) != mine and not is_living_server(env.get(SERVER, ""))
    ]


def with_ancestors(mark: str) -> list[tuple[processes.Process, set[int]]]:
    """Living processes that carry this server's mark, each with the pids of its line of parents, itself included."""
    ours = [process for process, _ in processes.marked(SERVER, mark)]
    # Looked up afterwards: who was born meanwhile is not taken for an orphan.
    parents = {process.pid: process.parent for process in processes.everyone()}
    found = []
    for process in ours:
        line: set[int] = set()
        pid = process.pid
        while pid and pid not in line:
            line.add(pid)
            pid = parents.get(pid, 0)
        found.append((process, line))
    return found


class Guard:
    """The process that outlives the server for a moment. `close()` after all engine processes have ended."""

    def __init__(self) -> None:
        read, self._write = os.pipe()  # close-on-exec: no other child holds the write end
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-m", "atelier.runtime.reaper", "--watch", str(read), "--server", server_mark()],
                pass_fds=(read,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={"PYTHONPATH": str(BACKEND), "PATH": os.defpath},
            )
        finally:
            os.close(read)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Let the guard look once more, and go."""
        os.close(self._write)
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def watch(fd: int, server: str, *, patience: float = 60.0) -> None:
    """Wait for the end of `server`, then kill all that carries its mark until nothing is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(fd, 64):
        pass
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        left = [process for process, _ in processes.marked(SERVER, server)]
        if not left:
            return
        processes.kill(left)
        time.sleep(0.02)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Wait for the end of a server, then end what it left behind.")
    parser.add_argument("--watch", type=int, required=True, help="read end of a pipe that only the server holds")
    parser.add_argument("--server", required=True, help="pid and start time of the server")
    arguments = parser.parse_args()
    watch(arguments.watch, arguments.server)
