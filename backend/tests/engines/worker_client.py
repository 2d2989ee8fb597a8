"""A blocking client for workers and forkservers, from the standard library: what the server does, in the small."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from engines import protocol

BACKEND = Path(__file__).parents[2]


def process_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1"}


def is_running(pid: int) -> bool:
    """False for a process that is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds: float = 10.0, what: str = "the condition") -> float:
    """Seconds that it took; AssertionError after `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"{what} did not come about in {seconds} s"
        time.sleep(0.005)
    return time.monotonic() - started


class WorkerSocket:
    """One worker. `pid` is known once it was spawned or has answered."""

    def __init__(self, path: Path, pid: int = 0, log: Path | None = None) -> None:
        self.path, self.pid, self.log = path, pid, log

    def raw(self, data: bytes, timeout: float = 20.0) -> bytes:
        """Send bytes, return all that comes back."""
        with self.connect(timeout) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def connect(self, timeout: float = 20.0) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(str(self.path))
        return connection

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head, _, rest = self.raw(_request(method, path, body)).partition(b"\r\n\r\n")
        return int(head.split()[1]), rest

    def health(self) -> protocol.Health:
        return protocol.health_decoder.decode(self.request("GET", "/health")[1])

    def wait_for(self, phase: str, seconds: float = 240.0) -> protocol.Health:
        last: list[protocol.Health] = []

        def reached() -> bool:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                last[:] = [self.health()]
            return bool(last) and last[0].phase.value in (phase, "failed")

        wait_until(reached, seconds, f"phase {phase}")
        assert last[0].phase.value == phase, last[0].failure
        return last[0]

    @contextlib.contextmanager
    def running(self, task: protocol.Message, timeout: float = 30.0) -> Iterator[Iterator[protocol.Update]]:
        """Start a run; yields its updates as they come. Leaving early hangs up."""
        with self.connect(timeout) as connection:
            connection.sendall(_request("POST", "/run", protocol.encode_line(task)))
            file = connection.makefile("rb")
            try:
                status = file.readline()
                assert b" 200 " in status, status + file.read()
                while file.readline() not in (b"\r\n", b""):
                    pass
                yield (protocol.update_decoder.decode(line) for line in file)
            finally:
                file.close()

    def run(self, task: protocol.Message, timeout: float = 60.0) -> list[protocol.Update]:
        with self.running(task, timeout) as updates:
            return list(updates)

    def cancel(self, task_id: str) -> bool:
        status, body = self.request("POST", "/cancel", json.dumps({"task_id": task_id}).encode())
        assert status == 200
        return json.loads(body)["cancelled"]

    def kill(self) -> None:
        if self.pid and is_running(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _request(method: str, path: str, body: bytes) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: worker\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class ForkserverProcess:
    """A forkserver and both ends that the server keeps: the control socket and the death pipe."""

    def __init__(
        self, module: str, deadline: float = 240.0, python: str = sys.executable, env: dict[str, str] | None = None
    ) -> None:
        self.control, theirs = socket.socketpair()
        death, self.lifeline = os.pipe()
        command = [python, "-m", "engines.forkserver", "--preload", module]
        command += ["--control", str(theirs.fileno()), "--death", str(death)]
        self.process = subprocess.Popen(
            command, pass_fds=(theirs.fileno(), death), env=env or process_environment(), cwd=BACKEND
        )
        theirs.close()
        os.close(death)
        self._received = b""
        self._ids = 0
        self.ready = self.next_message(deadline)
        assert isinstance(self.ready, protocol.ForkserverReady)

    def send(self, line: bytes) -> None:
        self.control.sendall(line)

    def next_message(self, seconds: float = 10.0) -> protocol.ControlOut:
        until = time.monotonic() + seconds
        while b"\n" not in self._received:
            left = until - time.monotonic()
            assert left > 0 and select.select([self.control], [], [], left)[0], "the forkserver says nothing"
            data = self.control.recv(65536)
            assert data, "the forkserver has ended"
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return protocol.control_decoder.decode(line)

    def spawn(
        self, engine: str, model: str | Path, path: Path, options: dict, env: dict[str, str] | None = None
    ) -> WorkerSocket:
        self._ids += 1
        log = path.with_suffix(".log")
        spawn = protocol.Spawn(
            worker_id=f"w{self._ids}",
            engine=engine,
            model_path=str(model),
            socket_path=str(path),
            log_path=str(log),
            options=options,
            env=env or {},
        )
        self.send(protocol.encode_line(spawn))
        while not (
            isinstance(message := self.next_message(), protocol.Spawned) and message.worker_id == spawn.worker_id
        ):
            pass  # an Exited of an earlier worker
        return WorkerSocket(path, message.pid, log)

    def exited(self, pid: int, seconds: float = 10.0) -> protocol.Exited:
        while True:
            message = self.next_message(seconds)
            if isinstance(message, protocol.Exited) and message.pid == pid:
                return message

    def close(self) -> None:
        self.control.close()
        try:
            self.process.wait(10)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.lifeline)
