"""Which files begin first: with several processes, a long file that begins last keeps one of them busy alone."""

from __future__ import annotations

from collections import Counter

import pytest
from atelier import garbage

LONG = (
    "contract/test_real_engine.py",
    "hub/test_faults.py",
    "hub/test_downloads.py",
    "hostile/test_paths.py",
    "runtime/test_cycles.py",
    "faults/test_kills.py",
    "faults/test_sabotage.py",
    "faults/test_real_engine.py",
    "faults/test_chat_faults.py",
    "engines/test_engine_pictures.py",
    "engines/test_engine_families.py",
    "embedded/test_creatures.py",
)
"""Those that take longest, whatever their number of tests; `--durations=0` tells."""

LAST = "chat_engines/test_the_end.py"
"""It ends what the others of its folder ask."""


def pytest_collection_finish() -> None:
    """What was collected stays until the end; to look through it for garbage time and again took a twelfth of all."""
    garbage.settle()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files, then those with many tests. The tests of a file stay in their order."""
    counts = Counter(item.path for item in items)
    places = {path: _place(path.as_posix()) for path in counts}
    items.sort(key=lambda item: (places[item.path], -counts[item.path], item.path))


def _place(path: str) -> int:
    return next((place for place, name in enumerate(LONG) if path.endswith(name)), len(LONG) + path.endswith(LAST))
