"""Looks at a server all the time, over its deaths and restarts: does anything stay in a passing state without moving?

Passing are a job that runs, a line that nobody serves, and a worker that starts, loads or stops. Each must become
something else, or get on (another attempt, another step), within `LIMIT_SECONDS`; the time that a killed server needs
to come back counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

LIMIT_SECONDS = 10.0
PAUSE_SECONDS = 0.2
PASSING_WORKER = {"starting", "loading", "stopping"}


class Standstill:
    """`look` answers (jobs that wait or run, workers), or None while there is no server to ask."""

    def __init__(self, look: Callable[[], Awaitable[tuple[list[dict[str, Any]], list[dict[str, Any]]] | None]]) -> None:
        self._look = look
        self._since: dict[str, tuple[Any, float]] = {}
        self.limit = LIMIT_SECONDS
        self.longest = 0.0
        self.looks = 0
        self.wrong: list[str] = []

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            seen = await self._look()
            if seen is not None:
                self.looks += 1
                self._compare(_passing(*seen))
            await asyncio.sleep(PAUSE_SECONDS)

    def _compare(self, passing: dict[str, Any]) -> None:
        moment = time.monotonic()
        known = self._since
        self._since = {
            name: known[name] if name in known and known[name][0] == state else (state, moment)
            for name, state in passing.items()
        }
        for name, (state, since) in self._since.items():
            self.longest = max(self.longest, moment - since)
            if moment - since > self.limit:
                self.wrong.append(f"{name} has stood at {state} for {moment - since:.1f} s")


def _passing(jobs: list[dict[str, Any]], workers: list[dict[str, Any]]) -> dict[str, Any]:
    running = [job for job in jobs if job["status"] == "running"]
    found: dict[str, Any] = {job["id"]: (job["attempt"], job["step"]) for job in running}
    found |= {one["id"]: one["state"] for one in workers if one["state"] in PASSING_WORKER}
    if jobs and not running:
        found["the line"] = len(jobs)
    return found
