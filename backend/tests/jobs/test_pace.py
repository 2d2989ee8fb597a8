"""Forecasts in the line."""

from __future__ import annotations

from atelier.jobs.pace import LAST, Pace


class TestPace:
    def test_nothing_is_known_before_the_first(self) -> None:
        assert Pace().until("image.generate", 3, 1, []) is None

    def test_those_before_and_those_under_way(self) -> None:
        pace = Pace()
        for seconds in (8.0, 12.0):
            pace.note("image.generate", seconds)
        assert pace.until("image.generate", 0, 1, []) == 0
        assert pace.until("image.generate", 2, 1, [4.0]) == 24
        assert pace.until("image.generate", 2, 2, [4.0, None]) == 17

    def test_only_the_last_count(self) -> None:
        pace = Pace()
        for seconds in [100.0] * 5 + [2.0] * LAST:
            pace.note("x", seconds)
        assert pace.mean("x") == 2
