"""Who gets which memory, in which order. Pure: no clock, no process, no log; `pool.py` does the deeds.

`plan` answers for one request, in this order:

1. Impossible: no device is large enough even when empty.
2. Place: a device has room. The one with the fewest workers, then the tightest fit.
3. Wait: enough is already on its way out.
4. Evict: idle workers that nobody pinned; the fewest, then the least valuable (priority, then reload over idle time).
5. Park: as 4, with busy workers of lower priority that can step aside.
6. Wait: for the fewest busy workers; for none when other programs hold the memory.

`decide` answers for the whole queue. A waiting request keeps what it waits for: later requests see its bytes as taken.
A request that was overtaken `PATIENCE` times goes first, and the workers whose memory it needs are given to nobody
else: that, and the end of every run, is why every wait ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

PATIENCE = 8
EXACT = 12
"""Up to so many candidates every set is tried; beyond, a greedy choice is good enough."""


class Use(StrEnum):
    """What a worker is doing, as far as its memory is concerned.

    starting ──> idle <──> busy
        └─────────┴─────────┴──> leaving (its bytes count until they are seen to be free)
    """

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    LEAVING = "leaving"


@dataclass(frozen=True)
class Running:
    """A worker. `idle_seconds` and `reload_seconds` say how little it would be missed."""

    id: str
    key: str
    device: int
    bytes: int
    use: Use
    idle_seconds: float = 0.0
    reload_seconds: float = 1.0
    priority: int = 0
    pinned: bool = False
    parkable: bool = False


@dataclass(frozen=True)
class Wanted:
    """A worker that is not running. `key` names engine, model and options."""

    key: str
    bytes: int
    priority: int = 0


@dataclass(frozen=True)
class Room:
    """A device. `free_bytes` is what it reports itself (None: not known); `reserved_bytes` is promised to others."""

    index: int
    budget_bytes: int
    free_bytes: int | None = None
    reserved_bytes: int = 0


@dataclass(frozen=True)
class Place:
    device: int


@dataclass(frozen=True)
class Evict:
    device: int
    workers: tuple[str, ...]


@dataclass(frozen=True)
class Park:
    """Ask `workers` to step aside and stop `idle` ones."""

    device: int
    workers: tuple[str, ...]
    idle: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Until `workers` are idle or gone. None named: other programs hold the memory."""

    device: int
    workers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Impossible:
    largest_bytes: int


Plan = Place | Evict | Park | Wait | Impossible


def plan(running: Sequence[Running], wanted: Wanted, devices: Sequence[Room]) -> Plan:
    """What to do so that `wanted` can start. Never names a pinned worker for eviction, nor a busy one."""
    fitting = [device for device in devices if device.budget_bytes >= wanted.bytes]
    if not fitting:
        return Impossible(max((device.budget_bytes for device in devices), default=0))
    room = {device.index: _room(device, running) for device in fitting}
    on = {device.index: [w for w in running if w.device == device.index] for device in fitting}

    open_ = [index for index in room if room[index] >= wanted.bytes]
    if open_:
        return Place(min(open_, key=lambda index: (len(on[index]), room[index], index)))
    for index in room:
        leaving = [w for w in on[index] if w.use is Use.LEAVING]
        room[index] += sum(w.bytes for w in leaving)
        if room[index] >= wanted.bytes:
            return Wait(index, tuple(w.id for w in leaving))

    def best(allowed: dict[int, list[Running]]) -> tuple[int, tuple[Running, ...]] | None:
        choices = []
        for index, candidates in allowed.items():
            chosen = _cheapest(candidates, wanted.bytes - room[index])
            if chosen is not None:
                choices.append((index, chosen))
        return min(choices, key=lambda choice: (*_cost(choice[1]), choice[0])) if choices else None

    idle = {i: [w for w in on[i] if w.use is Use.IDLE and not w.pinned] for i in room}
    if found := best(idle):
        return Evict(found[0], tuple(w.id for w in found[1]))
    yielding = {i: idle[i] + [w for w in on[i] if _can_park(w, wanted)] for i in room}
    if found := best(yielding):
        index, chosen = found
        busy = tuple(w.id for w in chosen if w.use is Use.BUSY)
        return Park(index, busy, tuple(w.id for w in chosen if w.use is Use.IDLE))
    for allowed in (_present(on, pinned=False), _present(on, pinned=True)):
        if found := best(allowed):
            index, chosen = found
            return Wait(index, tuple(w.id for w in chosen if w.use is not Use.IDLE or w.pinned))
    return Wait(max(room, key=lambda index: (room[index], -index)))


def _room(device: Room, running: Iterable[Running]) -> int:
    """Bytes for one more worker: what the ledger allows and, where the device says, what is really free."""
    here = [w for w in running if w.device == device.index]
    room = device.budget_bytes - sum(w.bytes for w in here) - device.reserved_bytes
    if device.free_bytes is None:
        return room
    not_yet_used = sum(w.bytes for w in here if w.use is Use.STARTING)
    return min(room, device.free_bytes - not_yet_used - device.reserved_bytes)


