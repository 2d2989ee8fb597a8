"""Whether pictures of several requests are made together, and how many: what was measured decides. Memory only, but
for the measurements, which `Learning` keeps.

A denoiser that keeps its device busy gains nothing from a second picture; one that waits for its own next call gains
nearly all of it. Which it is depends on model, device, options and size, so each is tried when several wait: two
together, then four, then eight, as long as a picture gets cheaper; from then on the cheapest is kept.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

from atelier.clock import now
from atelier.models.estimate import Work
from atelier.models.learning import Learning, Measured, Subject

SIZES = (1, 2, 4, 8)
MOST = SIZES[-1]
PAYS = 0.8
"""A picture of a batch may cost so much of one made alone; everybody in it waits for all, so a little is too little."""

BETTER = 0.95
"""A larger batch is taken when it makes a picture for less than this share of what one half its size did."""

LAST = 3
"""Other programs can only make a run longer: the least of so many counts, and a size is given up after so many."""

KEPT = timedelta(days=7)
MEMORY_COUNTS = timedelta(hours=6)


class BatchProfile:
    """Seconds of one step of one picture, by how many go through together."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning
        self._fits: dict[Subject, tuple[int, object]] = {}

    def most(self, subject: Subject, work: Work) -> int:
        """So many pictures of this size are to be made together at most; 1: sharing does not pay, or the first run
        alone has not been measured yet."""
        key = _key(subject, work)
        paces = self._paces(key)
        if 1 not in paces:
            return 1
        chosen = 1
        for size in SIZES[1:]:
            if size > self._fitting(key):
                break
            if size not in paces:
                return size
            if min(paces[size]) > BETTER * min(paces[chosen]):
                if len(paces[size]) < LAST:
                    return size
                break
            chosen = size
        pays = min(paces[chosen]) <= PAYS * min(paces[1]) or len(paces[chosen]) < LAST
        return chosen if pays else 1

    def note(self, subject: Subject, work: Work, together: int, steps: int, seconds: float) -> None:
        """A run with so many pictures at once took so long; `steps` counts those of all pictures."""
        size = next((size for size in SIZES if size >= together), MOST)
        measured = Measured("run", size, float(steps), 1, seconds)
        self._learning.note(_key(subject, work), measured)

    def note_memory(self, subject: Subject, work: Work, fitted: int) -> None:
        """Memory held no more than so many together. It may have been somebody else's doing: it counts for hours."""
        self._fits[_key(subject, work)] = (fitted, now() + MEMORY_COUNTS)

    def _fitting(self, key: Subject) -> int:
        fitted, until = self._fits.get(key, (MOST, now()))
        return fitted if until > now() else MOST

    def _paces(self, key: Subject) -> dict[int, list[float]]:
        """Seconds of one step of one picture in the last runs, by size."""
        since, found = now() - KEPT, {}
        for size in SIZES:
            runs = [one for one in self._learning.measured(key) if one.moving_bytes == size and one.at > since]
            if runs:
                found[size] = [one.seconds / one.amount for one in runs[-LAST:]]
        return found


def _key(subject: Subject, work: Work) -> Subject:
    """Measurements of this kind beside those of memory: pixels in halves of a doubling, with guidance or without."""
    size = round(2 * math.log2(max(1, work.width * work.height)))
    return replace(subject, options=f"share {subject.options} {size}{'g' if work.guided else ''}"[:200])
