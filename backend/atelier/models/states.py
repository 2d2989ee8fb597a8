"""Whether a model is in memory, and why not: what its workers and its waiting loads say.

    idle ──> loading ──> ready <──> parked
      ^         └──> error   └──────> error        idle: its worker was stopped, or its idle time was over

Memory only; the pool's events are its source. A failure is remembered until the model is loaded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from atelier.models.schemas import DownloadOut, ModelState
from atelier.runtime.gpu import Device
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerInfo, WorkerState
from atelier.runtime.waiting import Waiting
from atelier.said import Said
from atelier.shapes import WaitingOut


@dataclass(frozen=True)
class Standing:
    """A model's state, as `ModelOut` shows it."""

    state: ModelState
    state_reason: str | None = None
    worker_id: str | None = None
    device: str | None = None
    loaded_bytes: int = 0
    log_tail: tuple[str, ...] = ()
    left_out: tuple[Said, ...] = ()
    waiting: WaitingOut | None = None
    """Of a load that has no worker yet: one that has waits for nothing but itself."""


IDLE = Standing("idle")


def on_its_way(download: DownloadOut) -> Standing:
    """The state of a model whose files are not all here."""
    if download.state == "failed":
        return Standing("error", download.error.message if download.error else None)
    return Standing("downloading")


STATES: Mapping[WorkerState, ModelState] = {
    WorkerState.STARTING: "loading",
    WorkerState.LOADING: "loading",
    WorkerState.READY: "ready",
    WorkerState.BUSY: "ready",
    WorkerState.PARKED: "parked",
}


class ModelStates:
    """By model key. `hear` every worker; `waits` and `failed` come from loads that were asked for."""

    def __init__(self, pool: WorkerPool, devices: Sequence[Device]) -> None:
        self._pool = pool
        self._kinds = {device.index: device.kind for device in devices}
        self._waiting: dict[str, Waiting] = {}
        self._failures: dict[str, Standing] = {}

    def hear(self, info: WorkerInfo) -> None:
        """A worker changed."""
        if info.state is WorkerState.FAILED:
            self._failures[info.model] = Standing("error", info.message, log_tail=info.log_tail)
        elif info.state is WorkerState.READY:
            self._failures.pop(info.model, None)

    def waits(self, model: str, what: Waiting | None) -> None:
        """A load by hand waits for this; None: no more."""
        if what is None:
            self._waiting.pop(model, None)
        else:
            self._failures.pop(model, None)
            self._waiting[model] = what

    def failed(self, model: str, reason: str, log_tail: str | None) -> None:
        """A load by hand came to nothing."""
        lines = tuple((log_tail or "").splitlines())
        self._failures[model] = Standing("error", reason, log_tail=lines)

    def forget(self, model: str) -> None:
        self._failures.pop(model, None)
        self._waiting.pop(model, None)

    def all(self) -> dict[str, Standing]:
        """Of every model that is not simply idle. Looks at the workers' processes and logs."""
        loads = {model: Standing("loading", what.words, waiting=_told(what)) for model, what in self._waiting.items()}
        found = loads | self._failures
        for info in self._pool.running():
            if info.state in STATES:
                found[info.model] = self._of_worker(info)
        return found

    def of(self, model: str) -> Standing:
        return self.all().get(model, IDLE)

    def _of_worker(self, info: WorkerInfo) -> Standing:
        state, what = STATES[info.state], self._waiting.get(info.model)
        return Standing(
            state,
            info.message or (what.words if what else None),
            info.id,
            ",".join(f"{self._kinds.get(index, 'cuda')}:{index}" for index in info.devices),
            info.bytes_leased * len(info.devices),
            info.log_tail,
            info.left_out,
        )


def _told(what: Waiting) -> WaitingOut:
    return WaitingOut.told(what.reason, what.words, what.position, what.seconds, what.holders)
