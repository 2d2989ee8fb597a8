"""Chat models through `transformers serve`: slower than vLLM, and runs wherever PyTorch does.

    python -m engines.host transformers_chat --model-path embedded/models/lore --socket /tmp/w.sock

Load options: `served`, `dtype`, `max_model_len`, `threads`; see `engines.vllm_chat`. What it lacks beside vLLM stands
in `atelier.runtime.abilities`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engines.engine import OPENAI_SOCKET, Options, RunFailed
from engines.openai_child import OpenAIChild
from engines.protocol import Done, Message
from engines.vllm_chat import CPU_SITE, explain, left_out, served_names, weights_in

TASKS: tuple[type, ...] = ()
START_SECONDS = 600.0


def load(model_path: Path, options: Options) -> TransformersChat:
    return TransformersChat(model_path, options)


class TransformersChat:
    """The server, running."""

    serves_openai = True

    def __init__(self, model_path: Path, options: Options) -> None:
        on_gpu = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))
        self.device = "cuda" if on_gpu else "cpu"
        self.weights_bytes = weights_in(model_path)
        self.left_out = left_out(options, "engine", cache=False)
        self.child = OpenAIChild(
            command(model_path, options, self.device), Path(str(options[OPENAI_SOCKET])), _environment(options)
        )
        self.child.start(START_SECONDS, explain)
        measured = 0 if on_gpu else self.child.memory_bytes()
        self.load_peak_bytes = measured or int(options.get("memory_bytes") or 0)

    def run(self, task: Message, run: object) -> Done:
        raise RunFailed("refused", "chat goes through OpenAI's API", "Ask there.", sentence="chat_by_api")

    def close(self) -> None:
        self.child.close()


def command(model_path: Path, options: Options, device: str) -> list[str]:
    """Pure: what starts the server."""
    arguments = [
        sys.executable,
        "-m",
        "engines.transformers_serve",
        str(model_path),
        "--uds",
        str(options[OPENAI_SOCKET]),
    ]
    for name in served_names(model_path, options):
        arguments += ["--name", name]
    arguments += ["--device", device, "--dtype", str(options.get("dtype") or "auto")]
    if limit := options.get("max_model_len"):
        arguments += ["--max-model-len", str(limit)]
    return arguments


def _environment(options: Options) -> dict[str, str]:
    threads = options.get("threads") or os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1
    path = os.pathsep.join([str(CPU_SITE), os.environ.get("PYTHONPATH", "")])
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return {**offline, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}
