"""The ring of figures: bounded in time and memory, in columns, oldest first."""

from __future__ import annotations

from atelier.runtime.devices import DeviceSample, HostSample
from atelier.runtime.history import KEPT_ROWS, KEPT_SECONDS, History

GB = 10**9


def filled(moments: list[float], **settings: float) -> History:
    history = History(2, **settings)  # type: ignore[arg-type]
    for moment in moments:
        host = HostSample(moment, 10.0, int(moment), 16 * GB)
        first = DeviceSample(0, moment, int(moment) + 1, 0, GB, temperature_c=40.0)
        history.add(host, [first, DeviceSample(1, moment, 7, 0, GB, problem="lost")])
    return history


class TestHistory:
    def test_is_empty_at_first(self) -> None:
        history = History(2)
        assert len(history) == 0 and history.since(0) == [[] for _ in history.since(0)]

    def test_columns_are_named_and_a_gap_is_none(self) -> None:
        history = filled([1.0, 2.0])
        columns = history.since(0)
        assert columns[0] == [1.0, 2.0]
        assert history.host(columns) == {"cpu_percent": [10.0, 10.0], "memory_used_bytes": [1.0, 2.0]}
        first, second = history.device(columns, 0), history.device(columns, 1)
        assert first["used_bytes"] == [2.0, 3.0] and first["temperature_c"] == [40.0, 40.0]
        assert first["power_w"] == second["used_bytes"] == [None, None]

    def test_since_leaves_out_what_is_known(self) -> None:
        assert filled([1.0, 2.0, 3.0]).since(2.0)[0] == [3.0]

    def test_more_rows_than_places_keep_the_newest_oldest_first(self) -> None:
        history = filled([float(n) for n in range(25)], rows=10)
        assert len(history) == 10 and history.since(0)[0] == [float(n) for n in range(15, 25)]

    def test_what_is_older_than_a_quarter_of_an_hour_is_not_told(self) -> None:
        moments = [5.0 * n for n in range(400)]
        times = filled(moments).since(-1)[0]
        assert times[-1] == moments[-1] and times[-1] - times[0] < KEPT_SECONDS

    def test_takes_no_more_memory_when_it_runs_for_long(self) -> None:
        history = History(8)
        before = sum(column.itemsize * len(column) for column in history._columns)
        for moment in range(2 * KEPT_ROWS):
            history.add(HostSample(float(moment), 1.0, 1, 2), [])
        assert sum(column.itemsize * len(column) for column in history._columns) == before < 300_000
