"""Who gets which memory. Pure: no clock, no process, no log.

`decisions.py` asks for a whole line of requests, `pool.py` does the deeds.

`plan` answers for one request, in this order:

1. Impossible: not enough devices are large enough, even when empty.
2. Place: there is room. The devices with the fewest workers, then the tightest fit.
3. Wait: enough is already on its way out.
4. Evict: idle and parked workers that nobody pinned; the least valuable set (priority, then reload over idle time).
   Each is parked where its engine can and the host has room for it, else stopped.
5. Yield: as 4, with busy workers of lower priority that can step aside.
6. Wait: for the fewest busy workers; for none when other programs hold the memory.

A worker over several devices holds the same number of bytes on each of them (tensor parallel).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

EXACT = 12
"""Up to so many candidates every set is tried; beyond, a greedy choice is good enough."""


class Use(StrEnum):
    """What a worker is doing, as far as its memory is concerned.

    starting ──> idle <──> busy
       ^          └──> parking ──> parked (holds `rest_bytes`)
       └──────────────wake───────────┘
    leaving, from any of them: its bytes count until they are seen to be free
    """

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    PARKING = "parking"
    PARKED = "parked"
    LEAVING = "leaving"


@dataclass(frozen=True)
class Running:
    """A worker. Bytes are on each of its devices; `host_bytes` is what parking it takes of the host's memory, `on_host`
    what it has of that now.

    `idle_seconds` and `reload_seconds` say how little it would be missed.
    """

    id: str
    key: str
    devices: tuple[int, ...]
    bytes: int
    use: Use
    rest_bytes: int = 0
    host_bytes: int = 0
    on_host: int = 0
    idle_seconds: float = 0.0
    reload_seconds: float = 1.0
    priority: int = 0
    pinned: bool = False
    can_park: bool = False
    can_yield: bool = False

    @property
    def held(self) -> int:
        """What it holds on each device now."""
        return self.rest_bytes if self.use is Use.PARKED else self.bytes

    @property
    def missed(self) -> float:
        """How much it would be missed: what it costs to have it back, over how long nobody has wanted it."""
        return self.reload_seconds / (1.0 + self.idle_seconds)


@dataclass(frozen=True)
class Wanted:
    """Memory for a worker: `bytes` on each of `count` devices, out of `among` (empty: any)."""

    key: str
    bytes: int
    priority: int = 0
    count: int = 1
    among: tuple[int, ...] = ()


@dataclass(frozen=True)
class Room:
    """A device. `free_bytes` is what it reports itself (None: not known); `reserved_bytes` is promised to others."""

    index: int
    budget_bytes: int
    free_bytes: int | None = None
    reserved_bytes: int = 0


@dataclass(frozen=True)
class Place:
    devices: tuple[int, ...]


@dataclass(frozen=True)
class Evict:
    """Stop `workers`, park `park`."""

    devices: tuple[int, ...]
    workers: tuple[str, ...] = ()
    park: tuple[str, ...] = ()


@dataclass(frozen=True)
class Yield:
    """Ask busy `workers` to step aside; stop `idle` ones."""

    devices: tuple[int, ...]
    workers: tuple[str, ...]
    idle: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Until `workers` are idle or gone. None named: other programs hold the memory."""

    devices: tuple[int, ...]
    workers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Impossible:
    """`largest_bytes`: what so many devices may give at most; `devices`: how many may be used at all."""

    largest_bytes: int
    devices: int = 1


Plan = Place | Evict | Yield | Wait | Impossible


