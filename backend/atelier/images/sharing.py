"""Several jobs in one run of a worker: who may share, who is in it, and how each gets an end of its own.

    job A ──> Ride ──lease──> worker in hand ──> B and C of the line are like A: brought in ──> one Batch of three
                                                                                                  ├─> A's end
              a member that is cancelled leaves, the others go on; when the last leaves, the run ends   ├─> B's end
              a run that fails as a whole sends all of them back into the line, to run alone then       └─> C's end

Every member remains an attempt of its own job: it publishes its own files, in its own transaction, behind its own
fence. What a ride forgets when the server dies is only that some jobs were together.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

from engines import protocol

from atelier.images.tasks import Task
from atelier.jobs.attempt import Attempt
from atelier.jobs.runner import Stopped, TakenBack
from atelier.runtime.worker import Worker
from atelier.tables import Job, JobKind

OWN = frozenset({"prompt", "asked", "negative_prompt", "seeds", "format", "quality", "subseeds", "parent_id"})
"""In these alone may the requests of one batch differ."""

NEVER = ("start", "inpaint", "hires")
"""Requests with one of these are made alone."""

AGAIN = "several were made together, and it could not be done; now alone."


def likeness(request: dict[str, Any]) -> str | None:
    """Requests with the same likeness may be made together; None for one that is made alone."""
    resolved = request["resolved"]
    if resolved.get("task", "text_to_image") != "text_to_image" or any(resolved.get(name) for name in NEVER):
        return None
    return json.dumps({name: value for name, value in resolved.items() if name not in OWN}, sort_keys=True)


def choose(waiting: list[Job], alike: str, room: int, alone: Collection[str]) -> list[Job]:
    """Those of the line that may join, `room` pictures at most. Nobody overtakes a job of higher priority. A job whose
    worker crashed before runs alone: if it is its doing, nobody else shall suffer it."""
    chosen, barrier = [], None
    for job in waiting:
        fits = job.kind == JobKind.IMAGE_GENERATE and job.crashes == 0 and job.id not in alone
        if not fits or likeness(job.request) != alike:
            barrier = job.priority if barrier is None else max(barrier, job.priority)
        elif barrier is None or job.priority >= barrier:
            pictures = len(job.request["resolved"]["seeds"])
            if pictures <= room:
                chosen.append(job)
                room -= pictures
    return chosen


@dataclass(eq=False)
class Member:
    """One attempt in a ride, with its task, and what comes of it."""

    attempt: Attempt
    task: Task
    end: asyncio.Future[protocol.Done] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: BaseException) -> None:
        if not self.end.done():
            self.end.set_exception(error)


class Ride:
    """The attempts that share one run. `work` drives it; `worker` is set while it holds one."""

    def __init__(self, model_id: str, alike: str | None) -> None:
        self.model_id, self.alike = model_id, alike
        self.members: list[Member] = []
        self.worker: Worker | None = None
        self.task_id: str | None = None  # of the run under way
        self._work: asyncio.Task[None] | None = None
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def pictures(self) -> int:
        return sum(len(member.task.seeds) for member in self.members)

    async def begin(self, attempt: Attempt, task: Task, work: Coroutine[Any, Any, None]) -> protocol.Done:
        """The result for the first member. Raises Stopped, and what `work` raises."""
        member = self._enter(attempt, task)
        self._work = asyncio.create_task(work, name=f"{attempt.job.id} run")
        self._work.add_done_callback(self._over)
        return await self._stay(member)

    async def join(self, attempt: Attempt, task: Task) -> protocol.Done:
        """The result for one that was brought in. Raises as `begin`, and TakenBack when the ride has left."""
        if self._closed:
            raise TakenBack(AGAIN)
        return await self._stay(self._enter(attempt, task))

    async def boarded(self, brought: list[Attempt]) -> None:
        """Wait until each of them has joined or ended."""
        while any(not self._has(one) and one.task is not None and not one.task.done() for one in brought):
            self._changed.clear()
            waits = [one.task for one in brought if one.task is not None and not one.task.done()]
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait([changed, *waits], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def leaves(self) -> None:
        """Nobody joins any more."""
        self._closed = True
        for member in self.members:
            member.attempt.mates = len(self.members)

    def ends(self, results: dict[str, protocol.Done | Exception]) -> None:
        """The worker is given back: hand every member its own result, by its task's id."""
        for member in list(self.members):
            member.attempt.leave_lane()
            result = results.get(member.task.task_id, TakenBack(AGAIN))
            if isinstance(result, Exception):
                member.fail(result)
            elif not member.end.done():
                member.end.set_result(result)

    # ── inside ──

    def _has(self, attempt: Attempt) -> bool:
        return any(member.attempt is attempt for member in self.members)

    def _enter(self, attempt: Attempt, task: Task) -> Member:
        member = Member(attempt, task)
        self.members.append(member)
        self._changed.set()
        return member

    async def _stay(self, member: Member) -> protocol.Done:
        stop = asyncio.create_task(member.attempt.stop.wait())
        try:
            await asyncio.wait({member.end, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not member.end.done():
                await self._leave(member)
            return await member.end
        finally:
            stop.cancel()
            if not member.end.done() or member.end.cancelled():  # cancelled from outside
                self._out(member)
                if not self.members and self._work is not None:
                    self._closed = True
                    self._work.cancel()
                    await asyncio.gather(self._work, return_exceptions=True)

    async def _leave(self, member: Member) -> None:
        """It was asked to stop. The others go on without it; without others the run ends first."""
        if len(self.members) > 1:
            self._out(member)
            member.fail(Stopped())
            if self.worker is not None:
                await self.worker.leave_out(member.task.task_id)
            return
        assert self._work is not None
        self._closed = True
        if self.worker is not None and self.task_id is not None:
            await self.worker.cancel(self.task_id)
        else:
            self._work.cancel()
        await asyncio.wait({self._work})
        member.fail(Stopped())

    def _out(self, member: Member) -> None:
        if member in self.members:
            self.members.remove(member)

    def _over(self, work: asyncio.Task[None]) -> None:
        """Whoever has no result yet shares the fate of the whole."""
        self._closed = True
        error: BaseException | None = Stopped() if work.cancelled() else work.exception()
        for member in self.members:
            member.fail(error or TakenBack(AGAIN))
