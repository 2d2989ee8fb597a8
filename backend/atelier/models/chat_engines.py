"""Which engine runs a chat or embedding model on this machine, and why. `choose` is pure.

No row holds the choice: the same database on another machine, or after an environment was set up, gives another one.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from atelier.runtime.abilities import ABILITIES
from atelier.runtime.engines import ENGINES, SERVER_ENVIRONMENT, EngineName
from atelier.runtime.gpu import Device
from atelier.said import Said

CHAT_TASKS = frozenset({"chat", "embed"})
LEAST_CAPABILITY = (7, 5)
"""CUDA compute capability that vLLM's builds are made for: Turing and newer."""

LEAST_FLAGS = frozenset({"avx2", "fma"})
"""What a processor must have for vLLM's CPU build."""

PEOPLE_SAY = {
    EngineName.VLLM_CHAT: "vLLM",
    EngineName.VLLM_CPU_CHAT: "vLLM (CPU)",
    EngineName.TRANSFORMERS_CHAT: "transformers",
    EngineName.FAKE: "fake",
}


@dataclass(frozen=True)
class Processor:
    """`machine` as `uname -m` says it; `flags` of /proc/cpuinfo."""

    machine: str
    flags: frozenset[str]

    @property
    def runs_vllm(self) -> bool:
        return self.machine == "x86_64" and self.flags >= LEAST_FLAGS


@dataclass(frozen=True)
class Choice:
    """`engine` None: none of them runs such a model here."""

    engine: EngineName | None
    reason: Said


def choose(
    task: str,
    wanted: str | None,
    devices: Sequence[Device],
    processor: Processor,
    built: Callable[[str], bool],
    broken: Callable[[str], bool] = lambda _environment: False,
) -> Choice:
    """`wanted`: an engine that somebody chose for this model. `built` tells whether an environment is there, `broken`
    whether it could not be set up: then another engine is as good as one that is there."""
    gpus = [device for device in devices if device.kind == "cuda"]
    if wanted is not None:
        engine = EngineName(wanted)
        return Choice(
            engine, Said(f"{PEOPLE_SAY[engine]}, as chosen for this model.", "chat_engine.wanted", engine=wanted)
        )
    best = _by_hardware(gpus, processor)
    others = [
        name for name in (EngineName.VLLM_CPU_CHAT, EngineName.TRANSFORMERS_CHAT) if _runs(name, task, gpus, processor)
    ]
    if best.engine is not None and not ABILITIES[best.engine].embed_routes and task == "embed":
        return Choice(None, Said("No engine here makes embeddings: that takes vLLM.", "chat_engine.no_embeddings"))
    assert best.engine is not None
    if not built(ENGINES[best.engine].environment):
        may_be_used = _not(broken) if broken(ENGINES[best.engine].environment) else built
        for other in others:
            if other is not best.engine and may_be_used(ENGINES[other].environment):
                names = {"engine": other.value, "better": best.engine.value}
                text = f"{PEOPLE_SAY[other]}: {PEOPLE_SAY[best.engine]} would suit this machine, but is not set up."
                return Choice(other, Said(text, "chat_engine.not_built", **names))
    return best


def _not(holds: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda environment: not holds(environment)


def _by_hardware(gpus: Sequence[Device], processor: Processor) -> Choice:
    able = [gpu for gpu in gpus if gpu.capability is not None and gpu.capability >= LEAST_CAPABILITY]
    if able:
        text = f"vLLM, on {able[0].name}."
        return Choice(EngineName.VLLM_CHAT, Said(text, "chat_engine.gpu", device=able[0].name))
    if gpus:
        text = f"transformers, because vLLM does not run on {gpus[0].name}."
        return Choice(EngineName.TRANSFORMERS_CHAT, Said(text, "chat_engine.gpu_old", device=gpus[0].name))
    if processor.runs_vllm:
        text = "vLLM on the processor, because this machine has no GPU that may be used."
        return Choice(EngineName.VLLM_CPU_CHAT, Said(text, "chat_engine.cpu"))
    text = "transformers, because vLLM does not run on this processor."
    return Choice(EngineName.TRANSFORMERS_CHAT, Said(text, "chat_engine.cpu_old"))


def _runs(name: EngineName, task: str, gpus: Sequence[Device], processor: Processor) -> bool:
    if task == "embed" and not ABILITIES[name].embed_routes:
        return False
    return name is EngineName.TRANSFORMERS_CHAT or (not gpus and processor.runs_vllm)


@lru_cache(maxsize=1)
def this_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return Processor(platform.machine(), frozenset(flags))


class ChatEngines:
    """`choose` for this machine, or the fake engine for tests of everything else."""

    def __init__(
        self,
        devices: Sequence[Device],
        built: Callable[[str], bool],
        broken: Callable[[str], bool] = lambda _environment: False,
        *,
        fake: bool = False,
    ) -> None:
        self._devices, self._built, self._broken, self._fake = devices, built, broken, fake

    def environments(self) -> tuple[str, ...]:
        """Those that a chat engine may need on this machine, the best one's first."""
        if self._fake:
            return ()
        gpus = [device for device in self._devices if device.kind == "cuda"]
        best = _by_hardware(gpus, this_processor()).engine or EngineName.TRANSFORMERS_CHAT
        names = (best, EngineName.TRANSFORMERS_CHAT)
        return tuple(dict.fromkeys(ENGINES[name].environment for name in names))

    def is_built(self, environment: str) -> bool:
        return environment == SERVER_ENVIRONMENT or self._built(environment)

    def of(self, task: str, wanted: str | None = None) -> Choice:
        """The engine for a model of this task."""
        if self._fake:
            return Choice(EngineName.FAKE, Said("The fake engine: it holds no model.", "chat_engine.fake"))
        return choose(task, wanted, self._devices, this_processor(), self._built, self._broken)
