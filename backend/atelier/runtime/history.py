"""The last minutes of figures, in columns: bounded in time and in memory, cheap to keep and to answer from."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Sequence

from atelier.runtime.devices import DeviceSample, HostSample

KEPT_SECONDS = 900.0
KEPT_ROWS = 900

HOST = ("cpu_percent", "memory_used_bytes")
DEVICE = ("used_bytes", "utilization", "temperature_c", "power_w")


class History:
    """A ring of rows: the time, the host's figures, then each device's. 8 bytes a figure; NaN where there was none.

    One thread may add while another reads.
    """

    def __init__(self, devices: int, *, rows: int = KEPT_ROWS, seconds: float = KEPT_SECONDS) -> None:
        self._rows, self._seconds, self._devices = rows, seconds, devices
        names = 1 + len(HOST) + devices * len(DEVICE)
        self._columns = [array("d", bytes(8 * rows)) for _ in range(names)]
        self._added = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return min(self._added, self._rows)

    def add(self, host: HostSample, samples: Sequence[DeviceSample]) -> None:
        # Rounded here and not where it is told: what was told last must not come again as later.
        row: list[float | None] = [round(host.at, 2), *(getattr(host, name) for name in HOST)]
        by_index = {sample.index: sample for sample in samples}
        for index in range(self._devices):
            sample = by_index.get(index)
            known = sample is not None and sample.problem is None
            row += [getattr(sample, name) if known else None for name in DEVICE]
        with self._lock:
            place = self._added % self._rows
            for column, value in zip(self._columns, row, strict=True):
                column[place] = math.nan if value is None else value
            self._added += 1

    def since(self, moment: float) -> list[list[float | None]]:
        """Columns in the order of a row, oldest first, of all rows later than `moment` and not too old."""
        with self._lock:
            places = self._in_order()
            times = self._columns[0]
            oldest = max(moment, times[places[-1]] - self._seconds) if places else moment
            wanted = [place for place in places if times[place] > oldest]
            return [[_known(column[place]) for place in wanted] for column in self._columns]

    def device(self, columns: list[list[float | None]], index: int) -> dict[str, list[float | None]]:
        """The columns of one device out of what `since` gave, by name."""
        start = 1 + len(HOST) + index * len(DEVICE)
        return dict(zip(DEVICE, columns[start : start + len(DEVICE)], strict=True))

    def host(self, columns: list[list[float | None]]) -> dict[str, list[float | None]]:
        return dict(zip(HOST, columns[1 : 1 + len(HOST)], strict=True))

    def _in_order(self) -> list[int]:
        newest = self._added % self._rows
        if self._added < self._rows:
            return list(range(newest))
        return [*range(newest, self._rows), *range(newest)]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
