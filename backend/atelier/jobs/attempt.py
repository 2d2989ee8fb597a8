"""One attempt at a job, while it runs: its progress, why it waits, and whether it was asked to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from atelier.events import EventBus, JobProgress
from atelier.jobs.store import Fence
from atelier.shapes import PreviewOut, SaidOut, WaitingOut
from atelier.tables import Job

PROGRESS_SECONDS = 0.25

Publish = Callable[[AsyncSession], Awaitable[None]]


async def nothing_to_publish(_session: AsyncSession) -> None:
    """For jobs whose result is not rows."""


@dataclass(frozen=True)
class Handler:
    """How a kind of job is run.

    `run` does the work and answers what to do in the transaction that ends the job (rows, events after commit).
    `blocked` says why jobs of this kind cannot begin yet, or None. Jobs of one `lane` share its slots.
    """

    lane: str
    run: Callable[[Attempt], Awaitable[Publish]]
    blocked: Callable[[], WaitingOut | None] = lambda: None
    forget: Callable[[str], Awaitable[None]] | None = None  # drops what an unfinished job left on disk


@dataclass(eq=False, slots=True)
class Attempt:
    """Handed to `Handler.run`. Owned by the runner's task of this attempt."""

    job: Job
    bus: EventBus
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    step: int = 0
    total_steps: int = 0
    message: str | None = None
    waiting: WaitingOut | None = None
    eta_seconds: float | None = None
    changed: Callable[[Attempt], None] = lambda _attempt: None
    joins: Any = None  # the run under way that it was brought in for
    in_lane: bool = True  # takes one of its lane's slots
    mates: int = 1  # so many jobs share its run of a worker, itself included
    out_of_lane: Callable[[], None] = lambda: None
    shown: dict[int, PreviewOut] = field(default_factory=dict)  # the latest of each picture, for who comes later
    _previews: dict[int, PreviewOut] = field(default_factory=dict)
    _begun: tuple[float, int] | None = None
    _sent: float = 0.0
    _later: asyncio.TimerHandle | None = None
    _over: bool = False
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started

    @property
    def fence(self) -> Fence:
        return Fence(self.job.id, self.job.attempt)

    def waits(
        self,
        reason: Any,
        message: str,
        position: int | None = None,
        seconds: float | None = None,
        holders: Sequence[object] = (),
    ) -> None:
        """Say why nothing moves, at which place in the line, for how long and for whom; shown until the next
        progress."""
        waiting = WaitingOut.told(reason, message, position, seconds, holders)
        if waiting != self.waiting:
            self.waiting = waiting
            self.changed(self)

    def progress(
        self, step: int, total: int, message: str | None = None, previews: list[PreviewOut] | None = None
    ) -> None:
        """Note progress. It is sent at most four times a second, the latest wins; it never goes back."""
        if self._over:
            return
        resumed, self.waiting = self.waiting is not None, None
        self.step, self.total_steps = max(step, self.step if total == self.total_steps else 0), total
        self.message = message
        for preview in previews or []:
            self._previews[preview.index] = self.shown[preview.index] = preview
        now = time.monotonic()
        self.eta_seconds = self._forecast(now, step, total)
        if resumed:
            self.changed(self)
        wait = self._sent + PROGRESS_SECONDS - now
        if wait <= 0:
            self._send()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(wait, self._send)

    def _forecast(self, now: float, step: int, total: int) -> float | None:
        """Seconds left, from the pace since the first step: what came before it was loading and says nothing."""
        if step > 0 and (self._begun is None or self._begun[1] > step):
            self._begun = (now, step)
        if self._begun is None or step <= self._begun[1]:
            return None
        begun, first = self._begun
        return round((now - begun) / (step - first) * (total - step), 1)

    def leave_lane(self) -> None:
        """What its lane shares is no longer used; only the end is to be written. The next job may begin."""
        if self.in_lane:
            self.in_lane = False
            self.out_of_lane()

    def over(self) -> None:
        """No progress after the end."""
        self._over = True
        if self._later:
            self._later.cancel()

    def _send(self) -> None:
        self._later = None
        if self._over:
            return
        self._sent = time.monotonic()
        previews, self._previews = list(self._previews.values()), {}
        event = JobProgress(
            id=self.job.id,
            attempt=self.job.attempt,
            step=self.step,
            total_steps=self.total_steps,
            progress=min(1.0, self.step / self.total_steps) if self.total_steps else 0.0,
            message=self.message,
            said=SaidOut.of(self.message),
            eta_seconds=self.eta_seconds,
            previews=previews or None,
        )
        # Frames that carry pictures are not replaced by frames that do not: each preview is wanted once.
        key = None if previews else f"progress:{self.job.id}"
        self.bus.publish(event, owner=self.job.owner_id, key=key)
