"""What is said of an engine's software that is not there yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from atelier.runtime.environments import EnvironmentInfo, EnvironmentState
from atelier.system.environment_jobs import COMING, EnvironmentJobs


class Building:
    """One environment is being built, the others are not there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def status(self, name: str) -> EnvironmentInfo:
        state = EnvironmentState.BUILDING if name == self.name else EnvironmentState.MISSING
        return EnvironmentInfo(name, "h", Path("/x"), state, fraction=0.4 if name == self.name else None)


def test_who_comes_second_is_told_what_comes_first() -> None:
    jobs = EnvironmentJobs(cast(Any, Building("image")), cast(Any, None), ("image",), ("chat-cpu",))
    jobs._job_ids["chat-cpu"] = "job_1"
    waiting = jobs.blocked("chat-cpu")
    assert waiting is not None and waiting.said is not None
    assert waiting.said.code == "environment.after" and waiting.said.code in COMING
    assert waiting.said.params == {"engine": "chat-cpu", "first": "image", "fraction": 0.4}
    jobs._environments = cast(Any, Building("chat-cpu"))
    waiting = jobs.blocked("chat-cpu")
    assert waiting is not None and waiting.said is not None and waiting.said.code == "environment.building"