def plan(running: Sequence[Running], wanted: Wanted, devices: Sequence[Room], *, host_bytes: int = 0) -> Plan:
    """What to do so that `wanted` can start. Never names a pinned worker for eviction, nor a busy one.

    `host_bytes` is the room that the host has left for parked weights.
    """
    allowed = [device for device in devices if not wanted.among or device.index in wanted.among]
    fitting = sorted(device.index for device in allowed if device.budget_bytes >= wanted.bytes)
    if len(fitting) < wanted.count:
        budgets = sorted((device.budget_bytes for device in allowed), reverse=True)
        return Impossible(budgets[wanted.count - 1] if len(budgets) >= wanted.count else 0, len(allowed))
    room = {device.index: _room(device, running) for device in allowed if device.index in fitting}
    on = {index: [w for w in running if index in w.devices] for index in room}
    choices = list(combinations(fitting, wanted.count))

    open_ = [these for these in choices if all(room[index] >= wanted.bytes for index in these)]
    if open_:
        return Place(min(open_, key=lambda these: (sum(len(on[i]) for i in these), sum(room[i] for i in these), these)))
    soon = {index: room[index] + sum(_on_its_way_out(w) for w in on[index]) for index in room}
    for these in choices:
        if all(soon[index] >= wanted.bytes for index in these):
            return Wait(these, _ids(w for w in _over(these, on) if _on_its_way_out(w)))

    needs = {these: {index: wanted.bytes - soon[index] for index in these} for these in choices}
    idle = {these: [w for w in _over(these, on) if _can_go(w)] for these in choices}
    if found := _best(idle, needs):
        return _evict(*found, needs[found[0]], running, host_bytes)
    yielding = {these: idle[these] + [w for w in _over(these, on) if _yields(w, wanted)] for these in choices}
    if found := _best(yielding, needs):
        these, chosen = found
        return Yield(these, _ids(w for w in chosen if w.use is Use.BUSY), _ids(w for w in chosen if _can_go(w)))
    for pinned in (False, True):
        if found := _best({these: _present(these, on, pinned=pinned) for these in choices}, needs):
            these, chosen = found
            return Wait(these, _ids(w for w in chosen if not _can_go(w)))
    return Wait(max(choices, key=lambda these: (sum(room[index] for index in these), [-index for index in these])))


# ── room ──────────────────────────────────────────────────────────────────────


def _room(device: Room, running: Iterable[Running]) -> int:
    """Bytes for one more worker: what the ledger allows and, where the device says, what is really free."""
    here = [w for w in running if device.index in w.devices]
    room = device.budget_bytes - sum(w.held for w in here) - device.reserved_bytes
    if device.free_bytes is None:
        return room
    not_yet_used = sum(w.bytes for w in here if w.use is Use.STARTING)
    return min(room, device.free_bytes - not_yet_used - device.reserved_bytes)


def _on_its_way_out(worker: Running) -> int:
    """Bytes that will be free on each of its devices without anybody's doing."""
    match worker.use:
        case Use.LEAVING:
            return worker.held
        case Use.PARKING:
            return worker.bytes - worker.rest_bytes
    return 0


def _over(these: Sequence[int], on: Mapping[int, Sequence[Running]]) -> list[Running]:
    """The workers on any of these devices, each once."""
    return list({w.id: w for index in these for w in on[index]}.values())


def _can_go(worker: Running) -> bool:
    return worker.use in (Use.IDLE, Use.PARKED) and not worker.pinned


def _yields(worker: Running, wanted: Wanted) -> bool:
    return worker.use is Use.BUSY and worker.can_yield and not worker.pinned and worker.priority < wanted.priority


def _present(these: Sequence[int], on: Mapping[int, Sequence[Running]], *, pinned: bool) -> list[Running]:
    return [w for w in _over(these, on) if w.use not in (Use.LEAVING, Use.PARKING) and (pinned or not w.pinned)]


def _ids(workers: Iterable[Running]) -> tuple[str, ...]:
    return tuple(w.id for w in workers)


# ── who goes ──────────────────────────────────────────────────────────────────

Needs = Mapping[int, int]
"""Bytes that are missing, by device."""


