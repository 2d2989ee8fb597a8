"""A brake on guessing the token: after five wrong ones in a minute, none is looked at until the minute is over."""

from __future__ import annotations

import time
from collections import deque

from atelier.errors import TooManyJobs
from atelier.said import Said


class TooManyAttempts(TooManyJobs):
    code = "too_many_attempts"


class SignInLimit:
    """Counts failures of the last `seconds`; in memory, because a restart already costs the guesser more."""

    def __init__(self, failures: int = 5, seconds: float = 60.0) -> None:
        self._limit, self._seconds = failures, seconds
        self._failed: deque[float] = deque(maxlen=failures)

    def count(self) -> None:
        self._failed.append(time.monotonic())

    async def pass_or_raise(self) -> None:
        now = time.monotonic()
        while self._failed and now - self._failed[0] > self._seconds:
            self._failed.popleft()
        if len(self._failed) >= self._limit:
            wait = int(self._seconds - (now - self._failed[0])) + 1
            words = Said("Too many wrong tokens.", "too_many_attempts", seconds=wait)
            raise TooManyAttempts(words, retry_after=wait, hint=f"Try again in {wait} s.")
