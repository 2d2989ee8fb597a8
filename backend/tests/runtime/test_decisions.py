"""Who is served in which order, then a machine that lives through thousands of random days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from atelier.runtime.decisions import (
    PATIENCE,
    Grant,
    Hold,
    Park,
    Refuse,
    Request,
    Start,
    Stop,
    Wake,
    decide,
)
from atelier.runtime.placement import Evict, Impossible, Room, Running, Use, Wait
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

ONE = [Room(0, 10)]


def worker(id_: str, size: int, use: Use = Use.IDLE, **facts: object) -> Running:
    return Running(id_, key=id_, bytes=size, use=use, **({"devices": (0,)} | facts))  # type: ignore[arg-type]


class TestDecide:
    def test_grant_the_idle_worker_of_the_model(self) -> None:
        running = [worker("a", 5)]
        assert decide(running, [Request("r", "a", 5, 0)], ONE) == [Grant("r", "a")]

    def test_one_grant_per_worker(self) -> None:
        requests = [Request("r1", "a", 5, 0), Request("r2", "a", 5, 1)]
        assert decide([worker("a", 5)], requests, ONE) == [Grant("r1", "a"), Hold("r2", turn="a")]

    def test_two_for_a_model_that_is_not_there_start_it_once(self) -> None:
        requests = [Request("r1", "a", 5, 0), Request("r2", "a", 5, 1)]
        assert decide([], requests, ONE) == [Start("r1", (0,)), Hold("r2", turn="new:r1")]

    def test_priority_then_arrival(self) -> None:
        requests = [Request("late", "a", 5, 2), Request("first", "a", 5, 1), Request("high", "a", 5, 3, priority=1)]
        assert [d.request for d in decide([worker("a", 5)], requests, ONE)] == ["high", "first", "late"]  # type: ignore[union-attr]

    def test_later_ones_do_not_take_what_an_earlier_one_waits_for(self) -> None:
        running = [worker("a", 6, Use.BUSY)]
        requests = [Request("big", "b", 8, 0), Request("small", "c", 4, 1)]
        big, small = decide(running, requests, ONE)
        assert big == Hold("big", plan=Wait((0,), ("a",)))
        assert isinstance(small, Hold)

    def test_small_ones_go_beside_one_that_waits_when_both_fit(self) -> None:
        running = [worker("a", 6, Use.BUSY)]
        requests = [Request("big", "b", 8, 0), Request("small", "c", 2, 1)]
        assert decide(running, requests, [Room(0, 16)])[1] == Start("small", (0,))

    def test_an_evicted_worker_is_not_granted(self) -> None:
        requests = [Request("new", "b", 10, 0), Request("old", "a", 5, 1)]
        stop, hold, other = decide([worker("a", 5)], requests, ONE)
        assert (stop, hold) == (Stop("a"), Hold("new", plan=Evict((0,), ("a",))))
        assert isinstance(other, Hold)

    def test_after_enough_overtaking_the_workers_it_needs_are_kept(self) -> None:
        running = [worker("a", 5), worker("b", 5, Use.BUSY)]
        again = Request("again", "a", 5, 9, priority=5)
        patient = Request("big", "c", 10, 0, overtaken=PATIENCE - 1)
        assert Grant("again", "a") in decide(running, [patient, again], ONE)
        impatient = Request("big", "c", 10, 0, overtaken=PATIENCE)
        assert Grant("again", "a") not in decide(running, [impatient, again], ONE)

    def test_refuse_only_what_can_never_fit(self) -> None:
        assert decide([], [Request("r", "a", 11, 0)], ONE) == [Refuse("r", Impossible(10, 1))]


class TestLarger:
    """A request that needs more than its worker has leased."""

    def test_it_grows_where_there_is_room(self) -> None:
        assert decide([worker("a", 5)], [Request("r", "a", 9, 0)], ONE) == [Grant("r", "a")]

    def test_it_never_grows_beyond_the_budget_of_a_request_before(self) -> None:
        running = [worker("a", 4), worker("b", 4)]
        requests = [Request("r1", "a", 6, 0), Request("r2", "b", 6, 1)]
        assert decide(running, requests, ONE)[0] == Grant("r1", "a")
        assert isinstance(decide(running, requests, ONE)[-1], Hold)

    def test_others_make_room(self) -> None:
        running = [worker("a", 5), worker("b", 5)]
        assert decide(running, [Request("r", "a", 9, 0)], ONE) == [Stop("b"), Hold("r", plan=Evict((0,), ("b",)))]

    def test_it_moves_when_its_device_is_too_small(self) -> None:
        rooms = [Room(0, 10), Room(1, 20)]
        assert decide([worker("a", 5)], [Request("r", "a", 15, 0)], rooms) == [
            Stop("a"),
            Hold("r", plan=Wait((1,), ("a",))),
        ]

    def test_it_waits_for_the_busy_beside_it_when_there_is_no_other_place(self) -> None:
        running = [worker("a", 5), worker("b", 5, Use.BUSY)]
        assert decide(running, [Request("r", "a", 9, 0)], ONE) == [Hold("r", plan=Wait((0,), ("b",)))]

    def test_refused_when_no_device_could(self) -> None:
        assert decide([worker("a", 5)], [Request("r", "a", 11, 0)], ONE) == [Refuse("r", Impossible(10, 1))]


class TestParked:
    def test_woken_where_it_lies(self) -> None:
        running = [worker("a", 8, Use.PARKED, rest_bytes=1)]
        assert decide(running, [Request("r", "a", 8, 0)], ONE) == [Wake("r", "a")]

    def test_two_parked_change_places(self) -> None:
        facts = {"can_park": True, "rest_bytes": 1, "host_bytes": 7}
        running = [worker("a", 8, Use.PARKED, **facts), worker("b", 8, **facts)]
        decisions = decide(running, [Request("r", "a", 8, 0)], ONE, host_bytes=10)
        assert decisions == [Park("b"), Hold("r", plan=Evict((0,), park=("b",)))]

    def test_started_anew_where_its_device_is_taken(self) -> None:
        rooms = [Room(0, 10), Room(1, 10)]
        running = [worker("a", 8, Use.PARKED, rest_bytes=1), worker("b", 8, Use.BUSY)]
        decisions = decide(running, [Request("r", "a", 8, 0)], rooms)
        assert decisions == [Stop("a"), Hold("r", plan=Wait((1,), ("a",)))]


@dataclass(frozen=True)
class Kind:
    """A model of the machine below: bytes of a small and a large request, on how many devices, what parking leaves."""

    small: int
    large: int
    count: int = 1
    among: tuple[int, ...] = ()
    can_park: bool = False

    @property
    def host(self) -> int:
        return self.small - 1


KINDS = {
    "tiny": Kind(2, 4, can_park=True),
    "small": Kind(5, 7, can_park=True),
    "large": Kind(9, 12, can_park=True),
    "huge": Kind(14, 40),
    "wide": Kind(6, 9, count=2),
    "tied": Kind(4, 8, among=(0,), can_park=True),
    "giant": Kind(40, 41),
}
BUDGETS = {0: 10, 1: 16}
HOST_BUDGET = 12


class Days(RuleBasedStateMachine):
    """People ask, runs end or run out of memory, models load, are parked and leave, other programs come and go, in any
    order. The pool's deeds without its processes; the devices say themselves what is free, or nobody does: the ledger
    keeps the budget also alone."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: dict[str, Running] = {}
        self.on_host: dict[str, int] = {}
        self.requests: dict[str, Request] = {}
        self.retried: set[str] = set()
        self.holders: dict[str, Request] = {}
        self.others = {0: 0, 1: 0}
        self.driver_speaks = True
        self.count = 0

    # what people do

    @rule(model=st.sampled_from(sorted(KINDS)), priority=st.integers(0, 2), large=st.booleans())
    def ask(self, model: str, priority: int, large: bool) -> None:
        self.arrive(model, priority, large)
        self.pump()

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        del self.requests[data.draw(st.sampled_from(sorted(self.requests)))]
        self.pump()

    @precondition(lambda self: self.of(Use.IDLE, Use.PARKED))
    @rule(data=st.data())
    def pin_or_unpin(self, data: st.DataObject) -> None:
        self.change(self.draw(data, Use.IDLE, Use.PARKED), pinned=data.draw(st.booleans()))
        self.pump()

    @rule(device=st.sampled_from([0, 1]), size=st.sampled_from([0, 0, 3, 8]))
    def another_program(self, device: int, size: int) -> None:
        """It takes no more than is left beside what is leased: what it takes beyond, a load or a run misses."""
        leased = sum(w.bytes for w in self.workers.values() if device in w.devices)
        self.others[device] = max(0, min(size, BUDGETS[device] - leased))
        self.driver_speaks |= self.others[device] > 0
        self.pump()

    @rule(speaks=st.booleans())
    def driver(self, speaks: bool) -> None:
        """Without it nobody knows of other programs: then there are none."""
        self.driver_speaks = speaks or any(self.others.values())
        self.pump()

    # what processes do

    @precondition(lambda self: self.of(Use.STARTING))
    @rule(data=st.data())
    def start_ends(self, data: st.DataObject) -> None:
        self.wakes_up(self.draw(data, Use.STARTING))
        self.pump()

    @precondition(lambda self: self.of(Use.BUSY))
    @rule(data=st.data())
    def run_ends(self, data: st.DataObject) -> None:
        self.ends(self.draw(data, Use.BUSY))
        self.pump()

    @precondition(lambda self: self.of(Use.BUSY))
    @rule(data=st.data(), died=st.booleans())
    def runs_out_of_memory(self, data: st.DataObject, died: bool) -> None:
        """The estimate was too low: once more with a higher one, then it fails."""
        id_ = self.draw(data, Use.BUSY)
        request = self.holders.pop(id_)
        if died:
            self.change(id_, use=Use.LEAVING)
        else:
            self.change(id_, use=Use.IDLE, idle_seconds=0.0)
        if request.id not in self.retried:
            self.retried.add(request.id)
            self.requests[request.id] = replace(request, bytes=request.bytes + 2)
        self.pump()

    @precondition(lambda self: self.of(Use.PARKING))
    @rule(data=st.data())
    def is_parked(self, data: st.DataObject) -> None:
        self.change(self.draw(data, Use.PARKING), use=Use.PARKED)
        self.pump()

    @precondition(lambda self: self.of(Use.LEAVING))
    @rule(data=st.data())
    def is_gone(self, data: st.DataObject) -> None:
        self.goes(self.draw(data, Use.LEAVING))
        self.pump()

    @precondition(lambda self: self.of(Use.IDLE, Use.BUSY, Use.PARKED, Use.PARKING))
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.goes(self.draw(data, Use.IDLE, Use.BUSY, Use.PARKED, Use.PARKING))
        self.pump()

    # the pool's deeds

    def draw(self, data: st.DataObject, *uses: Use) -> str:
        return data.draw(st.sampled_from(self.of(*uses)))

    def of(self, *uses: Use) -> list[str]:
        return sorted(id_ for id_, w in self.workers.items() if w.use in uses)

    def change(self, id_: str, **facts: object) -> None:
        self.workers[id_] = replace(self.workers[id_], **facts)  # type: ignore[arg-type]

    def arrive(self, model: str, priority: int, large: bool) -> None:
        self.count += 1
        kind = KINDS[model]
        size = kind.large if large else kind.small
        name = f"r{self.count}"
        self.requests[name] = Request(name, model, size, self.count, priority, count=kind.count, among=kind.among)

    def wakes_up(self, id_: str) -> None:
        self.on_host.pop(id_, None)
        self.change(id_, use=Use.IDLE, idle_seconds=0.0, on_host=0)

    def ends(self, id_: str) -> None:
        self.holders.pop(id_, None)
        self.change(id_, use=Use.IDLE, idle_seconds=0.0)

    def goes(self, id_: str) -> None:
        del self.workers[id_]
        self.on_host.pop(id_, None)
        self.holders.pop(id_, None)

    def really_used(self, device: int) -> int:
        return sum(w.held for w in self.workers.values() if device in w.devices and w.use is not Use.STARTING)

    def rooms(self) -> list[Room]:
        said = self.driver_speaks
        return [
            Room(index, size, free_bytes=size - self.really_used(index) - self.others[index] if said else None)
            for index, size in BUDGETS.items()
        ]

    def pump(self) -> None:
        before = dict(self.workers)
        room = HOST_BUDGET - sum(self.on_host.values())
        decisions = decide(list(before.values()), list(self.requests.values()), self.rooms(), host_bytes=room)
        answered = [d.request for d in decisions if isinstance(d, Grant | Start | Wake | Hold | Refuse)]
        assert sorted(answered) == sorted(self.requests), "one decision for each request"
        for decision in decisions:
            self.carry_out(decision, before)

    def carry_out(self, decision: object, before: dict[str, Running]) -> None:
        match decision:
            case Grant(request, id_):
                asked, mine = self.requests.pop(request), before[id_]
                assert mine.use is Use.IDLE and mine.key == asked.key
                self.change(id_, use=Use.BUSY, bytes=max(mine.bytes, asked.bytes))
                self.holders[id_] = asked
                self.served(asked)
            case Start(request, devices):
                asked, kind = self.requests[request], KINDS[self.requests[request].key]
                assert len(devices) == kind.count and (not kind.among or set(devices) <= set(kind.among))
                id_ = f"w-{request}-{self.count}-{len(self.workers)}"
                self.workers[id_] = Running(
                    id_, asked.key, devices, asked.bytes, Use.STARTING, rest_bytes=int(kind.can_park),
                    host_bytes=kind.host, can_park=kind.can_park,
                )  # fmt: skip
                self.served(asked)
            case Wake(request, id_):
                asked = self.requests[request]
                assert before[id_].use is Use.PARKED and before[id_].key == asked.key
                self.change(id_, use=Use.STARTING, bytes=asked.bytes)
                self.served(asked)
            case Park(id_):
                assert before[id_].use is Use.IDLE and not before[id_].pinned and before[id_].can_park
                self.change(id_, use=Use.PARKING, on_host=before[id_].host_bytes)
                self.on_host[id_] = before[id_].host_bytes
            case Stop(id_):
                own = {asked.key for asked in self.requests.values()}
                assert before[id_].use in (Use.IDLE, Use.PARKED)
                assert not before[id_].pinned or before[id_].key in own, (
                    "only its own larger request moves a pinned one"
                )
                self.change(id_, use=Use.LEAVING, bytes=before[id_].held)
            case Refuse(request, impossible):
                asked = self.requests.pop(request)
                assert asked.bytes > impossible.largest_bytes

    def served(self, served: Request) -> None:
        for name, other in self.requests.items():
            if other.seq < served.seq:
                self.requests[name] = replace(other, overtaken=other.overtaken + 1)

    # what holds always

    @invariant()
    def never_over_budget(self) -> None:
        for index, budget in BUDGETS.items():
            assert sum(w.held for w in self.workers.values() if index in w.devices) <= budget
        assert sum(self.on_host.values()) <= HOST_BUDGET

    @invariant()
    def never_more_than_the_device_has(self) -> None:
        for index, budget in BUDGETS.items():
            assert self.really_used(index) + self.others[index] <= budget

    @invariant()
    def one_worker_per_model(self) -> None:
        present = [w.key for w in self.workers.values() if w.use is not Use.LEAVING]
        assert len(present) == len(set(present))

    @invariant()
    def who_waits_has_a_reason(self) -> None:
        if self.requests and not self.workers and not any(self.others.values()):
            raise AssertionError("people wait in front of an empty machine")

    def teardown(self) -> None:
        """Every wait ends: let everything that goes on come to its end, with newcomers asking all the time."""
        self.others = dict.fromkeys(self.others, 0)
        self.unpin(self.workers)
        old = set(self.requests)
        self.pump()
        newcomers = sorted(set(KINDS) - {"giant"})
        for day in range(600):
            if not old & set(self.requests):
                return
            if len(self.requests) < 12:
                self.arrive(newcomers[day % len(newcomers)], priority=2, large=False)
            for id_ in self.of(Use.STARTING):
                self.wakes_up(id_)
            for id_ in self.of(Use.BUSY):
                self.ends(id_)
            for id_ in self.of(Use.PARKING):
                self.change(id_, use=Use.PARKED)
            for id_ in self.of(Use.LEAVING):
                self.goes(id_)
            self.pump()
        raise AssertionError(f"{old & set(self.requests)} wait for ever")

    def unpin(self, ids: Iterable[str]) -> None:
        for id_ in list(ids):
            self.change(id_, pinned=False)


# 25,000 transitions.
Days.TestCase.settings = settings(
    max_examples=500, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
TestDays = Days.TestCase
