"""One worker for many users at once: chat engines batch their requests themselves.

    async with shared.use(spec, waiting=tell) as worker:
        ... talk to worker.openai_socket

The pool lends a worker to one holder. `SharedLeases` is that holder for everybody who uses the same model: the first
user leases, others join, and a moment after the last one left the lease goes back.

    opening ──granted──> open ──no user for `linger`, or somebody waits──> closed
       │                  │  └──somebody waited for `patience`──> draining ──last user left──> closed
       └──refused, or all users gave up──> closed

Nobody starves: when somebody else has waited for longer than `patience` for memory that this worker holds, new users
no longer join; they queue behind that somebody, with a lease of their own.

A worker that does not answer while it is used is ended. Its users see their connection close; `worker.lost()` says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from atelier.errors import AtelierError, Unavailable
from atelier.runtime import exits
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerSpec
from atelier.runtime.waiting import Waiting
from atelier.runtime.worker import Worker
from atelier.said import Said

Tell = Callable[[Waiting], None]


@dataclass(frozen=True)
class Pace:
    """Seconds. `linger`: between two requests a lease is kept so long, since giving it back and taking it again costs
    more than a request. A worker that leaves `misses` questions in a row unanswered, each for `answer`, is ended."""

    patience: float = 3.0
    linger: float = 1.0
    check: float = 2.0
    answer: float = 4.0
    misses: int = 2


class SharedLeases:
    """Every lease that is shared now, by the key of its spec. Single writer: the event loop."""

    def __init__(self, pool: WorkerPool, pace: Pace | None = None) -> None:
        self._pool, self._pace = pool, pace or Pace()
        self._open: dict[str, _Share] = {}
        self._all: set[_Share] = set()

    def use(self, spec: WorkerSpec, *, priority: int = 0, waiting: Tell | None = None) -> Use:
        """A worker for `spec`, together with whoever uses it too. Raises as `WorkerPool.lease`; `waiting` as there."""
        return Use(self, spec, priority, waiting)

    def use_now(self, spec: WorkerSpec, priority: int = 0) -> Use | None:
        """The same, entered already, where a worker is there and may be joined; `Use.leave` ends it."""
        share = self._open.get(spec.key)
        if share is None or not share.has_worker or not share.takes_users:
            return None
        use = Use(self, spec, priority, None)
        use.join(share)
        return use

    def users(self, spec: WorkerSpec) -> int:
        """How many use this model now, or wait for it."""
        return sum(share.users for share in self._all if share.spec.key == spec.key)

    async def close(self) -> None:
        """Give everything back; users lose their worker."""
        shares = list(self._all)
        for share in shares:
            share.task.cancel()
        await asyncio.gather(*(share.task for share in shares), return_exceptions=True)

    def joined(self, spec: WorkerSpec) -> _Share:
        share = self._open.get(spec.key)
        if share is None or not share.takes_users:
            share = self._open[spec.key] = _Share(self._pool, spec, self._pace, self._closed)
            self._all.add(share)
        return share

    def _closed(self, share: _Share) -> None:
        self._all.discard(share)
        if self._open.get(share.spec.key) is share:
            del self._open[share.spec.key]


class Use:
    """`async with` for one user of a share."""

    __slots__ = ("_leases", "_priority", "_share", "_spec", "_waiting")

    def __init__(self, leases: SharedLeases, spec: WorkerSpec, priority: int, waiting: Tell | None) -> None:
        self._leases, self._spec, self._priority, self._waiting = leases, spec, priority, waiting
        self._share: _Share | None = None

    def join(self, share: _Share) -> None:
        share.enter(self._priority, self._waiting)
        self._share = share

    def leave(self) -> None:
        if self._share is not None:
            self._share.leave(self._waiting)
            self._share = None

    @property
    def worker(self) -> Worker:
        """Of one that was entered."""
        assert self._share is not None
        return self._share.lent

    async def __aenter__(self) -> Worker:
        share = self._leases.joined(self._spec)
        self.join(share)
        try:
            return await share.worker()
        except BaseException:
            self.leave()
            raise

    async def __aexit__(self, *_error: object) -> None:
        self.leave()


class _Share:
    """One lease and its users."""

    def __init__(self, pool: WorkerPool, spec: WorkerSpec, pace: Pace, closed: Callable[[_Share], None]) -> None:
        self.spec = spec
        self.users = 0
        self._pool, self._pace, self._closed = pool, pace, closed
        self._priority: int | None = None
        self._loop = asyncio.get_running_loop()
        self._worker: asyncio.Future[Worker] = self._loop.create_future()
        self._tellers: list[Tell] = []
        self._told: Waiting | None = None
        self._wanted = False
        self._draining = False
        self._over = False
        self._lingers = False
        """Whether the end of a while without users is waited for: who comes and goes meanwhile wakes nobody."""
        self._left = 0.0
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._live(), name=f"shared lease of {spec.model}")

    # ── its users ──

    @property
    def takes_users(self) -> bool:
        if self._over or self._draining:
            return False
        return not self.has_worker or not self.lent.is_ending

    @property
    def has_worker(self) -> bool:
        return self._worker.done()

    @property
    def lent(self) -> Worker:
        return self._worker.result()

    def enter(self, priority: int, waiting: Tell | None) -> None:
        self.users += 1
        if waiting is not None and not self._worker.done():
            self._tellers.append(waiting)
            if self._told is not None:
                waiting(self._told)
        if self._priority is None:
            self._priority = priority
        elif priority > self._priority:
            self._priority = priority
            self._pool.hurry(self.spec, priority)

    def leave(self, waiting: Tell | None) -> None:
        self.users -= 1
        if waiting in self._tellers:
            self._tellers.remove(waiting)
        if self.users:
            return
        self._left = self._loop.time()
        if not self.has_worker:
            self._over = True
            self.task.cancel()
        elif not self._lingers or self._wanted or self._draining or self.lent.is_ending:
            self._changed.set()

    async def worker(self) -> Worker:
        if self.has_worker:
            return self.lent
        return await asyncio.shield(self._worker)

    # ── its life ──

    async def _live(self) -> None:
        try:
            lease = self._pool.lease(
                self.spec, priority=self._priority or 0, waiting=self._tell, wanted=self._somebody_waits
            )
            async with lease as worker:
                self._worker.set_result(worker)
                watching = asyncio.create_task(self._watch(worker), name=f"watch {worker.id}")
                try:
                    await self._serve(worker)
                finally:
                    self._over = True
                    watching.cancel()
        except AtelierError as error:
            self._fail(error)
        except asyncio.CancelledError:
            self._fail(Unavailable(Said("The server is stopping.", "server_stopping"), hint="Try again in a moment."))
            raise
        finally:
            self._over = True
            self._closed(self)

    async def _serve(self, worker: Worker) -> None:
        """Until nobody uses it any more: for a while, or at all when somebody else waits or the worker ends."""
        waited_since: float | None = None
        clock = self._loop.time
        while True:
            self._changed.clear()
            if not self.users and (self._wanted or self._draining or worker.is_ending):
                return
            waited_since = (waited_since or clock()) if self._wanted else None
            until = None if self.users else self._left + self._pace.linger
            self._lingers = until is not None
            if waited_since is not None and not self._draining:
                until = waited_since + self._pace.patience
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
            except TimeoutError:
                now = clock()
                if not self.users and now >= self._left + self._pace.linger:
                    return
                if waited_since is not None and now >= waited_since + self._pace.patience:
                    self._draining = True

    async def _watch(self, worker: Worker) -> None:
        """End a worker that hangs while somebody uses it. One whose server has died refuses at once: it has as long as
        one that hangs to say itself why."""
        missed, clock = 0, asyncio.get_running_loop().time
        while not worker.is_ending:
            await asyncio.sleep(self._pace.check if not missed else 0)
            answer_by = clock() + self._pace.answer
            if self.users and not await worker.answers(self._pace.answer):
                missed += 1
                await asyncio.sleep(answer_by - clock())
            else:
                missed = 0
            if missed >= self._pace.misses and not worker.is_ending:
                worker.begin_stop(exits.silent(self._pace.answer * missed), term_seconds=0.2)

    def _somebody_waits(self, wanted: bool) -> None:
        self._wanted = wanted
        self._changed.set()

    def _tell(self, what: Waiting) -> None:
        self._told = what
        for tell in list(self._tellers):
            tell(what)

    def _fail(self, error: AtelierError) -> None:
        if not self._worker.done():
            self._worker.set_exception(error)
            self._worker.exception()  # read here, so that nobody waiting is no warning
