"""Last of all: vLLM's server is killed in the middle of an answer. Whoever asked is told, and nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from tests.chat_engines.conftest import Studio
from tests.chat_engines.running import ServedEngine


def test_the_engine_is_killed_in_the_middle(studio: Studio, lore_on_vllm: ServedEngine) -> None:
    everything = lore_on_vllm.below()
    server = next(pid for pid in sorted(everything) if _fields(pid)[1] == str(lore_on_vllm.pid))
    temporary = lore_on_vllm.socket.with_suffix(".tmp")
    assert list(temporary.iterdir()), "what it puts down for a while lies beside its sockets"
    body = {"model": "lore", "messages": [{"role": "user", "content": "Describe a red dragon"}], "max_tokens": 1500}
    body |= {"stream": True, "ignore_eos": True}
    with studio.client.stream("POST", "/v1/chat/completions", json=body, timeout=30) as answer:
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        assert "error" not in json.loads(first[6:])
        began = time.monotonic()
        os.kill(server, signal.SIGKILL)
        last = [line for line in lines if line.startswith("data: {")][-1]
    assert time.monotonic() - began < 5.0
    assert json.loads(last[6:])["error"]["message"], "a final error, in OpenAI's words"
    deadline = time.monotonic() + 5.0
    while (left := {pid for pid in everything if _lives(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()
    deadline += 5.0
    while temporary.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not temporary.exists() and not lore_on_vllm.openai_socket.exists()


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ["", ""]


def _lives(pid: int) -> bool:
    return _fields(pid)[0] not in ("", "Z", "X")
