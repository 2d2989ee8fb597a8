"""What each key uses of each model: counted in memory, written to the `usage` table a few times a minute.

A request costs a handful of additions. What was counted since the last write is lost when the server is killed; it is
a record for people, not for bills.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from atelier.access.actor import Actor
from atelier.chat import usage_store
from atelier.chat.order import Order
from atelier.clock import now
from atelier.db import Database

log = logging.getLogger(__name__)

WRITE_SECONDS = 5.0
MOST_TALLIES = 4096
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds: the upper ends of the buckets that durations are counted in."""
_TOKENS = re.compile(rb'"(prompt|completion|input|output)_tokens":\s?(\d+)')


class Count:
    """One request under way."""

    __slots__ = ("actor", "begun", "first", "model", "path")

    def __init__(self, actor: str, model: str, path: str, begun: float) -> None:
        self.actor, self.model, self.path, self.begun = actor, model, path, begun
        self.first = 0.0


@dataclass(slots=True)
class Tally:
    """Sums over the requests of one key to one route of one model. Seconds; `durations` and `firsts` per bucket."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    first_seconds: float = 0.0
    durations: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    firsts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    statuses: dict[int, int] = field(default_factory=dict)


class Meter:
    """`tallies` since the start of the server, by actor, model and path; `in_flight` by model."""

    def __init__(self, database: Database | None) -> None:
        self._database = database
        self.tallies: dict[tuple[str, str, str], Tally] = {}
        self.in_flight: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self._written: dict[tuple[str, str, str], tuple[int, int, int, int, float]] = {}
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._writing = asyncio.create_task(self._keep_writing(), name="usage")

    async def close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
            await self.write()

    def begin(self, actor: Actor, order: Order) -> Count:
        model = order.target.name
        self.in_flight[model] = self.in_flight.get(model, 0) + 1
        return Count(actor.id, model, order.path, time.perf_counter())

    def first(self, count: Count) -> None:
        """The answer begins."""
        count.first = time.perf_counter()

    def end(self, count: Count, status: int, tail: bytes) -> None:
        """`tail`: the end of the answer, where an engine tells how many tokens there were."""
        self.in_flight[count.model] -= 1
        key = (count.actor, count.model, count.path)
        tally = self.tallies.get(key)
        if tally is None:
            if len(self.tallies) >= MOST_TALLIES:
                return
            tally = self.tallies[key] = Tally()
        took = time.perf_counter() - count.begun
        tally.requests += 1
        tally.seconds += took
        tally.durations[bisect_left(BOUNDS, took)] += 1
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if count.first:
            until = count.first - count.begun
            tally.first_seconds += until
            tally.firsts[bisect_left(BOUNDS, until)] += 1
        if status >= 400:
            tally.failed += 1
        elif (at := tail.rfind(b'"usage":')) >= 0:
            for name, number in _TOKENS.findall(tail, at):
                if name in (b"prompt", b"input"):
                    tally.prompt_tokens += int(number)
                else:
                    tally.completion_tokens += int(number)

    async def used(self, actor: Actor, days: int, east: int = 0) -> tuple[Sequence[Any], Sequence[Any]]:
        """Of the last `days`, today among them: rows of `usage_store.summed` and of `by_day`. Days begin at midnight
        where clocks are `east` minutes ahead of UTC."""
        if self._database is None:
            return [], []
        there = timedelta(minutes=east)
        today = (now() + there).replace(hour=0, minute=0, second=0, microsecond=0) - there
        since = today - timedelta(days=days - 1)
        async with self._database.read() as session:
            summed = await usage_store.summed(session, actor, since)
            return summed, await usage_store.by_day(session, actor, since, east)

    def refuse(self, code: str) -> None:
        """A request that never got to an engine."""
        self.refused[code] = self.refused.get(code, 0) + 1

    async def write(self) -> None:
        """What came since the last time."""
        changes = list(self._changes())
        if not changes or self._database is None:
            return
        hour = now().replace(minute=0, second=0, microsecond=0)
        async with self._database.write(durable=False) as session:
            for (actor, model, path), added in changes:
                await usage_store.add(session, hour, actor, model, path, *added)
        for key, added in changes:
            before = self._written.get(key, (0, 0, 0, 0, 0.0))
            self._written[key] = tuple(a + b for a, b in zip(before, added, strict=True))  # type: ignore[assignment]

    # ── inside ──

    def _changes(self) -> Iterator[tuple[tuple[str, str, str], tuple[int, int, int, int, float]]]:
        for key, tally in self.tallies.items():
            before = self._written.get(key, (0, 0, 0, 0, 0.0))
            if tally.requests != before[0]:
                values = (tally.requests, tally.failed, tally.prompt_tokens, tally.completion_tokens, tally.seconds)
                yield key, tuple(a - b for a, b in zip(values, before, strict=True))  # type: ignore[misc]

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception:  # the edge of this loop: the next time may succeed
                log.exception("usage")
