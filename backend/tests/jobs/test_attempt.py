"""Progress of an attempt: forecast, throttle, no way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from atelier.events import Envelope, EventBus
from atelier.jobs import attempt as module
from atelier.jobs.attempt import Attempt
from atelier.shapes import PreviewOut
from tests.jobs.records import a_job


class Clock:
    """Stands in for `time` in the module under test."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stand_in = Clock()
    monkeypatch.setattr(module, "time", stand_in)
    return stand_in


def attempt_and_events() -> tuple[Attempt, list[dict[str, Any]]]:
    bus, seen = EventBus(), []

    def listen(envelope: Envelope) -> None:
        seen.append(json.loads(envelope.body))

    bus.listen(listen)
    return Attempt(a_job(id="job_1", attempt=1), bus), seen


async def test_the_forecast_does_not_count_loading(clock: Clock) -> None:
    attempt, _ = attempt_and_events()
    attempt.progress(0, 80)
    clock.now += 60  # the model is loaded
    attempt.progress(1, 80)
    assert attempt.eta_seconds is None
    clock.now += 0.5
    attempt.progress(2, 80)
    assert attempt.eta_seconds == 39.0


async def test_progress_never_goes_back(clock: Clock) -> None:
    attempt, _ = attempt_and_events()
    for step in (3, 2, 5):
        attempt.progress(step, 10)
    assert attempt.step == 5


async def test_at_most_four_events_a_second_and_none_after_the_end(clock: Clock) -> None:
    attempt, seen = attempt_and_events()
    for step in range(100):
        attempt.progress(step, 100)
        clock.now += 0.01
    assert 3 <= len(seen) <= 5
    attempt.over()
    attempt.progress(100, 100)
    assert seen[-1]["step"] < 100


async def test_the_latest_preview_of_each_picture_is_kept_for_who_comes_later(clock: Clock) -> None:
    attempt, _ = attempt_and_events()
    for index, data in ((0, "data:a"), (0, "data:b"), (1, "data:c")):
        clock.now += 1
        attempt.progress(1, 80, previews=[PreviewOut(index=index, data_url=data)])
    assert [preview.data_url for preview in attempt.shown.values()] == ["data:b", "data:c"]
