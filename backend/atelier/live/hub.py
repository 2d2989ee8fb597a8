"""Fan-out of events to browsers.

Every event gets a sequence number and goes into a ring; every `TICK` seconds what is new is joined into one frame per
group of listeners that may see the same things. A listener that has caught up gets it written to its connection at
once; one that has not, into its bounded queue. A listener whose queue is full is dropped (it reconnects and catches up
from the ring); nobody ever waits for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property

from atelier.access.actor import Actor
from atelier.events import Envelope, EventBus
from atelier.live.wire import Write, framed

TICK_SECONDS = 0.05
RING_EVENTS = 4096
RING_BYTES = 8 * 1024 * 1024
QUEUE_FRAMES = 256
QUEUE_BYTES = 4 * 1024 * 1024


@dataclass(eq=False)
class Listener:
    """One connected browser. `frames` ends with None when the hub has given it up. One task takes.

    `write`, where the connection has it, takes a frame past the queue, as long as the task has nothing left to send.
    """

    actor: Actor
    write: Write | None = None
    frames: deque[str | None] = field(default_factory=deque)
    queued_bytes: int = 0
    dropped: bool = False
    _taker: asyncio.Future[None] | None = None

    def offer(self, frame: LiveFrame) -> None:
        if self._is_idle and self.write is not None and self.write(frame.wire):
            return
        self.queue(frame.text)

    def queue(self, frame: str) -> None:
        if self.dropped:
            return
        if len(self.frames) >= QUEUE_FRAMES or self.queued_bytes + len(frame) > QUEUE_BYTES:
            self.dropped = True
            self.frames.clear()
            self.end()
        else:
            self.frames.append(frame)
            self.queued_bytes += len(frame)
            self._wake()

    def end(self) -> None:
        self.frames.append(None)
        self._wake()

    async def take(self) -> str | None:
        """The next frame; None once the hub has dropped this listener."""
        while not self.frames:
            self._taker = asyncio.get_running_loop().create_future()
            await self._taker
        frame = self.frames.popleft()
        self.queued_bytes -= len(frame) if frame else 0
        return frame

    @property
    def _is_idle(self) -> bool:
        """Whether the task waits for a frame: everything before was sent."""
        return self._taker is not None and not self._taker.done()

    def _wake(self) -> None:
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)


class LiveFrame:
    """A frame that goes to several listeners, encoded once in each way."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def wire(self) -> bytes:
        return framed(self.text.encode())


@dataclass(slots=True)
class _Entry:
    seq: int
    envelope: Envelope


class LiveHub:
    """Owns the ring, the sequence and the listeners; one task flushes."""

    def __init__(self, bus: EventBus) -> None:
        self.epoch = secrets.token_hex(8)
        self.seq = 0
        self._pending: list[_Entry | None] = []
        self._latest: dict[str, int] = {}
        self._ring: deque[_Entry] = deque()
        self._ring_bytes = 0
        self._listeners: set[Listener] = set()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        bus.listen(self._accept)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._flush_forever(), name="live.flush")

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
        for listener in self._listeners:
            listener.end()

    def join(self, actor: Actor, write: Write | None = None) -> Listener:
        """Listen from now on: everything after the current `seq`."""
        self.flush()
        listener = Listener(actor, write)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def missed(self, actor: Actor, epoch: str, since: int) -> list[str] | None:
        """Frames with what `actor` missed after event `since`; None when the ring no longer reaches back so far."""
        self.flush()
        oldest = self._ring[0].seq if self._ring else self.seq + 1
        if epoch != self.epoch or since > self.seq or since < oldest - 1:
            return None
        bodies = [entry.envelope.body for entry in self._ring if entry.seq > since and _may_see(actor, entry.envelope)]
        return [self._frame(bodies)] if bodies else []

    # ── inside ──

    def _accept(self, envelope: Envelope) -> None:
        """A later event of the same key replaces the one that still waits; the replaced one is never sent."""
        self.seq += 1
        if envelope.key is not None:
            at = self._latest.get(envelope.key)
            if at is not None:
                self._pending[at] = None
            self._latest[envelope.key] = len(self._pending)
        self._pending.append(_Entry(self.seq, envelope))
        self._news.set()

    def flush(self) -> None:
        """Send what waits, as one frame for each group of listeners with the same view."""
        entries = [entry for entry in self._pending if entry is not None]
        self._pending.clear()
        self._latest.clear()
        if not entries:
            return
        for entry in entries:
            self._ring.append(entry)
            self._ring_bytes += len(entry.envelope.body)
        while len(self._ring) > RING_EVENTS or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= len(self._ring.popleft().envelope.body)
        frames: dict[tuple[str, bool], LiveFrame | None] = {}
        for listener in self._listeners:
            view = (listener.actor.id, listener.actor.is_admin)
            if view not in frames:
                bodies = [entry.envelope.body for entry in entries if _may_see(listener.actor, entry.envelope)]
                frames[view] = LiveFrame(self._frame(bodies)) if bodies else None
            if frame := frames[view]:
                listener.offer(frame)

    def _frame(self, bodies: list[bytes]) -> str:
        """One text for all who see the same."""
        events = b",".join(bodies).decode()
        return f'{{"type":"events","epoch":"{self.epoch}","seq":{self.seq},"events":[{events}]}}'

    async def _flush_forever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            self.flush()
            await asyncio.sleep(TICK_SECONDS)


def _may_see(actor: Actor, envelope: Envelope) -> bool:
    if envelope.others_than is not None and actor.owns(envelope.others_than):
        return False
    return envelope.owner is None or actor.owns(envelope.owner)