def _can_park(worker: Running, wanted: Wanted) -> bool:
    return worker.use is Use.BUSY and worker.parkable and not worker.pinned and worker.priority < wanted.priority


def _present(on: dict[int, list[Running]], *, pinned: bool) -> dict[int, list[Running]]:
    return {i: [w for w in here if w.use is not Use.LEAVING and (pinned or not w.pinned)] for i, here in on.items()}


def _cost(workers: Sequence[Running]) -> tuple[int, int, int, float]:
    """Smaller is better: busy ones, how many, the highest priority among them, how much they will be missed."""
    busy = sum(w.use is not Use.IDLE for w in workers)
    missed = sum(w.reload_seconds / (1.0 + w.idle_seconds) for w in workers)
    return busy, len(workers), max((w.priority for w in workers), default=0), missed


def _cheapest(candidates: Sequence[Running], needed: int) -> tuple[Running, ...] | None:
    """The least costly set of candidates that holds `needed` bytes together, or None."""
    if sum(w.bytes for w in candidates) < needed:
        return None
    if len(candidates) > EXACT:
        return _greedy(candidates, needed)
    sets = (
        chosen
        for size in range(1, len(candidates) + 1)
        for chosen in combinations(candidates, size)
        if sum(w.bytes for w in chosen) >= needed
    )
    return min(sets, key=_cost, default=None)


def _greedy(candidates: Sequence[Running], needed: int) -> tuple[Running, ...]:
    chosen: list[Running] = []
    for worker in sorted(candidates, key=lambda w: _cost((w,))):
        chosen.append(worker)
        if sum(w.bytes for w in chosen) >= needed:
            break
    for worker in list(chosen):
        if sum(w.bytes for w in chosen) - worker.bytes >= needed:
            chosen.remove(worker)
    return tuple(chosen)


# ── the whole queue ───────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Request:
    """Someone who waits for a worker. `seq` is the order of arrival, `overtaken` how often a later one was served."""

    id: str
    key: str
    bytes: int
    seq: int
    priority: int = 0
    overtaken: int = 0

    @property
    def first(self) -> bool:
        return self.overtaken >= PATIENCE


@dataclass(frozen=True)
class Grant:
    request: str
    worker: str


@dataclass(frozen=True)
class Start:
    request: str
    device: int


@dataclass(frozen=True)
class Stop:
    worker: str


@dataclass(frozen=True)
class Ask:
    """Ask a busy worker to step aside."""

    worker: str


@dataclass(frozen=True)
class Hold:
    """`turn`: the worker that runs the model and is starting or busy. Else `plan` says which memory it waits for."""

    request: str
    turn: str | None = None
    plan: Plan | None = None


@dataclass(frozen=True)
class Refuse:
    request: str
    largest_bytes: int


Decision = Grant | Start | Stop | Ask | Hold | Refuse


def decide(running: Sequence[Running], requests: Sequence[Request], devices: Sequence[Room]) -> list[Decision]:
    """One decision per request (and one per worker to stop), to be carried out all of them, in this order."""
    workers = {w.id: w for w in running}
    rooms = {d.index: d for d in devices}
    spoken_for: set[str] = set()
    decisions: list[Decision] = []
    for request in sorted(requests, key=lambda r: (not r.first, 0 if r.first else -r.priority, r.seq)):
        mine = next((w for w in workers.values() if w.key == request.key and w.use is not Use.LEAVING), None)
        if mine is not None:
            if mine.use is Use.IDLE and mine.id not in spoken_for:
                workers[mine.id] = replace(mine, use=Use.BUSY)
                decisions.append(Grant(request.id, mine.id))
            else:
                decisions.append(Hold(request.id, turn=mine.id))
            continue
        wanted = Wanted(request.key, request.bytes, request.priority)
        step = plan(_offered(workers, spoken_for), wanted, list(rooms.values()))
        match step:
            case Impossible(largest):
                decisions.append(Refuse(request.id, largest))
                continue
            case Place(device):
                name = f"new:{request.id}"
                workers[name] = Running(name, request.key, device, request.bytes, Use.STARTING)
                decisions.append(Start(request.id, device))
                continue
            case Evict(_, leaving) | Park(_, _, leaving):
                for worker in leaving:
                    workers[worker] = replace(workers[worker], use=Use.LEAVING)
                    decisions.append(Stop(worker))
        if isinstance(step, Park):
            decisions.extend(Ask(worker) for worker in step.workers)
        decisions.append(Hold(request.id, plan=step))
        room = rooms[step.device]
        rooms[step.device] = replace(room, reserved_bytes=room.reserved_bytes + request.bytes)
        if request.first:
            spoken_for |= {w.id for w in workers.values() if w.device == step.device and not w.pinned}
    return decisions


def _offered(workers: dict[str, Running], spoken_for: set[str]) -> list[Running]:
    """Workers kept for an impatient request are not idle for anybody else."""
    return [
        replace(w, use=Use.BUSY) if w.id in spoken_for and w.use is Use.IDLE else w for w in workers.values()
    ]  # fmt: skip
