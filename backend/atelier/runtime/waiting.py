"""What someone waits for: in words, at which place in the line, for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from atelier.runtime.decisions import Decision, Hold
from atelier.runtime.placement import Evict, Impossible, Plan, Use, Wait, Yield
from atelier.runtime.spec import WorkerSpec
from atelier.said import Said

DOING = {
    Use.STARTING: "starting",
    Use.IDLE: "idle",
    Use.BUSY: "busy",
    Use.PARKING: "parking",
    Use.PARKED: "parked",
    Use.LEAVING: "stopping",
}
PINNED = "pinned"
STOP_SECONDS = 0.5
"""What a stop or a parking takes, nearly always less."""


Deed = Literal["stop", "park", "yield", "wait"]
"""What becomes of a worker that is in the way: it leaves, is put aside, steps aside at its next step, or is not
disturbed."""


@dataclass(frozen=True)
class Holder:
    """A worker whose memory is waited for. `doing` is a word of DOING, or PINNED; bytes on each of its devices."""

    model: str
    bytes: int
    doing: str
    deed: Deed


@dataclass(frozen=True)
class Waiting:
    """`position`: place in the line for workers and memory, 1 = next. `seconds` until it begins, None: not known.
    `holders`: who has the memory, all of them; the words name the first."""

    reason: Literal["memory", "model", "environment"]
    words: Said
    position: int | None = None
    seconds: float | None = None
    holders: tuple[Holder, ...] = ()

    def differs(self, other: Waiting | None) -> bool:
        """Whether it is worth telling again: a forecast that only counts down is not."""
        if other is None or (self.words, self.position, self.holders) != (other.words, other.position, other.holders):
            return True
        if self.seconds is None or other.seconds is None:
            return self.seconds is not other.seconds
        return abs(self.seconds - other.seconds) > max(2.0, 0.25 * other.seconds)


@dataclass(frozen=True)
class Worth:
    """What is known of a worker: what it holds and does, and in how many seconds it is idle or gone (None: unknown)."""

    spec: WorkerSpec
    use: Use
    bytes: int
    left: float | None
    pinned: bool = False


def gigabytes(size: int) -> str:
    """`1.2 GB`; below a tenth of that, `34 MB`. Decimal units."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def starts(spec: WorkerSpec, load_seconds: float | None) -> Waiting:
    return Waiting("model", being_loaded(spec.model), seconds=_round(load_seconds))


def wakes(model: str) -> Waiting:
    return Waiting("model", Said(f"wakes: {model} was parked", "waiting.wakes", model=model))


def being_loaded(model: str) -> Said:
    return Said(f"starts: {model} is being loaded", "waiting.starts", model=model)


def starts_again() -> Waiting:
    return Waiting("memory", Said("starts again with more memory: the estimate was too low", "waiting.again"))


def its_turn(model: str) -> Said:
    return Said(f"waits its turn: {model} is busy", "waiting.turn", model=model)


