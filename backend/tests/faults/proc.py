"""What the harness itself sees in /proc: written apart from the product's own look, which it checks."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def started(pid: int) -> int | None:
    """Start time in clock ticks, None for a process that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return None


def mark(pid: int) -> str:
    """How a server signs what it starts: pid and start time."""
    return f"{pid}:{started(pid)}"


def marked(mark: str) -> list[int]:
    """Living processes that carry a server's mark in their environment, or guard it by their command line."""
    wanted = f"ATELIER_SERVER={mark}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            environment = Path(entry.path, "environ").read_bytes().split(b"\0")
            command = Path(entry.path, "cmdline").read_bytes().split(b"\0")
            if (wanted in environment or mark.encode() in command) and started(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found


def engine_pids(mark: str) -> tuple[list[int], list[int]]:
    """(forkservers, workers) of a server: a worker's parent is a forkserver."""
    wanted = f"ATELIER_SERVER={mark}".encode()
    signed = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in Path(entry.path, "environ").read_bytes().split(b"\0") and started(int(entry.name)):
                    signed.append(int(entry.name))
    workers = [pid for pid in signed if parent(pid) in signed]
    return [pid for pid in signed if pid not in workers], workers


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
