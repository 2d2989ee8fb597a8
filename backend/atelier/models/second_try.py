"""A start that fails because memory ran out raises the estimate and is tried once more: more has to make room then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from atelier.errors import NotEnoughMemory, WorkerStartFailed
from atelier.models.chat_engines import CHAT_TASKS
from atelier.models.sizing import Need, Sizing
from atelier.runtime.waiting import Waiting, gigabytes, starts_again
from atelier.said import Said

T = TypeVar("T")
log = structlog.get_logger("atelier.models.second_try")


async def started(
    sizing: Sizing, need: Need, start: Callable[[Need], Awaitable[T]], tell: Callable[[Waiting], None]
) -> T:
    """What `start` gives for this need, or for a higher one. Raises NotEnoughMemory with what would help when that
    was not enough either, and what `start` raises for other reasons."""
    try:
        return await start(need)
    except WorkerStartFailed as first:
        if not sizing.note_failed_start(need, first):
            raise
        log.warning("models.out_of_memory", model=need.spec.model, bytes=need.spec.bytes_needed)
        tell(starts_again())
        higher = sizing.higher(need)
        try:
            return await start(higher)
        except NotEnoughMemory:
            raise _ran_out(need, first.log_tail) from None
        except WorkerStartFailed as second:
            if not sizing.note_failed_start(higher, second):
                raise
            raise _ran_out(higher, second.log_tail) from None


def _ran_out(need: Need, log_tail: str | None) -> NotEnoughMemory:
    model, had = need.spec.model, need.spec.bytes_needed
    text = f"{model} does not fit into memory: {gigabytes(had)} were kept for it, and it was not enough."
    if need.anatomy.task in CHAT_TASKS:
        words = Said(text, "memory.chat_ran_out", model=model, bytes=had)
        hint = "Allow a shorter context or fewer requests at once, load it in 8 bits, or take a smaller model."
    else:
        words = Said(text, "memory.load_ran_out", model=model, bytes=had)
        hint = "Load it in half precision or 8 bits, or take a smaller model."
    return NotEnoughMemory(words, hint=hint + " POST /api/plan says how much each saves.", log_tail=log_tail)
