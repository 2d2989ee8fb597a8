"""Which libraries the environments hold, and whether their CUDA and this machine's driver fit together.

Read from files as far as that goes. Only where a build for CUDA meets a driver that should run it, the environment is
asked itself, once: by a process of its own that imports torch and ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from atelier.runtime.asking import NoAnswer, ask
from atelier.runtime.contents import Contents, read_contents
from atelier.runtime.devices import Driver
from atelier.runtime.engines import SERVER_ENVIRONMENT
from atelier.runtime.environments import Environments, EnvironmentState
from atelier.runtime.gpu import GPUMonitor
from atelier.system.schemas import DependencyDetailsOut, DependencyOut

log = structlog.get_logger("atelier.system")

MODULE = "engines.inspect_cuda"
TIMEOUT_SECONDS = 120.0
PATIENCE_SECONDS = 8.0
ASK_AGAIN_SECONDS = 300.0

# Normalised name -> as people write it.
SHOWN = {
    "torch": "torch", "torchvision": "torchvision", "torchaudio": "torchaudio", "torchcodec": "torchcodec",
    "torchao": "torchao", "triton": "triton", "diffusers": "diffusers", "transformers": "transformers", "peft": "peft",
    "accelerate": "accelerate", "safetensors": "safetensors", "bitsandbytes": "bitsandbytes", "xformers": "xformers",
    "flash-attn": "flash-attn", "flashinfer-python": "flashinfer", "vllm": "vllm", "nemo-toolkit": "nemo",
    "pyannote-audio": "pyannote.audio", "sentence-transformers": "sentence-transformers",
    "huggingface-hub": "huggingface_hub", "nvidia-ml-py": "nvidia-ml-py", "fastapi": "fastapi", "uvicorn": "uvicorn",
    "sqlalchemy": "sqlalchemy",
}  # fmt: skip

# The first driver branch that runs a major version of CUDA (NVIDIA, "CUDA compatibility", minor versions).
FIRST_DRIVER = {11: "450", 12: "525", 13: "580"}


@dataclass(frozen=True)
class Verdict:
    """Whether driver and runtime fit: `fits` None where there is nothing to fit."""

    code: str
    fits: bool | None
    message: str
    params: dict[str, str] = field(default_factory=dict)


def verdict(runtime: str | None, driver: Driver | None, *, has_gpu: bool) -> Verdict:
    """Pure. `runtime` as in "12.8.90", None for a build without CUDA.

    A driver runs every CUDA up to its own, and by CUDA's minor-version compatibility every one of the same major.
    """
    if runtime is None:
        words = "Built without CUDA: it runs on the processor." + (" The GPU is not used." if has_gpu else "")
        return Verdict("cpu_build", None, words)
    if not has_gpu or driver is None:
        return Verdict("no_gpu", None, f"Built for CUDA {runtime}; this machine has no NVIDIA GPU that may be used.")
    if driver.cuda is None:
        return Verdict("driver_unknown", None, f"The driver {driver.version} does not say which CUDA it can run.")
    wanted = _numbers(runtime)
    offered = f"{driver.cuda[0]}.{driver.cuda[1]}"
    params = {"runtime": runtime, "driver": driver.version, "offered": offered}
    if wanted <= driver.cuda:
        return Verdict("fits", True, f"The driver {driver.version} runs CUDA up to {offered}.", params)
    if wanted[0] == driver.cuda[0]:
        words = f"The driver {driver.version} was made for CUDA {offered} and runs {runtime} in compatibility."
        return Verdict("fits_by_compatibility", True, words + " A newer driver may be faster.", params)
    needed = FIRST_DRIVER.get(wanted[0], "the newest")
    words = f"The driver {driver.version} runs CUDA up to {offered}, but this environment was built for {runtime}. "
    return Verdict(
        "driver_too_old", False, words + f"Install driver {needed} or newer.", {**params, "needed_driver": needed}
    )


class DependencyInspector:
    """`instance` marks the processes that it starts as this server's."""

    def __init__(self, environments: Environments, monitor: GPUMonitor, instance: str) -> None:
        self._environments, self._monitor, self._instance = environments, monitor, instance
        self._contents: dict[Path, Contents] = {}
        self._asked: dict[Path, asyncio.Task[dict[str, Any]]] = {}
        self._asked_at: dict[Path, float] = {}

    async def start(self) -> None:
        """Nothing is asked before somebody wants to know."""

    async def close(self) -> None:
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def all(self) -> list[DependencyOut]:
        """Of every environment that is built, and of the server's own."""
        places = {SERVER_ENVIRONMENT: Path(sys.prefix)}
        for name in self._environments.names():
            info = self._environments.status(name)
            if info.state is EnvironmentState.READY:
                places[name] = info.path
        found = await asyncio.gather(*(self._of(name, path) for name, path in places.items()))
        return [one for several in found for one in several]

    # ── inside ──

    async def _of(self, name: str, path: Path) -> list[DependencyOut]:
        if path not in self._contents:
            self._contents[path] = await asyncio.to_thread(read_contents, path)
        contents = self._contents[path]
        details = await self._details(name, path, contents)
        return [
            DependencyOut(
                environment=name,
                name=shown,
                version=contents.packages[package],
                cuda=contents.cuda.get(package),
                details=details,
            )
            for package, shown in SHOWN.items()
            if package in contents.packages
        ]

    async def _details(self, name: str, path: Path, contents: Contents) -> DependencyDetailsOut:
        has_gpu = any(device.kind == "cuda" for device in self._monitor.devices)
        runtime, cudnn = contents.cuda_runtime, contents.cudnn
        found = verdict(runtime, self._monitor.driver, has_gpu=has_gpu)
        available: bool | None = False
        if found.fits:
            answer = await self._answer(name, path)
            available = answer.get("cuda_available")
            cudnn = cudnn or answer.get("cudnn")
            if available is False:
                why = answer.get("error") or "torch sees no device"
                found = Verdict("unavailable", False, f"The driver fits, but CUDA cannot be used: {why}", found.params)
        return DependencyDetailsOut(
            cuda_runtime=runtime,
            cudnn=cudnn,
            cuda_available=available,
            fits=found.fits,
            code=found.code,
            message=found.message,
            params=found.params,
        )

    async def _answer(self, name: str, path: Path) -> dict[str, Any]:
        """What the environment says of itself; empty while it is still thinking. A failure is asked again later."""
        task = self._asked.get(path)
        if task is None or (_failed(task) and time.monotonic() - self._asked_at[path] > ASK_AGAIN_SECONDS):
            python = self._environments.python(name) or path / "bin" / "python"
            question = ask(python, MODULE, instance=self._instance, timeout=TIMEOUT_SECONDS)
            task = self._asked[path] = asyncio.create_task(question, name=f"inspect {name}")
            self._asked_at[path] = time.monotonic()
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not task.done():
            return {"cuda_available": None}
        try:
            return task.result()
        except (NoAnswer, OSError) as reason:
            log.warning("system.inspection_failed", environment=name, reason=str(reason))
            return {"cuda_available": False, "error": f"the environment could not be asked: {reason}"}


def _failed(task: asyncio.Task[dict[str, Any]]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _numbers(version: str) -> tuple[int, int]:
    major, minor, *_ = [*version.split("."), "0", "0"]
    return int(major), int(minor)
