"""Chat engines running for tests, asked over their Unix sockets: `engines.host` in the engine's own environment, alone
or started by a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from atelier.config import BACKEND, read_settings
from atelier.runtime.abilities import ABILITIES
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.environments import Environments
from engines.openai_child import UnixConnection, descendants
from serving import Server

LORE = BACKEND / "embedded" / "models" / "lore"
START_SECONDS = 420.0
ASK_SECONDS = 120.0


def environments() -> Environments:
    return Environments(read_settings(dict(os.environ)).storage.environments_dir, BACKEND / "requirements")


def not_built(engine: EngineName) -> str:
    """Why it cannot run here; empty when it can."""
    name = ENGINES[engine].environment
    return "" if environments().python(name) else f"the environment {name} is not built"


class EngineOnSockets:
    """`names` are what requests may call its model; the first one stands in answers."""

    def __init__(self, name: EngineName, socket: Path, names: tuple[str, ...], context: int) -> None:
        self.name, self.abilities, self.names, self.context = name, ABILITIES[name], names, context
        self.socket, self.openai_socket = socket, socket.with_suffix(".v1")

    def health(self) -> dict[str, Any]:
        try:
            return self._exchange(self.socket, "GET", "/health", None, 5.0)[1]
        except OSError:
            return {}

    def ask(self, path: str, body: dict[str, Any] | None = None, *, model: str = "") -> tuple[int, Any]:
        """Status and body of one request."""
        if body is None:
            return self._exchange(self.openai_socket, "GET", path, None, ASK_SECONDS)
        return self._exchange(self.openai_socket, "POST", path, {"model": model or self.names[0], **body}, ASK_SECONDS)

    def chat(self, content: Any = "Hello", **fields: Any) -> dict[str, Any]:
        status, answer = self.ask(
            "/v1/chat/completions", {"messages": [{"role": "user", "content": content}], **fields}
        )
        assert status == 200, answer
        return answer

    def stream(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """Every event of a stream; it must end with [DONE]."""
        connection = UnixConnection(self.openai_socket, ASK_SECONDS)
        try:
            raw = json.dumps({"model": self.names[0], "stream": True, **body}).encode()
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


class RunningEngine(EngineOnSockets):
    """With `lore`, under two names. Started in a session of its own; `close` leaves nothing."""

    def __init__(self, name: EngineName, folder: Path, **options: Any) -> None:
        super().__init__(name, folder / "w.sock", ("lore", "tests/lore"), 1024)
        self.log = folder / "log"
        python = environments().python(ENGINES[name].environment)
        assert python is not None
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "CUDA"))}
        env |= {"PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        options = {"task": "chat", "served": "|".join(self.names), "max_model_len": self.context} | options
        with open(self.log, "wb") as log:
            command = [python, "-m", "engines.host", name, "--model-path", LORE, "--socket", self.socket]
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

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

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


class ServedEngine(EngineOnSockets):
    """The worker of a model that a server loaded. `sockets`: where the server was told to put them."""

    def __init__(self, server: Server, model: str, sockets: Path, names: tuple[str, ...]) -> None:
        shown = loaded(server, model)
        (socket,) = sockets.rglob(f"{shown['worker_id']}.sock")
        super().__init__(EngineName(shown["chat"]["engine"]), socket, names, shown["chat"]["context"])
        self.server, self.model = server, model
        workers = server.client.get("/api/system").json()["workers"]
        self.pid = next(one["pid"] for one in workers if one["id"] == shown["worker_id"])

    def tail(self) -> str:
        return "\n".join(self.server.client.get(f"/api/models/{self.model}").json()["log_tail"])

    def below(self) -> set[int]:
        """Everything that it started and that still runs."""
        return descendants(self.pid, session=self.pid)


def loaded(server: Server, model: str) -> dict[str, Any]:
    """The model, once it is in memory."""
    answer = server.client.post(f"/api/admin/models/{model}/load", json={})
    assert answer.status_code in (200, 202), answer.text
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        shown = server.client.get(f"/api/models/{model}").json()
        assert shown["state"] != "error", (shown["state_reason"], shown["log_tail"])
        if shown["state"] == "ready":
            return shown
        time.sleep(0.2)
    raise AssertionError(f"{model} is not loaded: {shown['state_reason']}")


def tiny_models(folder: Path, *kinds: str) -> Path:
    """Models of random weights (see `tests/engines/tiny_chat.py`), made by an environment that has transformers."""
    python = environments().python("chat-transformers") or environments().python("chat-cpu")
    assert python is not None
    env = dict(os.environ) | {"PYTHONPATH": str(BACKEND / "engines" / "cpu_torch_site")}
    command = [python, BACKEND / "tests" / "engines" / "tiny_chat.py", folder, *kinds]
    subprocess.run(command, check=True, timeout=300, env=env)
    return folder
