"""A brake on guessing: after five wrong credentials in a minute, an address is not listened to until it is over."""

from __future__ import annotations

import time
from collections import OrderedDict, deque

from atelier.errors import TooManyJobs
from atelier.said import Said

# Whoever has more addresses than this pushes out the oldest; each still costs them a connection of its own.
ADDRESSES = 10_000


class TooManyAttempts(TooManyJobs):
    code = "too_many_attempts"


class SignInLimit:
    """Counts failures of the last `seconds`, by address; in memory: a restart costs the guesser more."""

    def __init__(self, failures: int = 5, seconds: float = 60.0) -> None:
        self._limit, self._seconds = failures, seconds
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, address: str) -> None:
        self._failed.setdefault(address, deque(maxlen=self._limit)).append(time.monotonic())
        self._failed.move_to_end(address)
        if len(self._failed) > ADDRESSES:
            self._failed.popitem(last=False)

    def pass_or_raise(self, address: str) -> None:
        failed, now = self._failed.get(address), time.monotonic()
        while failed and now - failed[0] > self._seconds:
            failed.popleft()
        if not failed:
            self._failed.pop(address, None)
        elif len(failed) >= self._limit:
            wait = int(self._seconds - (now - failed[0])) + 1
            words = Said("Too many wrong credentials from this address.", "too_many_attempts", seconds=wait)
            raise TooManyAttempts(words, retry_after=wait, hint=f"Try again in {wait} s.")
