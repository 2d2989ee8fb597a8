"""What someone waits for, in words."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.runtime.placement import Evict, Hold, Park, Use, Wait
from atelier.runtime.worker import WorkerSpec

DOING = {Use.STARTING: "starting", Use.IDLE: "idle", Use.BUSY: "busy", Use.LEAVING: "stopping"}


def gigabytes(size: int) -> str:
    """`1.2 GB`; below a tenth of that, `34 MB`. Decimal units."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def words(hold: Hold, spec: WorkerSpec, workers: Mapping[str, tuple[WorkerSpec, Use]]) -> str:
    """`waits for memory: creatures holds 1.2 GB, busy`"""
    if hold.turn is not None:
        if hold.turn not in workers:
            return f"starts: {spec.model} is being loaded"
        use = workers[hold.turn][1]
        if use is Use.STARTING:
            return f"starts: {spec.model} is being loaded"
        return f"waits its turn: {spec.model} is busy"
    match hold.plan:
        case Evict(_, named) | Wait(_, named) if named:
            pass
        case Park(_, named, idle):
            named = named + idle
        case _:
            return f"waits for memory: other programs use it, {spec.model} needs {gigabytes(spec.bytes_needed)}"
    holders = (workers[name] for name in named if name in workers)
    held = "; ".join(f"{other.model} holds {gigabytes(other.bytes_needed)}, {DOING[use]}" for other, use in holders)
    return f"waits for memory: {held or 'another model is being loaded first'}"
