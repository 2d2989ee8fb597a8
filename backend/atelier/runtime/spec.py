"""Which worker is wanted, what it is doing, and how pages see it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from atelier.said import Said


class WorkerState(StrEnum):
    """What a worker is. Written by `Worker._live` only; passing states have deadlines.

    starting ──pid──> loading ──health: ready──> ready <──hold/release──> busy
       │                 │ ^                      │ │                      │
       │                 │ └──wake── parked <─park┘ │                      │
       ├── deadline, exit, load failed ─────────────┴── exit, silence, nonsense, cancel ignored ──> failed
       └── stop() from any of them ──> stopping ──process tree gone──> stopped

    starting and loading share the engine's start deadline; stopping ends within SIGTERM's grace and ten seconds.
    """

    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    PARKED = "parked"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (WorkerState.STOPPED, WorkerState.FAILED)


HIDDEN = "•••"
"""In place of the name of a model that is none of the viewer's business; no key can be so."""


@dataclass(frozen=True)
class WorkerSpec:
    """Which worker is wanted. Specs of the same engine, model and options share one worker, whatever else they say.

    `bytes_needed` is on each of its devices: `spread` of them, out of `devices` (empty: any). `ttl_seconds` is how long
    it may be idle (None: as the pool says; 0: for ever); a `pinned` one is never stopped nor parked to make room.
    `load_seconds` is how long loading took before, where somebody knows. `owner`: whose model it is alone ("":
    everyone's). `host_bytes`: what it has in the machine's memory while it works on a GPU (an offloaded one).
    """

    engine: str
    model: str
    model_path: Path
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    bytes_needed: int = 0
    devices: tuple[int, ...] = ()
    spread: int = 1
    pinned: bool = False
    ttl_seconds: float | None = None
    load_seconds: float | None = None
    owner: str = ""
    host_bytes: int = 0

    @functools.cached_property
    def key(self) -> str:
        return repr((self.engine, self.model, str(self.model_path), self.options))

    def called(self, owner: str) -> str:
        """The model's name for whoever owns these models (""; somebody who owns none)."""
        return self.model if self.owner in ("", owner) else HIDDEN


@dataclass(frozen=True)
class WorkerInfo:
    """A worker as pages show it. `bytes_leased` is on each of its devices, `held_bytes` what it has of that now (less
    when it is parked), `weights_bytes` what it loaded, `host_bytes` what of it lies in the host's memory; `left_out`:
    load options that could not be had."""

    id: str
    engine: str
    model: str
    state: WorkerState
    pid: int | None
    bytes_leased: int
    rss_bytes: int | None
    devices: tuple[int, ...]
    started_at: datetime
    held_bytes: int = 0
    weights_bytes: int = 0
    host_bytes: int = 0
    pinned: bool = False
    reload_seconds: float = 0.0
    priority: int = 0
    idle_since: datetime | None = None
    message: str | None = None
    owner: str = ""
    left_out: tuple[Said, ...] = ()
    log_tail: tuple[str, ...] = field(default=(), repr=False)

    @property
    def device(self) -> int:
        """The first of its devices."""
        return self.devices[0]
