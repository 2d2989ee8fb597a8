"""Remembers what loads and runs took, so that the next estimate is nearer than the last.

The rows are read once at the start; from then on the memory here answers, and every measurement is written behind it.
Losing the last ones in a power failure costs nothing but a slightly wider band.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import structlog
from sqlalchemy.exc import SQLAlchemyError

from atelier.clock import now
from atelier.db import Database
from atelier.models import store
from atelier.models.estimate import LAST, Band, Parts, Seen, learned, seconds
from atelier.tables import MemoryObservationRow

log = structlog.get_logger("atelier.models.learning")

Event = Literal["load", "run", "oom"]
FAILURE_COUNTS = timedelta(hours=6)
"""Memory that ran out may have been somebody else's doing: it is not held against a size for ever."""


@dataclass(frozen=True)
class Subject:
    """What measurements are of: a model on a kind of device with the options that change its memory."""

    model_id: str
    device_kind: str
    options: str


@dataclass(frozen=True)
class Measured:
    """One measurement: see `MemoryObservationRow`."""

    event: Event
    moving_bytes: int
    amount: float
    peak_bytes: int
    seconds: float
    at: datetime = field(default_factory=now)

    @property
    def bucket(self) -> int:
        """Quarters of a doubling of the work's size."""
        return round(4 * math.log2(self.moving_bytes)) if self.moving_bytes > 0 else 0


class Learning:
    """Estimates memory and time; `note` is what makes it wiser."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Subject, dict[tuple[Event, int], deque[Measured]]] = defaultdict(dict)
        self._writing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        async with self._database.read() as session:
            for row in await store.observations(session):
                subject = Subject(row.model_id, row.device_kind, row.options)
                event: Event = row.event  # type: ignore[assignment]
                self._remember(
                    subject,
                    Measured(event, row.moving_bytes, row.amount, row.peak_bytes, row.seconds, row.created_at),
                )

    async def close(self) -> None:
        await asyncio.gather(*self._writing, return_exceptions=True)

    def bytes(self, subject: Subject, by_formula: Parts) -> Band:
        """What it will take of each device."""
        since = now() - FAILURE_COUNTS
        counts = (m for m in self._all(subject) if m.event != "oom" or m.at > since)
        return learned(by_formula, [Seen(m.moving_bytes, m.peak_bytes, m.event == "oom") for m in counts])

    def load_seconds(self, subject: Subject) -> Band | None:
        return seconds(1.0, [(1.0, m.seconds) for m in self._all(subject, "load")])

    def run_seconds(self, subject: Subject, amount: float) -> Band | None:
        return seconds(amount, [(m.amount, m.seconds) for m in self._all(subject, "run")])

    def runs(self, subject: Subject) -> int:
        """How many loads and runs were measured."""
        return sum(m.event != "oom" for m in self._all(subject))

    def measured(self, subject: Subject) -> list[Measured]:
        """All that is kept of it."""
        return list(self._all(subject))

    def note(self, subject: Subject, measured: Measured) -> None:
        """Remember a measurement. A run or load of a size that failed clears that failure."""
        if measured.peak_bytes <= 0:
            return
        self._remember(subject, measured)
        task = asyncio.create_task(self._write(subject, measured), name="learning.write")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    # ── inside ──

    def _all(self, subject: Subject, event: Event | None = None) -> Iterable[Measured]:
        for (kind, _), some in self._known.get(subject, {}).items():
            if event is None or kind == event:
                yield from some

    def _remember(self, subject: Subject, measured: Measured) -> None:
        of_subject = self._known[subject]
        of_subject.setdefault((measured.event, measured.bucket), deque(maxlen=LAST)).append(measured)
        if measured.event != "oom":
            for key in [key for key in of_subject if key[0] == "oom" and key[1] <= measured.bucket]:
                del of_subject[key]

    async def _write(self, subject: Subject, measured: Measured) -> None:
        row = MemoryObservationRow(
            model_id=subject.model_id,
            device_kind=subject.device_kind,
            options=subject.options,
            event=measured.event,
            bucket=measured.bucket,
            moving_bytes=measured.moving_bytes,
            amount=measured.amount,
            peak_bytes=measured.peak_bytes,
            seconds=measured.seconds,
            created_at=measured.at,
        )
        try:
            async with self._database.write(durable=False) as session:
                session.add(row)
                await session.flush()
                await store.trim(session, row, LAST)
        except SQLAlchemyError as error:  # the model may have been forgotten meanwhile
            log.info("learning.not_written", model=subject.model_id, reason=str(error)[:200])
