"""Every engine that exists: which environment it runs in, what it can do, how long it may take.

The map is total: adding a name to `EngineName` without an entry fails at import.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SERVER_ENVIRONMENT = "server"
"""Name of the environment that the server itself runs in; engines without libraries of their own use it."""


class EngineName(StrEnum):
    DIFFUSERS_IMAGE = "diffusers_image"
    FAKE = "fake"
    HUB_DOWNLOAD = "hub_download"
    PICTURE_READER = "picture_reader"
    TRANSFORMERS_CHAT = "transformers_chat"
    VLLM_CHAT = "vllm_chat"
    VLLM_CPU_CHAT = "vllm_cpu_chat"


@dataclass(frozen=True)
class EngineEntry:
    """`start_deadline_s`: from spawn to ready, loading included. `silence_deadline_s`: between two lines of a run.
    `step_deadline_s`: between two steps of a run, for an engine that hangs in a library while its heartbeats go on.

    `forkable` engines are imported once in the forkserver; others are imported anew in each worker. An engine that
    `spreads` runs one model over several devices at once, with the same number of bytes on each.

    An engine that `speaks_openai` may serve OpenAI's API itself, on `Worker.openai_socket`.

    An engine that is not `on_device` takes no device memory: its workers never wait for any, nor anybody for theirs.
    """

    environment: str
    module: str
    tasks: frozenset[str]
    start_deadline_s: float
    silence_deadline_s: float = 15.0
    step_deadline_s: float = 900.0
    forkable: bool = True
    spreads: bool = False
    on_device: bool = True
    speaks_openai: bool = False


ENGINES: dict[EngineName, EngineEntry] = {
    EngineName.DIFFUSERS_IMAGE: EngineEntry(
        environment="image",
        module="engines.diffusers_image",
        tasks=frozenset({"text-to-image", "image-to-video"}),
        start_deadline_s=300.0,
    ),
    EngineName.FAKE: EngineEntry(
        environment=SERVER_ENVIRONMENT,
        module="engines.fake",
        tasks=frozenset({"text-to-image", "image-to-video", "chat", "embed", "fake"}),
        start_deadline_s=60.0,
        speaks_openai=True,
    ),
    # Rarely used and quickly imported: a forkserver would keep its libraries in memory for good.
    EngineName.HUB_DOWNLOAD: EngineEntry(
        environment="hub",
        module="engines.hub_download",
        tasks=frozenset({"hub-search", "hub-token", "hub-plan", "hub-download"}),
        start_deadline_s=60.0,
        forkable=False,
        on_device=False,
    ),
    # Whatever a decoder does, it does in a child of this one (doc/decisions/0014).
    EngineName.PICTURE_READER: EngineEntry(
        environment=SERVER_ENVIRONMENT,
        module="engines.picture_reader",
        tasks=frozenset({"read-picture", "read-metadata", "extend-canvas"}),
        start_deadline_s=60.0,
        on_device=False,
    ),
    # Chat engines start a server of their own library: the worker imports next to nothing, so there is nothing to fork.
    EngineName.TRANSFORMERS_CHAT: EngineEntry(
        environment="chat-transformers",
        module="engines.transformers_chat",
        tasks=frozenset({"chat"}),
        start_deadline_s=660.0,
        forkable=False,
        speaks_openai=True,
    ),
    EngineName.VLLM_CHAT: EngineEntry(
        environment="chat",
        module="engines.vllm_chat",
        tasks=frozenset({"chat", "embed"}),
        start_deadline_s=1560.0,
        forkable=False,
        spreads=True,
        speaks_openai=True,
    ),
    EngineName.VLLM_CPU_CHAT: EngineEntry(
        environment="chat-cpu",
        module="engines.vllm_cpu_chat",
        tasks=frozenset({"chat", "embed"}),
        start_deadline_s=1560.0,
        forkable=False,
        speaks_openai=True,
    ),
}


def on_device(engine: str) -> bool:
    """Whether an engine's workers take part in the placement. One that does not exist does: it is refused there."""
    return engine not in set(EngineName) or ENGINES[EngineName(engine)].on_device


assert set(ENGINES) == set(EngineName), "every engine needs an entry"
