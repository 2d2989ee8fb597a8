"""The other end of `tests.launcher`: orders servers from it and hears what becomes of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

BACKEND = Path(__file__).resolve().parent.parent


def plain_environment() -> dict[str, str]:
    """What servers of tests see of ours: nothing that sets one up."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ATELIER_", "HOST", "PORT", "LOG_"))}


class Launcher:
    """The process that forks servers. `rigs` is a module with changes to them, by name."""

    def __init__(self, rigs: str | None = None) -> None:
        begun = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.launcher", *([rigs] if rigs else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=BACKEND,
            env={**plain_environment(), "PYTHONPATH": str(BACKEND)},
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._spawned: list[int] = []
        self._statuses: dict[int, int] = {}
        self._heard = threading.Condition()
        first = json.loads(self._out.readline())
        self.import_seconds = time.monotonic() - begun
        self.sockets = str(first["sockets"])
        """For XDG_RUNTIME_DIR; gone when this ends, however it ends."""
        assert first["threads"] == 1, "a library started a thread when it was imported: forking is not safe"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._out:
            facts = json.loads(line)
            with self._heard:
                if "status" in facts:
                    self._statuses[facts["pid"]] = facts["status"]
                else:
                    self._statuses.pop(facts["pid"], None)  # of an earlier process with this number
                    self._spawned.append(facts["pid"])
                self._heard.notify_all()

    def spawn(self, environment: dict[str, str], log: Path, port: int = 0, rigs: tuple[str, ...] = ()) -> int:
        """Start a server that sees this environment and nothing else; its pid."""
        order = {"environment": environment, "log": str(log), "port": port, "rigs": rigs}
        with self._heard:
            self._in.write(json.dumps(order) + "\n")
            self._in.flush()
            assert self._heard.wait_for(lambda: self._spawned, 20), "the launcher does not answer"
            return self._spawned.pop()

    def status(self, pid: int) -> int | None:
        """Exit status of a server, negative for a signal, None while it runs."""
        return self._statuses.get(pid)

    def wait(self, pid: int, seconds: float) -> int:
        with self._heard:
            if not self._heard.wait_for(lambda: pid in self._statuses, seconds):
                raise subprocess.TimeoutExpired(f"server {pid}", seconds)
            return self._statuses[pid]

    def close(self) -> None:
        self._in.close()
        self._process.wait(10)


class Launched:
    """One server of a launcher, with as much of `subprocess.Popen` as tests use."""

    def __init__(self, launcher: Launcher, environment: dict[str, str], log: Path, port: int) -> None:
        self._launcher = launcher
        self.pid = launcher.spawn(environment, log, port)

    def poll(self) -> int | None:
        return self._launcher.status(self.pid)

    def wait(self, seconds: float = 20.0) -> int:
        return self._launcher.wait(self.pid, seconds)

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and its launcher is about to say so
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
