"""What someone waits for, in words."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.runtime.placement import Evict, Hold, Park, Use, Wait
from atelier.runtime.worker import WorkerSpec
from atelier.said import Said

DOING = {Use.STARTING: "starting", Use.IDLE: "idle", Use.BUSY: "busy", Use.LEAVING: "stopping"}


def gigabytes(size: int) -> str:
    """`1.2 GB`; below a tenth of that, `34 MB`. Decimal units."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def starts(model: str) -> Said:
    return Said(f"starts: {model} is being loaded", "waiting.starts", model=model)


def words(hold: Hold, spec: WorkerSpec, workers: Mapping[str, tuple[WorkerSpec, Use]]) -> Said:
    """`waits for memory: creatures holds 1.2 GB, busy`"""
    if hold.turn is not None:
        if hold.turn not in workers or workers[hold.turn][1] is Use.STARTING:
            return starts(spec.model)
        return Said(f"waits its turn: {spec.model} is busy", "waiting.turn", model=spec.model)
    match hold.plan:
        case Evict(_, named) | Wait(_, named) if named:
            pass
        case Park(_, named, idle):
            named = named + idle
        case _:
            text = f"waits for memory: other programs use it, {spec.model} needs {gigabytes(spec.bytes_needed)}"
            return Said(text, "waiting.memory_elsewhere", model=spec.model, bytes=spec.bytes_needed)
    holders = [workers[name] for name in named if name in workers]
    if not holders:
        return Said("waits for memory: another model is being loaded first", "waiting.memory_turn")
    held = "; ".join(f"{other.model} holds {gigabytes(other.bytes_needed)}, {DOING[use]}" for other, use in holders)
    first, use = holders[0]
    values = {"model": first.model, "bytes": first.bytes_needed, "doing": DOING[use]}
    if len(holders) == 1:
        return Said(f"waits for memory: {held}", "waiting.memory_held", **values)
    return Said(f"waits for memory: {held}", "waiting.memory_held_more", count=len(holders) - 1, **values)
