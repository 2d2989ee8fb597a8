"""How many creatures an address may have in a minute."""

from __future__ import annotations

import time
from collections import OrderedDict, deque

from atelier.errors import TooManyJobs
from atelier.said import Said

SECONDS = 60.0
ADDRESSES = 10_000


class RateLimited(TooManyJobs):
    code = "rate_limited"


class MinuteLimit:
    """Counts calls of the last minute by address, in memory. `most` 0: no limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def count_or_raise(self, address: str) -> None:
        """One more call. Raises RateLimited with the seconds until the next is welcome."""
        if not self._most:
            return
        now = time.monotonic()
        calls = self._calls.setdefault(address, deque())
        self._calls.move_to_end(address)
        while calls and now - calls[0] >= SECONDS:
            calls.popleft()
        if len(calls) >= self._most:
            wait = int(SECONDS - (now - calls[0])) + 1
            words = Said(
                f"At most {self._most} creatures in a minute.", "creatures.rate_limited", most=self._most, seconds=wait
            )
            raise RateLimited(words, retry_after=wait, hint=f"Try again in {wait} s.")
        calls.append(now)
        if len(self._calls) > ADDRESSES:
            self._calls.popitem(last=False)
