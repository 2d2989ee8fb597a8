"""Ties the life of a worker to the life of its server, so that none is left holding a GPU.

Three layers, because each has a hole that the next one closes:

1. PR_SET_PDEATHSIG: the kernel kills the worker with its parent process. Does not reach the worker's own children.
2. The death pipe: the server keeps the write end and never writes. When the server ends, however it ends, the read end
   meets end-of-file and a thread kills the whole process group, children included.
3. The server's reaper at its next start finds what is left by `ATELIER_INSTANCE` in `/proc/*/environ`.

Linux only. Nothing here needs more than the standard library.

    python -m engines.lifeline PARENT COMMAND ...     becomes COMMAND, which the kernel ends with the process PARENT
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1
OOM_SCORE_ADJUSTMENT = 800
"""Added to a worker's badness: short of memory, the kernel ends a worker and not the server."""


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent ends; call from the main thread.

    "Parent" is the *thread* that forked us, so forks happen on main threads only. The parent may have ended before the
    call: then we have another parent already, and the process ends here with status 1.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(1)


def volunteer_for_oom_killer() -> None:
    """Raise this process's oom_score_adj. A sandbox may forbid it; the worker runs without."""
    try:
        with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
            if int(file.read()) < OOM_SCORE_ADJUSTMENT:
                file.seek(0)
                file.write(str(OOM_SCORE_ADJUSTMENT))
    except OSError:
        pass


def watch_death_pipe(fd: int) -> threading.Thread:
    """Start the thread that kills this process's group at end-of-file on `fd`. The process must lead its group."""
    thread = threading.Thread(target=_kill_group_at_eof, args=(fd,), name="death-pipe", daemon=True)
    thread.start()
    return thread


def _kill_group_at_eof(fd: int) -> None:
    while True:
        try:
            if os.read(fd, 1) == b"":
                break
        except OSError:  # a closed or foreign descriptor: nobody holds the other end any more
            break
    os.killpg(os.getpgrp(), signal.SIGKILL)


def memory_bytes() -> tuple[int, int]:
    """(resident, private) bytes of this process; private excludes pages still shared with the forkserver."""
    fields = {}
    try:
        with open("/proc/self/smaps_rollup", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if rest.endswith("kB\n"):
                    fields[name] = int(rest.split()[0]) * 1024
    except OSError:
        return 0, 0
    return fields.get("Rss", 0), fields.get("Private_Clean", 0) + fields.get("Private_Dirty", 0)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
