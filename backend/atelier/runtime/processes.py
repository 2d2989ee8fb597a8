"""What /proc says about processes of this user. Standard library only: the guard of `reaper` imports nothing else.

A pid alone means nothing, because numbers are used again: a process is its pid and its start time (clock ticks since
boot, field 22 of /proc/PID/stat), and everything here checks both before it kills.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    group: int
    session: int
    state: str
    started: int

    @property
    def is_dead(self) -> bool:
        """A zombie holds no memory; only its parent can remove it."""
        return self.state in "ZXx"


def look(pid: int) -> Process | None:
    """The process that has this number now, or None."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), fields[0], int(fields[19]))


def is_alive(process: Process) -> bool:
    """Whether this very process still runs (a zombie does not)."""
    now = look(process.pid)
    return now is not None and now.started == process.started and not now.is_dead


def everyone() -> Iterator[Process]:
    for entry in os.scandir(PROC):
        if entry.name.isdigit() and (process := look(int(entry.name))) is not None:
            yield process


def environment(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty when it is gone or somebody else's."""
    path = PROC / str(pid)
    try:
        if path.stat().st_uid != os.getuid():
            return {}
        text = (path / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in text.split(b"\0") if b"=" in item)
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, _, value in pairs}


def marked(variable: str, value: str) -> list[tuple[Process, dict[str, str]]]:
    """Living processes of this user that were started with `variable=value`, with their environments."""
    found = []
    for process in everyone():
        if process.is_dead or process.pid == os.getpid():
            continue
        env = environment(process.pid)
        if env.get(variable) == value:
            found.append((process, env))
    return found


def tree(root: Process) -> list[Process]:
    """`root`, what descends from it, and what shares its session or its group: everything it may have started."""
    all_ = [p for p in everyone() if not p.is_dead]
    children: dict[int, list[Process]] = {}
    for process in all_:
        children.setdefault(process.parent, []).append(process)
    found = {p.pid: p for p in all_ if root.pid in (p.session, p.group) and p.started >= root.started}
    found[root.pid] = root
    queue = list(found.values())
    while queue:
        for child in children.get(queue.pop().pid, ()):
            if child.pid not in found:
                found[child.pid] = child
                queue.append(child)
    return list(found.values())


def below(pid: int) -> set[int]:
    """What descends from a process, by the kernel's lists of children: cheaper than a look at everybody. Empty where
    the kernel keeps none."""
    found: set[int] = set()
    pending = [pid]
    while pending:
        try:
            tasks = list(os.scandir(PROC / str(pending.pop()) / "task"))
            lists = [Path(task.path, "children").read_text().split() for task in tasks]
        except OSError:
            continue  # it has ended
        new = {int(child) for children in lists for child in children} - found
        found |= new
        pending += new
    return found


def kill(processes: Iterable[Process], number: int = signal.SIGKILL) -> None:
    """Signal each of them that is still the process it was."""
    for process in processes:
        if is_alive(process):
            try:
                os.kill(process.pid, number)
            except (ProcessLookupError, PermissionError):
                pass


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory since it started; 0 where it does not tell."""
    try:
        lines = (PROC / "vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def cpu_seconds(root: Process) -> float:
    """Processor time of `root` and of all that it may have started, as far as they live. Looks at every process there
    is: milliseconds, on a thread."""
    ticks = 0
    for process in tree(root):
        try:
            text = (PROC / str(process.pid) / "stat").read_text(errors="replace")
        except OSError:
            continue
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> int | None:
    """Resident bytes, or None when the process is gone."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
