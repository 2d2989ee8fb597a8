"""A library's own OpenAI server as the child of a worker, on a Unix socket of its own.

    worker (engines.host)  ──starts──>  server of the library  ──listens on──>  <worker's socket>.v1
           │  ends with it <──────────── dies                                          ^
           └── is ended ───────────────> SIGTERM, SIGKILL after 3 s         clients' bytes, never through the worker

The child shares the worker's session and group, so that whatever ends a worker's group ends it too; and the kernel ends
it with the worker's main thread, which starts it. Its output goes where the worker's goes: into the worker's log. What
it puts down for a while lies in a folder of its own beside the sockets, `.tmp`, and goes with it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engines.engine import LoadFailed
from engines.protocol import TEMPORARY_SUFFIX

TERM_SECONDS = 3.0
LOOK_SECONDS = 0.05
TAIL_LINES = 400
"""So many of its last lines may hold the reason: vLLM's is followed by the tracebacks of each of its processes."""
DIED_STATUS = 70
"""Exit status of a worker whose server ended with status 0 (sysexits' EX_SOFTWARE): it was not asked to."""

MOST_NAME = 107
NAME_OF_A_SOCKET = 37
"""Bytes that the path of a Unix socket may have, and of what vLLM calls its own in a folder: a slash and a UUID."""

Explain = Callable[[Sequence[str]], LoadFailed | None]


class OpenAIChild:
    """The child's process. Made on the main thread; `start` returns when it answers."""

    def __init__(self, command: Sequence[str], socket_path: Path, env: Mapping[str, str] | None = None) -> None:
        self.socket_path = socket_path
        self._command = [sys.executable, "-m", "engines.lifeline", str(os.getpid()), *command]
        self.temporary = socket_path.with_suffix(TEMPORARY_SUFFIX)
        fits = len(os.fsencode(self.temporary)) + NAME_OF_A_SOCKET <= MOST_NAME
        self._env = {**os.environ, **(env or {}), **({"TMPDIR": str(self.temporary)} if fits else {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._stopping = False

    def start(self, deadline_seconds: float, explain: Explain = lambda _tail: None) -> None:
        """Start it and wait until `GET /health` answers 200. Raises LoadFailed: `explain` reads its last lines."""
        self._forget()  # a server that was killed leaves its socket, and none binds over it
        self.temporary.mkdir(mode=0o700)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd="/",
        )
        copying = threading.Thread(target=self._copy, name="openai-child-log", daemon=True)
        copying.start()
        try:
            self._wait_ready(time.monotonic() + deadline_seconds, deadline_seconds)
        except LoadFailed as failure:
            killed = self._killed()
            self.close()
            copying.join(1.0)
            raise explain(tuple(self._tail)) or killed or failure from None
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._end_with_it, name="openai-child", daemon=True).start()

    def request(self, method: str, path: str, seconds: float = 5.0) -> int:
        """Ask it something without a body; the status of the answer. Raises OSError."""
        connection = UnixConnection(self.socket_path, seconds)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            return response.status
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error}") from error
        finally:
            connection.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def tail(self) -> tuple[str, ...]:
        """Its last lines."""
        return tuple(self._tail)

    def memory_bytes(self) -> int:
        """What the child and all below it have of memory that is theirs alone."""
        return sum(_private_bytes(pid) for pid in descendants(os.getpid()))

    def close(self) -> None:
        """End it and all that it started."""
        self._stopping = True
        process = self._process
        if process is not None and process.poll() is None:
            below = descendants(os.getpid())
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TERM_SECONDS)
            _kill({*below, *descendants(os.getpid())})
        self._forget()

    # ── inside ──

    def _forget(self) -> None:
        """Its socket, and whatever it put down for a while."""
        self.socket_path.unlink(missing_ok=True)
        shutil.rmtree(self.temporary, ignore_errors=True)

    def _wait_ready(self, deadline: float, seconds: float) -> None:
        assert self._process is not None
        while time.monotonic() < deadline:
            if (status := self._process.poll()) is not None:
                words = f"signal {-status}" if status < 0 else f"exit code {status}"
                raise LoadFailed(
                    "openai_server_ended",
                    f"the engine's server ended with {words}",
                    "The worker's log has the details.",
                    how=words,
                )
            with contextlib.suppress(OSError):
                if self.socket_path.exists() and self.request("GET", "/health") == 200:
                    os.chmod(self.socket_path, 0o600)
                    return
            time.sleep(LOOK_SECONDS)
        raise LoadFailed(
            "openai_server_slow",
            f"the engine's server was not ready within {seconds:g} seconds",
            "A slow disk or a busy machine can be the reason; try again.",
            seconds=seconds,
        )

    def _killed(self) -> LoadFailed | None:
        """It was killed while it loaded, and not by us: that is what Linux does when memory runs out."""
        if self._process is None or self._process.returncode != -signal.SIGKILL:
            return None
        return LoadFailed(
            "out_of_memory",
            "the engine's server was killed while it loaded, most likely because the machine ran out of memory",
            "Allow a shorter context or fewer requests at once, take a smaller model, or unload another one.",
            sentence="chat_killed",
        )

    def _copy(self) -> None:
        """The child's output into this process's, and the last lines into memory."""
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(OSError):
                os.write(2, line)
            self._tail.append(line.decode(errors="replace").rstrip())

    def _end_with_it(self) -> None:
        """When the child ends unasked, so does the worker, in the same way: its exit status tells the server."""
        assert self._process is not None
        status = self._process.wait()
        if self._stopping:
            return
        time.sleep(0.05)  # its last lines are on their way
        words = f"signal {-status}" if status < 0 else f"exit code {status}"
        with contextlib.suppress(OSError):
            os.write(2, f"the engine's server ended with {words}\n".encode())
        _kill(descendants(os.getpid()))
        self._forget()
        os._exit(128 - status if status < 0 else status or DIED_STATUS)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("worker", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def descendants(root: int, session: int | None = None) -> set[int]:
    """Processes below `root`, and those of its session that lost their parents: a dead one's children are nobody's.
    Its session counts where it leads one; a dead leader's is to be named."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    session = os.getsid(0) if session is None else session
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] in "ZX":
            continue
        parents[int(entry.name)] = int(fields[1])
        if session == root and int(fields[3]) == session:
            found.add(int(entry.name))
    grew = True
    while grew:
        below = {pid for pid, parent in parents.items() if parent == root or parent in found}
        grew = not below <= found
        found |= below
    return found - {root}


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _private_bytes(pid: int) -> int:
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return 0
    return total
