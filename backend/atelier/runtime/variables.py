"""Which environment variables an engine process gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from atelier.runtime.reaper import INSTANCE, SERVER, server_mark

BACKEND = Path(__file__).resolve().parents[2]

PASSED = ("PATH", "HOME", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES",
          "NVIDIA_DRIVER_CAPABILITIES", "ATELIER_FAILPOINTS")  # fmt: skip
PASSED_PREFIXES = ("CUDA_", "OMP_", "MKL_", "PYTORCH_")
SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD")


def engine_environment(server: Mapping[str, str], instance: str, *, is_servers_own: bool) -> dict[str, str]:
    """The variables of an engine process: a short list of the server's, none that could be a secret, and ours.

    An environment that was built was compiled then, so nothing needs to be written; the server's own environment
    (`is_servers_own`) keeps the server's place for compiled files instead.
    """
    env = {
        name: value
        for name, value in server.items()
        if (name in PASSED or name.startswith(PASSED_PREFIXES)) and not any(word in name for word in SECRET_WORDS)
    }
    env.setdefault("PATH", os.defpath)
    if not is_servers_own:
        env["PYTHONDONTWRITEBYTECODE"] = "1"
    elif prefix := server.get("PYTHONPYCACHEPREFIX"):
        env["PYTHONPYCACHEPREFIX"] = prefix
    return env | {
        INSTANCE: instance,
        SERVER: server_mark(),
        "PYTHONPATH": str(BACKEND),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # PyTorch then asks the kernel for huge pages under tensors of 2 MB and more: weights come into memory with less
        # than half the CPU time, which is mostly page faults (`bench.model_load`).
        "THP_MEM_ALLOC_ENABLE": "1",
    }
