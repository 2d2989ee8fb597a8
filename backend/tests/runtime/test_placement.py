"""Who gets which memory: single plans, then a machine that lives through thousands of random days."""

from __future__ import annotations

from dataclasses import replace

import pytest
from atelier.runtime.placement import (
    PATIENCE,
    Evict,
    Grant,
    Hold,
    Impossible,
    Park,
    Place,
    Refuse,
    Request,
    Room,
    Running,
    Start,
    Stop,
    Use,
    Wait,
    Wanted,
    decide,
    plan,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

ONE = [Room(0, 10)]
TWO = [Room(0, 10), Room(1, 20)]


def worker(id_: str, size: int, use: Use = Use.IDLE, **facts: object) -> Running:
    return Running(id_, key=id_, bytes=size, use=use, **({"device": 0} | facts))  # type: ignore[arg-type]


class TestPlan:
    def test_place_on_an_empty_device(self) -> None:
        assert plan([], Wanted("x", 10), ONE) == Place(0)

    def test_place_on_the_device_with_fewest_workers(self) -> None:
        assert plan([worker("a", 1)], Wanted("x", 5), TWO) == Place(1)

    def test_place_the_tightest_fit_among_equals(self) -> None:
        assert plan([], Wanted("x", 5), TWO) == Place(0)
        assert plan([], Wanted("x", 15), TWO) == Place(1)

    @pytest.mark.parametrize("devices", [[], ONE, [Room(0, 10), Room(1, 12)]])
    def test_impossible_when_no_empty_device_could(self, devices: list[Room]) -> None:
        assert plan([], Wanted("x", 13), devices) == Impossible(max((d.budget_bytes for d in devices), default=0))

    def test_full_but_large_enough_is_not_impossible(self) -> None:
        assert not isinstance(plan([worker("a", 10, Use.BUSY, pinned=True)], Wanted("x", 10), ONE), Impossible)

    def test_evict_as_few_as_possible(self) -> None:
        running = [worker("a", 3), worker("b", 3), worker("c", 4)]
        assert plan(running, Wanted("x", 4), ONE) == Evict(0, ("c",))

    def test_evict_who_is_missed_least(self) -> None:
        running = [
            worker("fresh", 5, idle_seconds=1, reload_seconds=1),
            worker("old", 5, idle_seconds=900, reload_seconds=5),
        ]
        assert plan(running, Wanted("x", 5), ONE) == Evict(0, ("old",))

    def test_evict_lower_priority_first(self) -> None:
        running = [worker("low", 5, priority=0, idle_seconds=1), worker("high", 5, priority=9, idle_seconds=999)]
        assert plan(running, Wanted("x", 5), ONE) == Evict(0, ("low",))

    @pytest.mark.parametrize("facts", [{"use": Use.BUSY}, {"use": Use.STARTING}, {"pinned": True}])
    def test_never_evict_what_is_used_or_pinned(self, facts: dict[str, object]) -> None:
        assert plan([worker("a", 10, **facts)], Wanted("x", 5), ONE) == Wait(0, ("a",))  # type: ignore[arg-type]

    def test_wait_for_what_is_leaving_instead_of_evicting_more(self) -> None:
        running = [worker("going", 5, Use.LEAVING), worker("idle", 5)]
        assert plan(running, Wanted("x", 5), ONE) == Wait(0, ("going",))

    def test_what_is_leaving_counts_when_evicting(self) -> None:
        running = [worker("going", 4, Use.LEAVING), worker("a", 3), worker("b", 3)]
        assert plan(running, Wanted("x", 7), ONE) == Evict(0, ("a",))

    def test_wait_for_the_fewest_busy(self) -> None:
        running = [worker("a", 5, Use.BUSY), worker("b", 5, Use.BUSY)]
        assert plan(running, Wanted("x", 5), ONE) == Wait(0, ("a",))

    def test_park_a_lesser_run_that_can_step_aside(self) -> None:
        running = [worker("training", 8, Use.BUSY, parkable=True), worker("idle", 2)]
        assert plan(running, Wanted("x", 10, priority=5), ONE) == Park(0, ("training",), ("idle",))
        assert plan(running, Wanted("x", 10, priority=0), ONE) == Wait(0, ("training",))

    def test_free_memory_as_the_device_sees_it(self) -> None:
        assert plan([], Wanted("x", 5), [Room(0, 10, free_bytes=4)]) == Wait(0)
        assert plan([], Wanted("x", 5), [Room(0, 10, free_bytes=5)]) == Place(0)

    def test_a_starting_worker_has_not_taken_its_memory_yet(self) -> None:
        rooms = [Room(0, 20, free_bytes=10)]
        assert plan([worker("a", 6, Use.STARTING)], Wanted("x", 6), rooms) == Wait(0, ("a",))

    def test_many_candidates_are_decided_quickly(self) -> None:
        running = [worker(f"w{i}", 1, idle_seconds=i) for i in range(60)]
        step = plan(running, Wanted("x", 30), [Room(0, 60)])
        assert isinstance(step, Evict) and len(step.workers) == 30 and "w0" not in step.workers


class TestDecide:
    def test_grant_the_idle_worker_of_the_model(self) -> None:
        running = [worker("a", 5)]
        assert decide(running, [Request("r", "a", 5, 0)], ONE) == [Grant("r", "a")]

    def test_one_grant_per_worker(self) -> None:
        requests = [Request("r1", "a", 5, 0), Request("r2", "a", 5, 1)]
        assert decide([worker("a", 5)], requests, ONE) == [Grant("r1", "a"), Hold("r2", turn="a")]

    def test_two_for_a_model_that_is_not_there_start_it_once(self) -> None:
        requests = [Request("r1", "a", 5, 0), Request("r2", "a", 5, 1)]
        assert decide([], requests, ONE) == [Start("r1", 0), Hold("r2", turn="new:r1")]

    def test_priority_then_arrival(self) -> None:
        requests = [Request("late", "a", 5, 2), Request("first", "a", 5, 1), Request("high", "a", 5, 3, priority=1)]
        assert [d.request for d in decide([worker("a", 5)], requests, ONE)] == ["high", "first", "late"]  # type: ignore[union-attr]

    def test_later_ones_do_not_take_what_an_earlier_one_waits_for(self) -> None:
        running = [worker("a", 6, Use.BUSY)]
        requests = [Request("big", "b", 8, 0), Request("small", "c", 4, 1)]
        big, small = decide(running, requests, ONE)
        assert big == Hold("big", plan=Wait(0, ("a",)))
        assert isinstance(small, Hold)

    def test_small_ones_go_beside_one_that_waits_when_both_fit(self) -> None:
        running = [worker("a", 6, Use.BUSY)]
        requests = [Request("big", "b", 8, 0), Request("small", "c", 2, 1)]
        assert decide(running, requests, [Room(0, 16)])[1] == Start("small", 0)

    def test_an_evicted_worker_is_not_granted(self) -> None:
        requests = [Request("new", "b", 10, 0), Request("old", "a", 5, 1)]
        stop, hold, other = decide([worker("a", 5)], requests, ONE)
        assert (stop, hold) == (Stop("a"), Hold("new", plan=Evict(0, ("a",))))
        assert isinstance(other, Hold)

    def test_after_enough_overtaking_the_workers_it_needs_are_kept(self) -> None:
        running = [worker("a", 5), worker("b", 5, Use.BUSY)]
        again = Request("again", "a", 5, 9, priority=5)
        patient = Request("big", "c", 10, 0, overtaken=PATIENCE - 1)
        assert Grant("again", "a") in decide(running, [patient, again], ONE)
        impatient = Request("big", "c", 10, 0, overtaken=PATIENCE)
        assert Grant("again", "a") not in decide(running, [impatient, again], ONE)

    def test_refuse_only_what_can_never_fit(self) -> None:
        assert decide([], [Request("r", "a", 11, 0)], ONE) == [Refuse("r", 10)]


MODELS = {"tiny": 2, "small": 5, "large": 9, "huge": 14, "giant": 40}
ROOMS = [Room(0, 10), Room(1, 16)]


class Days(RuleBasedStateMachine):
    """People ask, runs end, models load and leave, in any order. The pool's deeds without its processes."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: dict[str, Running] = {}
        self.requests: dict[str, Request] = {}
        self.waited: dict[str, int] = {}
        self.count = 0

    # what people do

    @rule(model=st.sampled_from(sorted(MODELS)), priority=st.integers(0, 2))
    def ask(self, model: str, priority: int) -> None:
        self.count += 1
        name = f"r{self.count}"
        self.requests[name] = Request(name, model, MODELS[model], self.count, priority)
        self.waited[name] = 0
        self.pump()

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.requests)))
        del self.requests[name]
        self.pump()

    @precondition(lambda self: self.of(Use.IDLE))
    @rule(data=st.data())
    def pin_or_unpin(self, data: st.DataObject) -> None:
        self.change(data.draw(st.sampled_from(self.of(Use.IDLE))), pinned=data.draw(st.booleans()))
        self.pump()

    # what processes do

    @precondition(lambda self: self.of(Use.STARTING))
    @rule(data=st.data())
    def start_ends(self, data: st.DataObject) -> None:
        self.change(data.draw(st.sampled_from(self.of(Use.STARTING))), use=Use.IDLE)
        self.pump()

    @precondition(lambda self: self.of(Use.BUSY))
    @rule(data=st.data())
    def run_ends(self, data: st.DataObject) -> None:
        self.change(data.draw(st.sampled_from(self.of(Use.BUSY))), use=Use.IDLE, idle_seconds=0.0)
        self.pump()

    @precondition(lambda self: self.of(Use.LEAVING))
    @rule(data=st.data())
    def is_gone(self, data: st.DataObject) -> None:
        del self.workers[data.draw(st.sampled_from(self.of(Use.LEAVING)))]
        self.pump()

    @precondition(lambda self: self.of(Use.IDLE) + self.of(Use.BUSY))
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        del self.workers[data.draw(st.sampled_from(self.of(Use.IDLE) + self.of(Use.BUSY)))]
        self.pump()

    # the pool's deeds

    def of(self, use: Use) -> list[str]:
        return sorted(id_ for id_, w in self.workers.items() if w.use is use)

    def change(self, id_: str, **facts: object) -> None:
        self.workers[id_] = replace(self.workers[id_], **facts)  # type: ignore[arg-type]

    def pump(self) -> None:
        before = dict(self.workers)
        decisions = decide(list(self.workers.values()), list(self.requests.values()), ROOMS)
        answered = [d.request for d in decisions if not isinstance(d, Stop)]  # type: ignore[union-attr]
        assert sorted(answered) == sorted(self.requests), "one decision for each request"
        for decision in decisions:
            match decision:
                case Grant(request, id_):
                    assert before[id_].use is Use.IDLE and before[id_].key == self.requests[request].key
                    self.change(id_, use=Use.BUSY)
                    self.served(request)
                    del self.requests[request]
                case Start(request, device):
                    asked = self.requests[request]
                    self.workers[f"w-{request}-{self.count}-{len(self.workers)}"] = Running(
                        f"w-{request}-{self.count}-{len(self.workers)}", asked.key, device, asked.bytes, Use.STARTING
                    )
                    self.served(request)
                case Stop(id_):
                    assert before[id_].use is Use.IDLE and not before[id_].pinned
                    self.change(id_, use=Use.LEAVING)
                case Refuse(request, largest):
                    assert largest == 16 and self.requests[request].bytes > 16
                    del self.requests[request]

    def served(self, request: str) -> None:
        seq = self.requests[request].seq
        for name, other in self.requests.items():
            if other.seq < seq:
                self.requests[name] = replace(other, overtaken=other.overtaken + 1)

    # what holds always

    @invariant()
    def never_over_budget(self) -> None:
        for room in ROOMS:
            assert sum(w.bytes for w in self.workers.values() if w.device == room.index) <= room.budget_bytes

    @invariant()
    def one_worker_per_model(self) -> None:
        present = [w.key for w in self.workers.values() if w.use is not Use.LEAVING]
        assert len(present) == len(set(present))

    @invariant()
    def who_waits_has_a_reason(self) -> None:
        if self.requests and not self.workers:
            raise AssertionError("people wait in front of an empty machine")

    def teardown(self) -> None:
        """Every wait ends: let everything that goes on come to its end, with newcomers asking all the time."""
        for id_ in list(self.workers):
            self.change(id_, pinned=False)
        old = set(self.requests)
        self.pump()
        for day in range(400):
            if not old & set(self.requests):
                return
            if len(self.requests) < 12:
                self.count += 1
                name = f"n{self.count}"
                model = sorted(MODELS)[day % 4]
                self.requests[name] = Request(name, model, MODELS[model], self.count, priority=2)
            for id_ in self.of(Use.STARTING) + self.of(Use.BUSY):
                self.change(id_, use=Use.IDLE)
            for id_ in self.of(Use.LEAVING):
                del self.workers[id_]
            self.pump()
        raise AssertionError(f"{old & set(self.requests)} wait for ever")


Days.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
TestDays = Days.TestCase
