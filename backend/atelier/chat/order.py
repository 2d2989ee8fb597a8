"""What the doors of /v1 hand to an engine."""

from __future__ import annotations

from dataclasses import dataclass

from atelier.chat.targets import Target


@dataclass(slots=True)
class Order:
    """A request that may be sent. `body` is what the engine gets: the client's own bytes wherever that is possible.
    `adds_usage`: the stream's last figures were asked for by us, and the client does not get to see them."""

    path: str
    target: Target
    head: bytes
    body: bytes
    streams: bool
    adds_usage: bool = False
