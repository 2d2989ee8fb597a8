"""Tells a server that stands still from one that works: it has requests, answers none, and uses no processor.

A lock that nobody gives back, a stopped process, a library that waits for ever: the server's front still answers
`/health`, and a client that asked for a whole answer would wait for its deadline. Whoever reads a long question for
minutes uses the processor all the while, and is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

LOOK_SECONDS = 2.0
ALL_SECONDS = 12.0
"""So long may nothing at all be computed while requests are under way."""

WORKERS_SECONDS = 60.0
"""And so long by the processes that hold the model, when another one computes: one that waits for them may spin."""

BUSY_SHARE = 0.04
"""Of one core: less is what sockets and clocks take, and a worker that looks again and again for something to do (1.5 %
of vLLM's). Who computes gets more even where fifty others want the core."""

TICKS = os.sysconf("SC_CLK_TCK")
Times = Mapping[int, tuple[int, float]]
"""Parent and seconds of processor time, by process id."""


class Standstill:
    """`front` is the process that answers requests; it holds no model where it has others below it. `under_way` tells
    how many it has, and how often it sent something; it is only asked when nothing seems to be computed."""

    def __init__(self, front: int, under_way: Callable[[], tuple[int, int]], now: float) -> None:
        self._front, self._under_way = front, under_way
        self._sent: int | None = None
        self._seen: dict[int, float] = {}
        self._looked = self._all_since = self._workers_since = now

    def look(self, processes: Times, now: float) -> float:
        """Called every `LOOK_SECONDS`: for how many seconds the server stands still by now, 0.0 when it does not."""
        used = {pid: seconds - self._seen.get(pid, 0.0) for pid, (_, seconds) in processes.items()}
        least = BUSY_SHARE * (now - self._looked)
        self._seen, self._looked = {pid: seconds for pid, (_, seconds) in processes.items()}, now
        parents = {parent for parent, _ in processes.values()}
        # Those below which nobody is, and that ever did anything: keepers of shared memory do not count.
        workers = [pid for pid in used if pid not in (self._front, *parents) and processes[pid][1] > 1.0]
        is_computing = sum(used.values()) > least
        if is_computing:
            self._all_since = now
        if not workers or sum(used[pid] for pid in (*workers, self._front) if pid in used) > least:
            self._workers_since = now
        if self._workers_since == now and is_computing:
            return 0.0
        # Small answers take next to no processor, and wait for it on a busy machine.
        count, sent = self._under_way()
        if count == 0 or self._sent not in (None, sent):
            self._all_since = self._workers_since = now
        self._sent = sent
        if now - self._all_since >= ALL_SECONDS or now - self._workers_since >= WORKERS_SECONDS:
            return now - min(self._all_since, self._workers_since)
        return 0.0


def processor_time(pids: Iterable[int]) -> Times:
    """Of those that are there."""
    found = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        found[pid] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS)
    return found