def _evict(
    these: tuple[int, ...], chosen: Sequence[Running], needs: Needs, running: Sequence[Running], host_bytes: int
) -> Evict | Wait:
    """Of those who have to go, park as many as can be, the most missed first; stop the others.

    Where the host has no room for the only one, parked workers that are missed less make room there first.
    """
    coming = [w for w in running if w.use is Use.LEAVING and w.on_host]
    going = {w.id: w.held for w in chosen}
    park: list[Running] = []
    for worker in sorted(chosen, key=lambda w: -w.missed):
        if not (worker.can_park and worker.use is Use.IDLE):
            continue
        smaller = {**going, worker.id: worker.bytes - worker.rest_bytes}
        if not all(sum(smaller[w.id] for w in chosen if index in w.devices) >= needs[index] for index in needs):
            continue
        if worker.host_bytes <= host_bytes:
            host_bytes -= worker.host_bytes
            going = smaller
            park.append(worker)
        elif len(chosen) == 1 and host_bytes + sum(w.on_host for w in coming) >= worker.host_bytes:
            return Wait(these, _ids(coming))
        elif len(chosen) == 1 and (less := _less_missed(worker, running, host_bytes)):
            return Evict(these, less)
    return Evict(these, _ids(w for w in chosen if w not in park), _ids(park))


def _less_missed(worker: Running, running: Sequence[Running], host_bytes: int) -> tuple[str, ...]:
    """Parked workers, less missed than this one, whose end would make room on the host for it."""
    parked = [w for w in running if w.use is Use.PARKED and w.host_bytes and not w.pinned and w.missed < worker.missed]
    return _ids(_greedy(parked, {-1: worker.host_bytes - host_bytes}, lambda w, _: w.host_bytes))


def _best(
    candidates: Mapping[tuple[int, ...], Sequence[Running]], needs: Mapping[tuple[int, ...], Needs]
) -> tuple[tuple[int, ...], tuple[Running, ...]] | None:
    """The devices and the workers on them whose going costs least."""
    found = [(these, chosen) for these, some in candidates.items() if (chosen := _cheapest(some, needs[these]))]
    return min(found, key=lambda choice: (*_cost(choice[1]), choice[0])) if found else None


def _cost(workers: Sequence[Running]) -> tuple[int, int, float, int]:
    """Smaller is better: how many are busy, the highest priority, how much they will be missed, how many."""
    busy = sum(w.use not in (Use.IDLE, Use.PARKED) for w in workers)
    return busy, max((w.priority for w in workers), default=0), sum(w.missed for w in workers), len(workers)


def _enough(workers: Sequence[Running], needs: Needs) -> bool:
    return all(sum(w.held for w in workers if index in w.devices) >= needed for index, needed in needs.items())


def _cheapest(candidates: Sequence[Running], needs: Needs) -> tuple[Running, ...] | None:
    """The least costly set of candidates that holds what is needed on every device, or None."""
    if not _enough(candidates, needs):
        return None
    if len(candidates) > EXACT:
        return _greedy(candidates, needs, lambda w, index: w.held if index in w.devices else 0)
    sets = (
        chosen
        for size in range(1, len(candidates) + 1)
        for chosen in combinations(candidates, size)
        if _enough(chosen, needs)
    )
    return min(sets, key=_cost, default=None)


def _greedy(candidates: Sequence[Running], needs: Needs, gives: Callable[[Running, int], int]) -> tuple[Running, ...]:
    """The cheapest first until it is enough, then without those that were not needed; empty when it never is."""

    def enough(workers: Sequence[Running]) -> bool:
        return all(sum(gives(w, index) for w in workers) >= needed for index, needed in needs.items())

    chosen: list[Running] = []
    for worker in sorted(candidates, key=lambda w: _cost((w,))):
        if enough(chosen):
            break
        chosen.append(worker)
    if not enough(chosen):
        return ()
    for worker in list(chosen):
        without = [w for w in chosen if w is not worker]
        if enough(without):
            chosen = without
    return tuple(chosen)
