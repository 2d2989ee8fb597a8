"""Named points where a test can make a worker fail.

A no-op unless the environment says otherwise: `ATELIER_FAILPOINTS="engine.mid_step=kill@3,engine.before_done=hang"`.
Each entry is `name=action[@n]`; the action happens at the n-th pass through the point (first by default). Actions:

    kill    SIGKILL to this process           abort   SIGABRT to this process
    exit    end with status 70                hang    sleep for ever
    raise   raise FailpointHit                stop    SIGSTOP (falls silent)
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

POINTS = ("engine.before_run", "engine.mid_step", "engine.after_encode", "engine.before_done")
VARIABLE = "ATELIER_FAILPOINTS"

_passes: Counter[str] = Counter()


class FailpointHit(Exception):
    """The action `raise` of a failpoint."""


def failpoint(name: str) -> None:
    """Pass the point `name`; does what the environment asks for there."""
    plan = os.environ.get(VARIABLE)
    if not plan:
        return
    for entry in plan.split(","):
        point, _, action = entry.strip().partition("=")
        if point == name:
            _passes[name] += 1
            action, _, nth = action.partition("@")
            if _passes[name] == int(nth or 1):
                _act(action, name)


def _act(action: str, name: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "abort":
        os.abort()
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "exit":
        os._exit(70)
    elif action == "raise":
        raise FailpointHit(name)
    elif action == "hang":
        while True:
            time.sleep(3600)
    else:
        raise ValueError(f"{VARIABLE}: unknown action {action!r} at {name}")
