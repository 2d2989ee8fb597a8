"""Who gets which memory: plans for one request."""

from __future__ import annotations

import pytest
from atelier.runtime.placement import Evict, Impossible, Place, Room, Running, Use, Wait, Wanted, Yield, plan

ONE = [Room(0, 10)]
TWO = [Room(0, 10), Room(1, 20)]


def worker(id_: str, size: int, use: Use = Use.IDLE, **facts: object) -> Running:
    return Running(id_, key=id_, bytes=size, use=use, **({"devices": (0,)} | facts))  # type: ignore[arg-type]


class TestPlan:
    def test_place_on_an_empty_device(self) -> None:
        assert plan([], Wanted("x", 10), ONE) == Place((0,))

    def test_place_on_the_device_with_fewest_workers(self) -> None:
        assert plan([worker("a", 1)], Wanted("x", 5), TWO) == Place((1,))

    def test_place_the_tightest_fit_among_equals(self) -> None:
        assert plan([], Wanted("x", 5), TWO) == Place((0,))
        assert plan([], Wanted("x", 15), TWO) == Place((1,))

    @pytest.mark.parametrize("devices", [[], ONE, [Room(0, 10), Room(1, 12)]])
    def test_impossible_when_no_empty_device_could(self, devices: list[Room]) -> None:
        assert plan([], Wanted("x", 13), devices) == Impossible(
            max((d.budget_bytes for d in devices), default=0), len(devices)
        )

    def test_full_but_large_enough_is_not_impossible(self) -> None:
        assert not isinstance(plan([worker("a", 10, Use.BUSY, pinned=True)], Wanted("x", 10), ONE), Impossible)

    def test_evict_as_few_as_possible(self) -> None:
        running = [worker("a", 3), worker("b", 3), worker("c", 4)]
        assert plan(running, Wanted("x", 4), ONE) == Evict((0,), ("c",))

    def test_evict_who_is_missed_least(self) -> None:
        running = [
            worker("fresh", 5, idle_seconds=1, reload_seconds=1),
            worker("old", 5, idle_seconds=900, reload_seconds=5),
        ]
        assert plan(running, Wanted("x", 5), ONE) == Evict((0,), ("old",))

    def test_evict_lower_priority_first(self) -> None:
        running = [worker("low", 5, priority=0, idle_seconds=1), worker("high", 5, priority=9, idle_seconds=999)]
        assert plan(running, Wanted("x", 5), ONE) == Evict((0,), ("low",))

    @pytest.mark.parametrize("facts", [{"use": Use.BUSY}, {"use": Use.STARTING}, {"pinned": True}])
    def test_never_evict_what_is_used_or_pinned(self, facts: dict[str, object]) -> None:
        assert plan([worker("a", 10, **facts)], Wanted("x", 5), ONE) == Wait((0,), ("a",))  # type: ignore[arg-type]

    def test_wait_for_what_is_leaving_instead_of_evicting_more(self) -> None:
        running = [worker("going", 5, Use.LEAVING), worker("idle", 5)]
        assert plan(running, Wanted("x", 5), ONE) == Wait((0,), ("going",))

    def test_what_is_leaving_counts_when_evicting(self) -> None:
        running = [worker("going", 4, Use.LEAVING), worker("a", 3), worker("b", 3)]
        assert plan(running, Wanted("x", 7), ONE) == Evict((0,), ("a",))

    def test_wait_for_the_fewest_busy(self) -> None:
        running = [worker("a", 5, Use.BUSY), worker("b", 5, Use.BUSY)]
        assert plan(running, Wanted("x", 5), ONE) == Wait((0,), ("a",))

    def test_park_a_lesser_run_that_can_step_aside(self) -> None:
        running = [worker("training", 8, Use.BUSY, can_yield=True), worker("idle", 2)]
        assert plan(running, Wanted("x", 10, priority=5), ONE) == Yield((0,), ("training",), ("idle",))
        assert plan(running, Wanted("x", 10, priority=0), ONE) == Wait((0,), ("training",))
        steady = [worker("picture", 8, Use.BUSY), worker("idle", 2)]
        assert plan(steady, Wanted("x", 10, priority=5), ONE) == Wait((0,), ("picture",)), "not every run can"

    def test_free_memory_as_the_device_sees_it(self) -> None:
        assert plan([], Wanted("x", 5), [Room(0, 10, free_bytes=4)]) == Wait((0,))
        assert plan([], Wanted("x", 5), [Room(0, 10, free_bytes=5)]) == Place((0,))

    def test_a_starting_worker_has_not_taken_its_memory_yet(self) -> None:
        rooms = [Room(0, 20, free_bytes=10)]
        assert plan([worker("a", 6, Use.STARTING)], Wanted("x", 6), rooms) == Wait((0,), ("a",))

    def test_many_candidates_are_decided_quickly(self) -> None:
        running = [worker(f"w{i}", 1, idle_seconds=i) for i in range(60)]
        step = plan(running, Wanted("x", 30), [Room(0, 60)])
        assert isinstance(step, Evict) and len(step.workers) == 30 and "w0" not in step.workers