def look_ahead(
    decisions: Sequence[Decision],
    asked: Mapping[str, tuple[WorkerSpec, float | None, float | None]],
    workers: Mapping[str, Worth],
) -> dict[str, Waiting]:
    """For every request that is held: why, its place, and when it will begin.

    `decisions` are in the order of service; `asked` tells of each request what it wants, how long loading that takes,
    and how long its run. Whoever takes turns on one worker adds up; who waits for memory waits for the longest of those
    in its way, then loads; and where no worker is in its way, for those before it in the line whom it is kept for.
    """
    found: dict[str, Waiting] = {}
    turns: dict[str, float | None] = {}
    kept: dict[int, tuple[WorkerSpec, float | None]] = {}
    holds = [decision for decision in decisions if isinstance(decision, Hold)]
    for place, hold in enumerate(holds, 1):
        spec, load, run = asked[hold.request]
        if hold.turn is not None:
            before = turns.get(hold.turn, workers[hold.turn].left if hold.turn in workers else load)
            turns[hold.turn] = _sum(before, run)
            found[hold.request] = Waiting("model", _turn(hold.turn, spec, workers), place, _round(before))
            continue
        assert hold.plan is not None and not isinstance(hold.plan, Impossible)
        holders, devices = _holders(hold.plan, spec, workers), hold.plan.devices
        there = [] if in_the_way(hold.plan) else [kept[index] for index in devices if index in kept]
        if there:
            before = STOP_SECONDS
            for _, until in there:
                before = None if before is None or until is None else max(before, until)
            first = there[-1][0].called(spec.owner)
            words = Said(f"waits for memory: {first} comes first", "waiting.behind", model=first)
        else:
            before, words = _longest(hold, workers), _of_memory(hold.plan, spec, holders)
        seconds = _sum(before, load)
        kept |= dict.fromkeys(devices, (spec, _sum(seconds, run)))
        found[hold.request] = Waiting("memory", words, place, _round(seconds), holders)
    return found


def _longest(hold: Hold, workers: Mapping[str, Worth]) -> float | None:
    match hold.plan:
        case Evict():
            return STOP_SECONDS
        case Wait(_, named) | Yield(_, named) if named:
            # A pinned one stays until somebody unpins it, and nobody knows when.
            known = [workers.get(name) for name in named]
            left = [None if one is None or one.pinned else one.left for one in known]
            return None if None in left else max(STOP_SECONDS, *(each for each in left if each is not None))
    return None


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _holders(plan: Plan, spec: WorkerSpec, workers: Mapping[str, Worth]) -> tuple[Holder, ...]:
    """Who has the memory, and what becomes of them; without the names of what somebody else keeps to themselves."""
    known = ((workers[name], deed) for name, deed in in_the_way(plan) if name in workers)
    return tuple(Holder(worker.spec.called(spec.owner), worker.bytes, _doing(worker), deed) for worker, deed in known)


def in_the_way(plan: Plan) -> list[tuple[str, Deed]]:
    """The workers that have the memory, by their ids, and what becomes of each."""
    match plan:
        case Evict(_, named, parked):
            return [*((name, "stop") for name in named), *((name, "park") for name in parked)]
        case Yield(_, named, idle):
            return [*((name, "yield") for name in named), *((name, "stop") for name in idle)]
        case Wait(_, named):
            return [(name, "wait") for name in named]
    return []


def _turn(worker: str, spec: WorkerSpec, workers: Mapping[str, Worth]) -> Said:
    use = workers[worker].use if worker in workers else Use.STARTING
    if use is Use.STARTING:
        return being_loaded(spec.model)
    if use is Use.PARKING:
        return Said(f"waits its turn: {spec.model} is being parked", "waiting.parks", model=spec.model)
    return its_turn(spec.model)


def _of_memory(plan: Plan, spec: WorkerSpec, holders: Sequence[Holder]) -> Said:
    """`waits for memory: creatures holds 1.2 GB, busy`"""
    if not in_the_way(plan):
        text = f"waits for memory: other programs use it, {spec.model} needs {gigabytes(spec.bytes_needed)}"
        return Said(text, "waiting.memory_elsewhere", model=spec.model, bytes=spec.bytes_needed)
    if not holders:
        return Said("waits for memory: another model is being loaded first", "waiting.memory_turn")
    held = "; ".join(f"{other.model} holds {gigabytes(other.bytes)}, {other.doing}" for other in holders)
    first = holders[0]
    values = {"model": first.model, "bytes": first.bytes, "doing": first.doing}
    if len(holders) == 1:
        return Said(f"waits for memory: {held}", "waiting.memory_held", **values)
    more = len(holders) - 1
    return Said(f"waits for memory: {held}", "waiting.memory_held_more", count=more, **values)


def _doing(worker: Worth) -> str:
    return PINNED if worker.pinned else DOING[worker.use]
