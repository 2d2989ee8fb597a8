"""How many requests may be under way: all together, and of each key or user. Whoever comes then is told when to try
again; nobody waits in a line here, for the engines have lines of their own."""

from __future__ import annotations

from atelier.access.actor import Actor
from atelier.errors import TooManyJobs
from atelier.said import Said

RETRY_SECONDS = 1


class TooManyRequests(TooManyJobs):
    code = "too_many_requests"


class Caps:
    """`bytes`: of all bodies that are held while their requests are under way."""

    def __init__(self, together: int = 512, each: int = 256, most_bytes: int = 1024**3) -> None:
        self.together, self.each = together, each
        self._most_bytes = most_bytes
        self.bytes = 0
        self.count = 0
        self._by_actor: dict[str, int] = {}

    def enter(self, actor: Actor) -> None:
        """One more request. Raises TooManyRequests; else `leave` ends it."""
        of_actor = self._by_actor.get(actor.id, 0)
        if self.count >= self.together:
            words = Said(f"{self.together} requests are under way already.", "chat.too_many", most=self.together)
            raise TooManyRequests(words, retry_after=RETRY_SECONDS, hint="Send it again in a moment.")
        if of_actor >= self.each:
            words = Said(f"{self.each} requests of yours are under way already.", "chat.too_many_yours", most=self.each)
            raise TooManyRequests(words, retry_after=RETRY_SECONDS, hint="Wait for one of them to end.")
        self.count += 1
        self._by_actor[actor.id] = of_actor + 1

    def leave(self, actor: Actor) -> None:
        self.count -= 1
        if (left := self._by_actor[actor.id] - 1) > 0:
            self._by_actor[actor.id] = left
        else:
            del self._by_actor[actor.id]

    def left(self, actor: Actor) -> int:
        return min(self.together - self.count, self.each - self._by_actor.get(actor.id, 0))

    def hold(self, size: int) -> None:
        """A body of so many bytes. Raises TooManyRequests; else `let_go` ends it."""
        if self.bytes + size > self._most_bytes:
            words = Said("The requests under way take all the memory that is set aside for them.", "chat.memory_full")
            raise TooManyRequests(words, retry_after=RETRY_SECONDS, hint="Send it again in a moment.")
        self.bytes += size

    def let_go(self, size: int) -> None:
        self.bytes -= size
