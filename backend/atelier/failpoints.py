"""Named places where a test may kill the server, compiled in and off unless ATELIER_FAILPOINTS names them.

`ATELIER_FAILPOINTS="jobs.after_claim=kill@2,images.after_rename=kill"` kills the process with SIGKILL the second time
it passes the first place, or the first time it passes the second. The names stand in `NAMES` (what jobs for pictures
pass) and `BATCH_NAMES`; a test passes each once.
"""

from __future__ import annotations

import os
import signal

NAMES = (
    "jobs.before_commit",
    "jobs.after_commit",
    "jobs.after_claim",
    "jobs.after_bring",
    "images.before_rename",
    "images.mid_rename",
    "images.after_rename",
    "jobs.before_finish_commit",
    "jobs.after_finish_commit",
    "jobs.after_cancel_mark",
)
BATCH_NAMES = ("batches.before_keep", "batches.after_keep", "batches.before_publish", "batches.after_publish")


def _armed(text: str) -> dict[str, int]:
    armed: dict[str, int] = {}
    for item in filter(None, text.split(",")):
        name, _, action = item.partition("=")
        count = action.partition("@")[2]
        armed[name.strip()] = int(count) if count else 1
    return armed


_countdown: dict[str, int] = {}


def arm(text: str) -> None:
    """Make the places that `text` names deadly, and no others."""
    _countdown.clear()
    _countdown.update(_armed(text))


def failpoint(name: str) -> None:
    """Die here, when this place is armed and its count has come."""
    if not _countdown or name not in _countdown:
        return
    _countdown[name] -= 1
    if _countdown[name] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
