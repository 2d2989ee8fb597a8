"""Whether an engine gets on while nobody hears from it: what tells one that hangs from one that is slow.

An engine may read a long question for minutes before its first word, and a request that is no stream hears nothing
until its answer is whole. So the clock of a request says nothing. These say something, each from one look to the next:

* the engine's counters: vLLM counts tokens of prompts and answers, its steps, and the use of its cache (GET /metrics);
* the processor time of its processes: an engine without such counters, or within a long step, computes.

One that hangs on a GPU may spin and use the processor without an end. Where such an engine has counters they have the
last word, for no step on a GPU takes a minute.
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass

from atelier.runtime import processes

COMPUTES_SHARE = 0.03
"""Of one processor. A server that waits for requests uses a tenth of that."""
LOOK_COSTS = 0.05
"""Seconds of the processor that answering us may take, told in hundredths."""
SPINS = 5
"""So many times the limit on silence an engine on a GPU may compute without counting anything."""
_COUNTERS = re.compile(
    rb"^vllm:(?:generation_tokens_total|prompt_tokens_total|iteration_tokens_total_count|kv_cache_usage_perc).*",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Look:
    """`counters` and `seconds` of processor time are None where nobody knows them."""

    counters: tuple[bytes, ...] | None
    seconds: float | None
    at: float


class Progress:
    """Of one engine. `is_on_gpu`: its steps are short."""

    def __init__(self, *, is_on_gpu: bool) -> None:
        self._is_on_gpu = is_on_gpu
        self._last: Look | None = None
        self._compared = False
        self._counted = self._computed = -math.inf

    def begin(self) -> None:
        """Somebody heard from it: what was seen before means nothing any more."""
        self._last, self._compared = None, False

    def note(self, look: Look) -> None:
        before, self._last = self._last, look
        if before is None:
            return
        self._compared = True
        if look.counters != before.counters:
            self._counted = look.at
        if look.seconds is None or before.seconds is None:
            self._computed = look.at
        elif abs(look.seconds - before.seconds) > LOOK_COSTS + COMPUTES_SHARE * (look.at - before.at):
            self._computed = look.at  # less than before: one of them ended

    def is_stuck(self, since: float, now: float, limit: float) -> bool:
        """Whether it has done nothing for `limit` seconds; nobody has heard from it since `since`. False while there
        are no two looks to compare."""
        if not self._compared or self._last is None:
            return False
        counted = max(since, self._counted)
        if now - max(counted, self._computed) > limit:
            return True
        return self._is_on_gpu and bool(self._last.counters) and now - counted > SPINS * limit


def counters_in(metrics: bytes) -> tuple[bytes, ...]:
    """The lines of an engine's metrics that change with each of its steps."""
    return tuple(_COUNTERS.findall(metrics))


async def processor_seconds(root: processes.Process | None) -> float | None:
    """What the living processes of an engine have used."""
    return None if root is None else await asyncio.to_thread(processes.cpu_seconds, root)
