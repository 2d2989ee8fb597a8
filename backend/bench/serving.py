"""A real server process with its own data folder, and the little that a benchmark asks of it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.measuring import BACKEND, WrongAnswer, clean_environment, cpu_seconds, stop


class Server:
    """`python -m atelier serve` on a free port of 127.0.0.1. Use as a context manager."""

    def __init__(
        self, data_dir: Path, *, module: str = "atelier", arguments: tuple[str, ...] = ("serve",), **environment: str
    ) -> None:
        self._data_dir = data_dir
        self._command = [sys.executable, "-m", module, *arguments]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.ready_seconds = 0.0
        self.ready_cpu = 0.0

    def __enter__(self) -> Server:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            **clean_environment(),
            "PYTHONPATH": str(BACKEND),
            "DATA_DIR": str(self._data_dir),
            "PORT": str(self.port),
            "ATELIER_FAKE_ENGINE": "1",
            "LOG_LEVEL": "WARNING",
            **self._environment,
        }
        begun = time.perf_counter()
        with (self._data_dir / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=BACKEND, env=environment, stdout=log, stderr=log)
        self._wait_until_ready()
        self.ready_seconds = time.perf_counter() - begun
        self.ready_cpu = cpu_seconds(self.pid)
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None
        stop(self._process)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """One request; the decoded answer. Raises WrongAnswer for another status than `expect`."""
        with Client(self.port) as client:
            return client.call(method, path, body, expect=expect)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.call("GET", "/health")
                return
            except OSError:
                time.sleep(0.01)
        raise WrongAnswer(f"the server did not start:\n{(self._data_dir / 'server.log').read_text()[-3000:]}")


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def fetch(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        self._connection.request(method, path, data, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status != expect:
            raise WrongAnswer(f"{method} {path} answered {response.status}: {content[:500]!r}")
        return content

    def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        content = self.fetch(method, path, body, expect=expect)
        return json.loads(content) if content else None
