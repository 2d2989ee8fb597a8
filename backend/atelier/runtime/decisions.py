"""What is done for everybody who waits for a worker: one decision for each, in the order in which they are served.

Pure. A waiting request keeps what it waits for: later requests see its bytes as taken. A request that was overtaken
`PATIENCE` times goes first, and the workers whose memory it needs are given to nobody else: that, and the end of every
run, is why every wait ends.

A worker that is there but too small for a request (a larger picture than those before) grows where it is, when others
can make room; else it is stopped and started anew where there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from atelier.runtime.placement import Evict, Impossible, Place, Plan, Room, Running, Use, Wait, Wanted, Yield, plan

PATIENCE = 8


@dataclass(frozen=True)
class Request:
    """Someone who waits for a worker. `seq` is the order of arrival, `overtaken` how often a later one was served."""

    id: str
    key: str
    bytes: int
    seq: int
    priority: int = 0
    overtaken: int = 0
    count: int = 1
    among: tuple[int, ...] = ()

    @property
    def first(self) -> bool:
        return self.overtaken >= PATIENCE


@dataclass(frozen=True)
class Grant:
    """The worker is theirs; its lease grows to what they asked for, if that is more."""

    request: str
    worker: str


@dataclass(frozen=True)
class Start:
    request: str
    devices: tuple[int, ...]


@dataclass(frozen=True)
class Wake:
    """Bring a parked worker back onto its devices."""

    request: str
    worker: str


@dataclass(frozen=True)
class Stop:
    worker: str


@dataclass(frozen=True)
class Park:
    worker: str


@dataclass(frozen=True)
class Ask:
    """Ask a busy worker to step aside."""

    worker: str


@dataclass(frozen=True)
class Hold:
    """`turn`: the worker that runs the model and is starting or busy. Else `plan` says which memory it waits for."""

    request: str
    turn: str | None = None
    plan: Plan | None = None


@dataclass(frozen=True)
class Refuse:
    request: str
    impossible: Impossible


Decision = Grant | Start | Wake | Stop | Park | Ask | Hold | Refuse


def decide(
    running: Sequence[Running], requests: Sequence[Request], devices: Sequence[Room], *, host_bytes: int = 0
) -> list[Decision]:
    """One decision per request (and one per worker to stop or park), to be carried out all of them, in this order."""
    line = _Line({w.id: w for w in running}, {d.index: d for d in devices}, host_bytes)
    for request in in_order(requests):
        line.serve(request)
    return line.decisions


def in_order(requests: Sequence[Request]) -> list[Request]:
    """Who is served first: the overtaken, then by priority, then by arrival."""
    return sorted(requests, key=lambda r: (not r.first, 0 if r.first else -r.priority, r.seq))


@dataclass
class _Line:
    """The world as it will be once the decisions so far are carried out."""

    workers: dict[str, Running]
    rooms: dict[int, Room]
    host_bytes: int
    spoken_for: set[str] = field(default_factory=set)
    decisions: list[Decision] = field(default_factory=list)

    def serve(self, request: Request) -> None:
        mine = next((w for w in self.workers.values() if w.key == request.key and w.use is not Use.LEAVING), None)
        if mine is None:
            self._take(request, self._plan(_wanted(request)))
        elif mine.use not in (Use.IDLE, Use.PARKED) or mine.id in self.spoken_for:
            self.decisions.append(Hold(request.id, turn=mine.id))
        elif mine.use is Use.IDLE and request.bytes <= mine.bytes:
            self._use(request, mine)
        else:
            self._enlarge(request, mine)

    def _use(self, request: Request, mine: Running) -> None:
        """Give them the worker, or wake it for them."""
        size = max(request.bytes, mine.held)
        if mine.use is Use.PARKED:
            self.workers[mine.id] = replace(mine, use=Use.STARTING, bytes=size)
            self.decisions.append(Wake(request.id, mine.id))
        else:
            self.workers[mine.id] = replace(mine, use=Use.BUSY, bytes=size)
            self.decisions.append(Grant(request.id, mine.id))

    def _enlarge(self, request: Request, mine: Running) -> None:
        """More memory where the worker is; where that takes others' runs to end, rather a new one elsewhere."""
        more = request.bytes - mine.held
        wanted = Wanted(request.key, more, request.priority, len(mine.devices), mine.devices)
        step = self._plan(wanted, beside=mine)
        if isinstance(step, Place):
            self._use(request, mine)
            return
        if not isinstance(step, Evict):
            elsewhere = self._plan(_wanted(request), without=mine.id)
            if isinstance(elsewhere, Place | Evict) or isinstance(step, Impossible):
                if not isinstance(elsewhere, Impossible):
                    self._stop(mine.id)
                if isinstance(elsewhere, Place):
                    elsewhere = Wait(elsewhere.devices, (mine.id,))
                self._take(request, elsewhere)
                return
        self._hold(request, step, more)

    def _take(self, request: Request, step: Plan) -> None:
        match step:
            case Impossible():
                self.decisions.append(Refuse(request.id, step))
            case Place(devices):
                name = f"new:{request.id}"
                self.workers[name] = Running(name, request.key, devices, request.bytes, Use.STARTING)
                self.decisions.append(Start(request.id, devices))
            case _:
                self._hold(request, step, request.bytes)

    def _hold(self, request: Request, step: Plan, size: int) -> None:
        """Let go who has to, and keep `size` bytes on those devices for them."""
        assert not isinstance(step, Impossible)
        match step:
            case Evict(_, leaving, park):
                for worker in leaving:
                    self._stop(worker)
                for worker in park:
                    going = self.workers[worker]
                    self.workers[worker] = replace(going, use=Use.PARKING, on_host=going.host_bytes)
                    self.host_bytes -= going.host_bytes
                    self.decisions.append(Park(worker))
            case Yield(_, asked, leaving):
                for worker in leaving:
                    self._stop(worker)
                self.decisions.extend(Ask(worker) for worker in asked)
        self.decisions.append(Hold(request.id, plan=step))
        for index in step.devices:
            room = self.rooms[index]
            self.rooms[index] = replace(room, reserved_bytes=room.reserved_bytes + size)
        if request.first:
            here = set(step.devices)
            self.spoken_for |= {w.id for w in self.workers.values() if here & set(w.devices) and not w.pinned}

    def _stop(self, worker: str) -> None:
        going = self.workers[worker]
        self.workers[worker] = replace(going, use=Use.LEAVING, bytes=going.held)
        self.decisions.append(Stop(worker))

    def _plan(self, wanted: Wanted, *, beside: Running | None = None, without: str | None = None) -> Plan:
        """A plan in this world: beside a worker that stays as it is, or as if one were gone. Workers kept for an
        impatient request are not idle for anybody else."""
        rooms = list(self.rooms.values())
        if beside is not None:
            without = beside.id
            rooms = [
                replace(r, budget_bytes=r.budget_bytes - beside.held) if r.index in beside.devices else r for r in rooms
            ]
        offered = [
            replace(w, use=Use.BUSY) if w.id in self.spoken_for and w.use is Use.IDLE else w
            for w in self.workers.values()
            if w.id != without
        ]
        return plan(offered, wanted, rooms, host_bytes=self.host_bytes)


def _wanted(request: Request) -> Wanted:
    return Wanted(request.key, request.bytes, request.priority, request.count, request.among)
