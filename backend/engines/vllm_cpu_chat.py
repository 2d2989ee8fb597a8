"""Chat and embedding models by vLLM on the processor: `engines.vllm_chat` with a build for CPUs, in an environment of
its own. `engines/cpu_torch_site` makes what pip installs there fit together.

    python -m engines.host vllm_cpu_chat --model-path embedded/models/lore --socket /tmp/w.sock
"""

from __future__ import annotations

from pathlib import Path

from engines.engine import Options
from engines.vllm_chat import TASKS, VLLMChat, command, environment

__all__ = ["TASKS", "load"]


def load(model_path: Path, options: Options) -> VLLMChat:
    arguments, env = command(model_path, options, on_gpu=False), environment(options, on_gpu=False)
    return VLLMChat(model_path, options, arguments, env)
