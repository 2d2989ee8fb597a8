"""What clients know of a server, kept outside it: the truth that the oracle holds against the server's.

Append-only, one JSON line per fact, on disk before the next thing happens. A promise is made by an answer 202 that a
client has read; everything the server did without saying so is its own business.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Asked:
    """One thing a client wants, sent again under the same key until it is promised."""

    key: str
    body: dict[str, Any]
    sent: int = 0
    lost: int = 0
    job_ids: list[str] = field(default_factory=list)
    cancelled: bool = False
    expected: str = "completed"

    @property
    def job_id(self) -> str:
        return self.job_ids[0]


class Ledger:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._begun = time.monotonic()
        self.asked: dict[str, Asked] = {}
        self.ended: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.broken: list[str] = []

    def note(self, what: str, **facts: Any) -> None:
        line = {"t": round(time.monotonic() - self._begun, 3), "what": what, **facts}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def sending(self, key: str, body: dict[str, Any], expected: str = "completed") -> Asked:
        asked = self.asked.setdefault(key, Asked(key, body, expected=expected))
        asked.sent += 1
        self.note("post", key=key, attempt=asked.sent)
        return asked

    def promised(self, asked: Asked, job_id: str) -> None:
        self.note("ack", key=asked.key, job=job_id)
        if job_id not in asked.job_ids:
            asked.job_ids.append(job_id)

    def lost(self, asked: Asked) -> None:
        asked.lost += 1
        self.note("lost", key=asked.key)

    def saw_end(self, job_id: str, status: str, images: tuple[str, ...]) -> None:
        """A job was seen to have ended: from now on nothing about it may change."""
        before = self.ended.setdefault(job_id, (status, images))
        if before != (status, images):
            self.broken.append(f"{job_id} had ended as {before} and is now {(status, images)}")

    def close(self) -> None:
        self._file.close()
