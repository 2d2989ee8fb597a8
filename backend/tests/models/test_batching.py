"""How many pictures are made together: by what was measured, tried by doubling, kept only where it pays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from atelier.clock import now
from atelier.images.sharing import choose, likeness
from atelier.models import batching
from atelier.models.batching import BatchProfile
from atelier.models.estimate import Work
from atelier.models.learning import Measured, Subject
from atelier.tables import JobKind

SUBJECT, WORK = Subject("m", "cpu", "diffusers_image float32 x1"), Work(64, 64)


class Remembers:
    """What `Learning` does, without a database."""

    def __init__(self) -> None:
        self.known: dict[Subject, list[Measured]] = defaultdict(list)

    def note(self, subject: Subject, measured: Measured) -> None:
        self.known[subject].append(measured)

    def measured(self, subject: Subject) -> list[Measured]:
        return self.known[subject]


def profile(costs: dict[int, float]) -> tuple[BatchProfile, list[int]]:
    """A profile of a machine on which a picture costs so much in a batch, and what it tried on its way."""
    made, tried = BatchProfile(Remembers()), []  # type: ignore[arg-type]
    made.note(SUBJECT, WORK, 1, 10, 10 * costs[1])
    while (size := made.most(SUBJECT, WORK)) > 1 and tried.count(size) < batching.LAST:
        tried.append(size)
        made.note(SUBJECT, WORK, size, 10 * size, 10 * size * costs[size])
    return made, tried


def test_nothing_is_shared_before_one_alone_was_measured() -> None:
    assert BatchProfile(Remembers()).most(SUBJECT, WORK) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("costs", "tried", "chosen"),
    [
        ({1: 1.0, 2: 0.58, 4: 0.42, 8: 0.34}, [2, 4, 8, 8, 8], 8),  # waits for its own calls, as a tiny model
        ({1: 1.0, 2: 0.90, 4: 0.88}, [2, 4, 4, 4, 2, 2], 1),  # busy: a little is not worth the waiting
        ({1: 1.0, 2: 0.60, 4: 0.59}, [2, 4, 4, 4, 2, 2], 2),  # busy from two on
        ({1: 1.0, 2: 1.02}, [2, 2, 2], 1),
    ],
)
def test_sizes_are_tried_by_doubling_and_kept_where_they_pay(
    costs: dict[int, float], tried: list[int], chosen: int
) -> None:
    made, were = profile(costs)
    assert were == tried and made.most(SUBJECT, WORK) == chosen


def test_a_run_that_other_programs_made_slow_is_tried_again() -> None:
    made = BatchProfile(Remembers())  # type: ignore[arg-type]
    for size, cost in ((1, 1.0), (2, 1.7), (2, 0.58), (4, 0.9), (4, 0.42), (8, 0.34)):
        assert made.most(SUBJECT, WORK) == size
        made.note(SUBJECT, WORK, size, 10 * size, 10 * size * cost)
    assert made.most(SUBJECT, WORK) == 8


def test_other_sizes_and_guidance_are_measured_apart() -> None:
    made, _ = profile({1: 1.0, 2: 0.58, 4: 0.42, 8: 0.34})
    assert made.most(SUBJECT, Work(128, 128)) == 1 and made.most(SUBJECT, replace(WORK, guided=False)) == 1


def test_what_did_not_fit_is_not_tried_for_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = profile({1: 1.0, 2: 0.58, 4: 0.42, 8: 0.34})
    made.note_memory(SUBJECT, WORK, 2)
    assert made.most(SUBJECT, WORK) == 2
    monkeypatch.setattr(batching, "now", lambda: now() + timedelta(hours=7))
    assert made.most(SUBJECT, WORK) == 8


def test_what_was_measured_long_ago_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = profile({1: 1.0, 2: 1.02})
    monkeypatch.setattr(batching, "now", lambda: now() + timedelta(days=8))
    made.note(SUBJECT, WORK, 1, 10, 10.0)
    made._learning.known[next(iter(made._learning.known))][-1] = Measured(  # type: ignore[attr-defined]
        "run", 1, 10.0, 1, 10.0, now() + timedelta(days=8)
    )
    assert made.most(SUBJECT, WORK) == 2


def waiting(id_: str, priority: int = 0, seeds: int = 1, crashes: int = 0, **resolved: object) -> SimpleNamespace:
    request = {"resolved": {"model": "m", "width": 64, "prompt": id_, "seeds": [1] * seeds, **resolved}}
    return SimpleNamespace(id=id_, kind=JobKind.IMAGE_GENERATE, priority=priority, crashes=crashes, request=request)


def chosen(*jobs: SimpleNamespace, room: int = 8, alone: tuple[str, ...] = ()) -> list[str]:
    alike = likeness(waiting("leader").request)
    assert alike is not None
    return [job.id for job in choose(list(jobs), alike, room, alone)]  # type: ignore[arg-type]


class TestWhoShares:
    def test_prompts_seeds_and_formats_may_differ(self) -> None:
        assert chosen(waiting("a", format="webp", negative_prompt="x"), waiting("b", seeds=3)) == ["a", "b"]

    def test_nothing_else_may(self) -> None:
        others = [waiting("a", width=128), waiting("b", loras=[{"key": "k"}]), waiting("c", whatever_comes=1)]
        assert chosen(*others) == []

    def test_pictures_from_pictures_are_made_alone(self) -> None:
        for task in ({"task": "inpaint"}, {"start": {"image": "img_1"}}, {"hires": {"width": 128}}):
            assert likeness(waiting("a", **task).request) is None

    def test_no_more_than_there_is_room_for(self) -> None:
        assert chosen(waiting("a"), waiting("b", seeds=3), waiting("c", seeds=2), room=3) == ["a", "c"]

    def test_nobody_of_higher_priority_is_overtaken(self) -> None:
        line = [waiting("high", 5), waiting("other", 2, width=128), waiting("same", 2), waiting("low", 1)]
        assert chosen(*line) == ["high", "same"]

    def test_who_crashed_a_worker_or_is_to_run_alone_does_not(self) -> None:
        assert chosen(waiting("a", crashes=1), waiting("b"), waiting("c"), alone=("b",)) == ["c"]
