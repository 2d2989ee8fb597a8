"""How long jobs take, from how long the last ones took; for forecasts in the line. Memory only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import fmean

LAST = 20


class Pace:
    """By kind of job: the seconds of the last that were completed."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}

    def note(self, kind: str, seconds: float) -> None:
        self._seconds.setdefault(kind, deque(maxlen=LAST)).append(seconds)

    def mean(self, kind: str) -> float | None:
        """Seconds of one job; None before any was completed."""
        known = self._seconds.get(kind)
        return fmean(known) if known else None

    def until(self, kind: str, ahead: int, slots: int, running: Iterable[float | None]) -> float | None:
        """Seconds until a job begins that has `ahead` others before it, when `slots` run at once.

        `running` has for each job under way the seconds that are left, None where nothing is known of it: then what a
        job usually takes is assumed.
        """
        usual = self.mean(kind)
        if usual is None:
            return None
        left = [usual if seconds is None else seconds for seconds in running]
        return round((sum(left) + ahead * usual) / max(1, slots), 1)
