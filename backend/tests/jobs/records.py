"""Job records for tests that need no database."""

from __future__ import annotations

from typing import Any

from atelier.access.actor import LOCAL_USER_ID
from atelier.clock import now
from atelier.jobs.queue import NewJob, _accepted
from atelier.tables import Job, JobKind


def a_job(**given: Any) -> Job:
    """A record as `submit` answers it, with the fields that a test cares for."""
    job = _accepted(NewJob(JobKind.IMAGE_GENERATE, LOCAL_USER_ID, "a fox", {"prompt": "a fox"}), now())
    for name, value in given.items():
        setattr(job, name, value)
    return job
