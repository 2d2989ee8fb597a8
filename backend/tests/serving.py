"""A real server process for tests: real uvicorn, real database, the fake engine unless a test wants another."""

from __future__ import annotations

import atexit
import functools
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
from tests.databases import migrated
from tests.launching import BACKEND, Launched, Launcher, plain_environment


@functools.cache
def _launcher() -> Launcher:
    """One for all servers of a process of tests."""
    made = Launcher()
    atexit.register(made.close)
    return made


@functools.cache
def _nobody_trusted() -> ssl.SSLContext:
    """For clients that speak no TLS. To read the certificates of this machine takes longer than many a test."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Server:
    """Starts `atelier serve` on a free port of 127.0.0.1 with its own data folder. Use as a context manager.

    It is forked from a process that has the imports, onto a database that has the migrations (`tests.launcher`,
    `tests.databases`); `from_nothing` is for tests of just that: a plain process, an empty folder.
    """

    def __init__(self, data_dir: Path, *, from_nothing: bool = False, **environment: str) -> None:
        self.data_dir = data_dir
        self._environment = {"ATELIER_FAKE_ENGINE": "1", "ATELIER_FAKE_STEP_SECONDS": "0.01", **environment}
        self._from_nothing = from_nothing
        self._process: subprocess.Popen[bytes] | Launched | None = None
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        self.url = ""
        self.client = httpx2.Client(verify=_nobody_trusted())
        self.certificate: Path | None = None  # what the client trusts, for a server that speaks TLS

    def start(self, seconds: float = 90.0) -> Server:
        port = _free_port()
        self.url = f"{'https' if self.certificate else 'http'}://127.0.0.1:{port}"
        process = self._process = self._begin(port)
        trusted = ssl.create_default_context(cafile=str(self.certificate)) if self.certificate else _nobody_trusted()
        self.client = httpx2.Client(base_url=self.url, timeout=30, verify=trusted)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                if self.client.get("/health").status_code == 200:
                    return self
            except httpx2.TransportError:
                time.sleep(0.02)
        process.kill()
        process.wait()
        raise AssertionError(f"the server did not start:\n{self.log_path.read_text()[-3000:]}")

    def _begin(self, port: int) -> subprocess.Popen[bytes] | Launched:
        environment = {**plain_environment(), "PYTHONPATH": str(BACKEND), "XDG_RUNTIME_DIR": _launcher().sockets}
        environment |= {"DATA_DIR": str(self.data_dir), **self._environment}
        if not self._from_nothing:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self.data_dir / "atelier.db").exists():
                migrated(self.data_dir / "atelier.db")
            return Launched(_launcher(), environment, self.log_path, port)
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "atelier", "serve", "--port", str(port)]
            return subprocess.Popen(command, cwd=BACKEND, env=environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Send a signal, wait for the end; the exit status."""
        assert self._process is not None
        if self.is_running():
            self._process.send_signal(number)
        self.client.close()
        return self._process.wait(seconds)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        if self.is_running():
            self.stop()

    # ── the calls that most tests make ──

    def generate(self, prompt: str = "a red dragon", **more: Any) -> str:
        """Ask for pictures; the job's id."""
        answer = self.client.post("/api/generate/text-to-image", json={"prompt": prompt, **more})
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    def wait_for(self, job_id: str, *statuses: str, seconds: float = 30.0) -> dict[str, Any]:
        """The job once it has one of these statuses (default: any end)."""
        wanted = statuses or ("completed", "failed", "cancelled")
        deadline = time.monotonic() + seconds
        job: dict[str, Any] = {}
        while time.monotonic() < deadline:
            job = self.client.get(f"/api/jobs/{job_id}").json()
            if job["status"] in wanted:
                return job
            time.sleep(0.03)
        raise AssertionError(f"job {job_id} is {job.get('status')} and not {wanted}: {job}")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
