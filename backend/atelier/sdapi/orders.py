"""Calls that wait for their pictures right now: what `/progress` shows, and what `/interrupt` and `/skip` end.

Only calls of this door are here. Somebody who watches the dashboard and draws with another program at the same time
must not have the one's pictures ended by the other's closing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from atelier.access.actor import Actor
from atelier.clock import now


@dataclass(eq=False)
class Order:
    """One call: its jobs in the order in which they are done, one for each batch."""

    owner_id: str
    job_ids: Sequence[str] = ()  # none until all of them are accepted
    begun: datetime = field(default_factory=now)
    skipped: bool = False
    interrupted: bool = False


class Orders:
    def __init__(self) -> None:
        self._under_way: list[Order] = []

    @contextmanager
    def waiting(self, actor: Actor) -> Iterator[Order]:
        order = Order(actor.id)
        self._under_way.append(order)
        try:
            yield order
        finally:
            self._under_way.remove(order)

    def first(self, actor: Actor) -> Order | None:
        """The caller's oldest: the one whose pictures are made now, or next."""
        return next((order for order in self._under_way if order.owner_id == actor.id), None)
