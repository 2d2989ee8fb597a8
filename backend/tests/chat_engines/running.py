"""A chat engine running for tests: `engines.host` in the engine's own environment, asked over its Unix sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atelier.config import BACKEND, read_settings
from atelier.runtime.abilities import ABILITIES
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.environments import Environments
from engines.openai_child import UnixConnection, descendants

START_SECONDS = 420.0
ASK_SECONDS = 120.0


def environments() -> Environments:
    return Environments(read_settings(dict(os.environ)).storage.environments_dir, BACKEND / "requirements")


class RunningEngine:
    """Names `tiny` and `tests/tiny`. Started in a session of its own; `close` leaves nothing."""

    def __init__(self, name: EngineName, model: Path, folder: Path, **options: Any) -> None:
        self.name, self.abilities = name, ABILITIES[name]
        self.socket, self.openai_socket, self.log = folder / "w.sock", folder / "w.v1", folder / "log"
        python = environments().python(ENGINES[name].environment)
        assert python is not None
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "CUDA"))}
        env |= {"PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        options = {"task": "chat", "served": "tiny|tests/tiny", "max_model_len": 1024} | options
        with open(self.log, "wb") as log:
            command = [python, "-m", "engines.host", name, "--model-path", model, "--socket", self.socket]
            self.process = subprocess.Popen(
                [*command, "--options", json.dumps(options)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, cwd="/", start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until it is loaded."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"it ended:\n{self.tail()}"
            health = self.health()
            assert health.get("phase") != "failed", f"{health}\n{self.tail()}"
            if health.get("phase") == "ready":
                return
            time.sleep(0.2)
        raise AssertionError(f"not ready within {START_SECONDS} s:\n{self.tail()}")

    def health(self) -> dict[str, Any]:
        try:
            return self._exchange(self.socket, "GET", "/health", None, 5.0)[1]
        except OSError:
            return {}

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

    def ask(self, path: str, body: dict[str, Any] | None = None, *, model: str = "tiny") -> tuple[int, Any]:
        """Status and body of one request."""
        if body is None:
            return self._exchange(self.openai_socket, "GET", path, None, ASK_SECONDS)
        return self._exchange(self.openai_socket, "POST", path, {"model": model, **body}, ASK_SECONDS)

    def chat(self, text: str = "Hello", **fields: Any) -> dict[str, Any]:
        status, answer = self.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], **fields})
        assert status == 200, answer
        return answer

    def stream(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """Every event of a stream; it must end with [DONE]."""
        connection = UnixConnection(self.openai_socket, ASK_SECONDS)
        try:
            raw = json.dumps({"model": "tiny", "stream": True, **body}).encode()
            connection.request("POST", path, raw, {"content-type": "application/json"})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")
            events = [line[6:] for line in response.read().decode().splitlines() if line.startswith("data: ")]
        finally:
            connection.close()
        assert events[-1] == "[DONE]"
        return [json.loads(event) for event in events[:-1]]

    def _exchange(self, socket: Path, method: str, path: str, body: Any, seconds: float) -> tuple[int, Any]:
        connection = UnixConnection(socket, seconds)
        try:
            raw = None if body is None else json.dumps(body).encode()
            connection.request(method, path, raw, {"content-type": "application/json"} if raw else {})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
        finally:
            connection.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15.0)
            except subprocess.TimeoutExpired:
                pass
        for pid in [*self.below(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def below(self) -> set[int]:
        """Everything that it started and that still runs."""
        return descendants(self.process.pid, session=self.process.pid)


def tiny_model(folder: Path) -> Iterator[Path]:
    """A model of random weights, made by an environment that has transformers."""
    python = environments().python("chat-transformers") or environments().python("chat-cpu")
    assert python is not None
    env = dict(os.environ) | {"PYTHONPATH": str(BACKEND / "engines" / "cpu_torch_site")}
    subprocess.run([python, BACKEND / "tests" / "engines" / "tiny_chat.py", folder], check=True, timeout=300, env=env)
    yield folder