class TestParking:
    def test_park_what_can_be_parked_instead_of_stopping_it(self) -> None:
        running = [worker("a", 8, can_park=True, rest_bytes=1, host_bytes=5), worker("pinned", 2, pinned=True)]
        assert plan(running, Wanted("x", 7), ONE, host_bytes=5) == Evict((0,), park=("a",))

    def test_stop_it_where_the_host_has_no_room(self) -> None:
        running = [worker("a", 8, can_park=True, rest_bytes=1, host_bytes=5)]
        assert plan(running, Wanted("x", 7), ONE, host_bytes=4) == Evict((0,), ("a",))

    def test_stop_it_where_parking_would_not_free_enough(self) -> None:
        running = [worker("a", 8, can_park=True, rest_bytes=4, host_bytes=0)]
        assert plan(running, Wanted("x", 7), ONE) == Evict((0,), ("a",))

    def test_of_two_park_the_one_that_is_missed_more(self) -> None:
        facts = {"can_park": True, "host_bytes": 5}
        running = [worker("old", 5, idle_seconds=99, **facts), worker("new", 5, **facts)]
        assert plan(running, Wanted("x", 10), ONE, host_bytes=5) == Evict((0,), ("old",), ("new",))

    def test_a_parked_one_that_is_missed_less_makes_room_on_the_host(self) -> None:
        old = worker("old", 9, Use.PARKED, host_bytes=5, idle_seconds=999)
        fresh = worker("fresh", 8, can_park=True, host_bytes=5)
        assert plan([old, fresh], Wanted("x", 9), ONE, host_bytes=0) == Evict((0,), ("old",))
        leaving = worker("old", 0, Use.LEAVING, host_bytes=5, on_host=5)
        assert plan([leaving, fresh], Wanted("x", 9), ONE, host_bytes=0) == Wait((0,), ("old",)), "until it is gone"
        missed = worker("old", 9, Use.PARKED, host_bytes=5, reload_seconds=99)
        assert plan([missed, fresh], Wanted("x", 9), ONE, host_bytes=0) == Evict((0,), ("fresh",))

    def test_a_parked_worker_holds_what_it_keeps(self) -> None:
        parked = worker("a", 9, Use.PARKED, rest_bytes=3)
        assert plan([parked], Wanted("x", 7), ONE) == Place((0,))
        assert plan([parked], Wanted("x", 8), ONE) == Evict((0,), ("a",))

    def test_what_is_being_parked_is_waited_for(self) -> None:
        parking = worker("a", 9, Use.PARKING, rest_bytes=1)
        assert plan([parking, worker("idle", 1)], Wanted("x", 8), ONE) == Wait((0,), ("a",))


class TestSeveralDevices:
    FOUR = [Room(index, 10) for index in range(4)]

    def test_over_two_devices(self) -> None:
        assert plan([], Wanted("x", 6, count=2), self.FOUR) == Place((0, 1))
        assert plan([worker("a", 6)], Wanted("x", 6, count=2), self.FOUR) == Place((1, 2))

    def test_on_those_that_were_named(self) -> None:
        assert plan([], Wanted("x", 6, count=2, among=(1, 3)), self.FOUR) == Place((1, 3))
        assert plan([worker("a", 6, devices=(3,))], Wanted("x", 6, among=(3,)), self.FOUR) == Evict((3,), ("a",))

    def test_a_worker_over_two_frees_both(self) -> None:
        wide = worker("wide", 8, devices=(0, 1))
        assert plan([wide], Wanted("x", 8, count=4), self.FOUR) == Evict((0, 1, 2, 3), ("wide",))
        assert plan([wide], Wanted("x", 3, among=(1,)), self.FOUR) == Evict((1,), ("wide",))

    def test_impossible_with_too_few_devices(self) -> None:
        assert plan([], Wanted("x", 1, count=5), self.FOUR) == Impossible(0, 4)
        assert plan([], Wanted("x", 11, count=2), self.FOUR) == Impossible(10, 4)
        assert plan([], Wanted("x", 1, count=2, among=(7,)), self.FOUR) == Impossible(0, 0)
