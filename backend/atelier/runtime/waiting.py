"""What someone waits for: in words, at which place in the line, for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from atelier.runtime.decisions import Decision, Hold
from atelier.runtime.placement import Evict, Use, Wait, Yield
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


@dataclass(frozen=True)
class Waiting:
    """`position`: place in the line for workers and memory, 1 = next. `seconds` until it begins, None: not known."""

    reason: Literal["memory", "model", "environment"]
    words: Said
    position: int | None = None
    seconds: float | None = None

    def differs(self, other: Waiting | None) -> bool:
        """Whether it is worth telling again: a forecast that only counts down is not."""
        if other is None or (self.words, self.position) != (other.words, other.position):
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
    in its way, then loads.
    """
    found: dict[str, Waiting] = {}
    turns: dict[str, float | None] = {}
    holds = [decision for decision in decisions if isinstance(decision, Hold)]
    for place, hold in enumerate(holds, 1):
        spec, load, run = asked[hold.request]
        if hold.turn is not None:
            before = turns.get(hold.turn, workers[hold.turn].left if hold.turn in workers else load)
            turns[hold.turn] = _sum(before, run)
            seconds = before
        else:
            seconds = _sum(_longest(hold, workers), load)
        reason, text = _words(hold, spec, workers)
        found[hold.request] = Waiting(reason, text, place, _round(seconds))
    return found


def _longest(hold: Hold, workers: Mapping[str, Worth]) -> float | None:
    match hold.plan:
        case Evict():
            return STOP_SECONDS
        case Wait(_, named) | Yield(_, named) if named:
            left = [workers[name].left if name in workers else None for name in named]
            return None if None in left else max(STOP_SECONDS, *(each for each in left if each is not None))
    return None


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _words(hold: Hold, spec: WorkerSpec, workers: Mapping[str, Worth]) -> tuple[Literal["memory", "model"], Said]:
    """`waits for memory: creatures holds 1.2 GB, busy`"""
    if hold.turn is not None:
        use = workers[hold.turn].use if hold.turn in workers else Use.STARTING
        if use is Use.STARTING:
            return "model", being_loaded(spec.model)
        if use is Use.PARKING:
            return "model", Said(f"waits its turn: {spec.model} is being parked", "waiting.parks", model=spec.model)
        return "model", its_turn(spec.model)
    match hold.plan:
        case Evict(_, named, parked):
            named = named + parked
        case Wait(_, named) if named:
            pass
        case Yield(_, named, idle):
            named = named + idle
        case _:
            text = f"waits for memory: other programs use it, {spec.model} needs {gigabytes(spec.bytes_needed)}"
            return "memory", Said(text, "waiting.memory_elsewhere", model=spec.model, bytes=spec.bytes_needed)
    holders = [workers[name] for name in named if name in workers]
    if not holders:
        return "memory", Said("waits for memory: another model is being loaded first", "waiting.memory_turn")
    held = "; ".join(f"{other.spec.model} holds {gigabytes(other.bytes)}, {_doing(other)}" for other in holders)
    first = holders[0]
    values = {"model": first.spec.model, "bytes": first.bytes, "doing": _doing(first)}
    if len(holders) == 1:
        return "memory", Said(f"waits for memory: {held}", "waiting.memory_held", **values)
    more = len(holders) - 1
    return "memory", Said(f"waits for memory: {held}", "waiting.memory_held_more", count=more, **values)


def _doing(worker: Worth) -> str:
    return PINNED if worker.pinned else DOING[worker.use]
