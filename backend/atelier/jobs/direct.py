"""The statements that every job passes through, on the writer's bare connection: accept, claim, complete.

They say the same as SQLAlchemy's would, at a tenth of the CPU time (`python -m bench.queue`). What a column looks like
in the file is still SQLAlchemy's business: its own processors convert the values.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from itertools import starmap
from operator import attrgetter
from typing import Any

from atelier.db import DIALECT
from atelier.tables import Job, JobKind, JobRow

_COLUMNS = tuple(JobRow.__table__.columns)
_NAMES = tuple(column.name for column in _COLUMNS)
_to_file = {column.name: column.type.dialect_impl(DIALECT).bind_processor(DIALECT) for column in _COLUMNS}
_from_file = {column.name: column.type.dialect_impl(DIALECT).result_processor(DIALECT, None) for column in _COLUMNS}
_TIME: Callable[[datetime], str] = _to_file["created_at"]  # type: ignore[assignment]
_request, _time = _from_file["request"], _from_file["created_at"]
_READ = [(at, convert) for at, name in enumerate(_NAMES) if (convert := _from_file[name]) is not None]

# What new jobs differ in; all else begins alike.
_GIVEN = ("id", "kind", "owner_id", "title", "priority", "request", "idempotency_key", "created_at")
_given = attrgetter(*_GIVEN)
_WRITE = [(at, convert) for at, name in enumerate(_GIVEN) if (convert := _to_file[name]) is not None]

_INSERT = f"""
    INSERT INTO jobs ({", ".join(_GIVEN)}, status, attempt, crashes, cancel_requested, step, total_steps, hidden)
    VALUES ({", ".join("?" * len(_GIVEN))}, 'queued', 0, 0, 0, 0, 0, 0)"""
_WAITING = "SELECT count(*) FROM jobs WHERE status = 'queued'"
_CLAIM = """
    UPDATE jobs SET status = 'running', attempt = attempt + 1, lease_until = ?, started_at = ?,
        step = 0, total_steps = 0, message = NULL, error = NULL
    WHERE status = 'queued' AND seq IN (
        SELECT seq FROM jobs WHERE status = 'queued' AND kind IN (%s) ORDER BY priority DESC, seq LIMIT ?)
    RETURNING seq, id, kind, owner_id, title, priority, request, idempotency_key, attempt, crashes, cancel_requested,
        hidden, created_at, finished_at"""
_LINE = f"""
    SELECT {", ".join(_NAMES)} FROM jobs WHERE status = 'queued' AND kind IN (%s) ORDER BY priority DESC, seq LIMIT ?"""
_CLAIM_ONE = f"""
    UPDATE jobs SET status = 'running', attempt = attempt + 1, lease_until = ?, started_at = ?,
        step = 0, total_steps = 0, message = NULL, error = NULL
    WHERE status = 'queued' AND seq = ? RETURNING {", ".join(_NAMES)}"""
_COMPLETE = """
    UPDATE jobs SET status = 'completed', finished_at = ?, lease_until = NULL, message = NULL
    WHERE seq = ? AND attempt = ? AND status = 'running'"""
_COMPLETED = "SELECT 1 FROM jobs WHERE finished_at = ? AND seq = ? AND attempt = ? AND status = 'completed'"


def count_waiting(connection: sqlite3.Connection) -> int:
    return connection.execute(_WAITING).fetchone()[0]


def add(connection: sqlite3.Connection, jobs: Iterable[Job]) -> None:
    connection.executemany(_INSERT, map(_row, jobs))


def claim(
    connection: sqlite3.Connection, kinds: Collection[JobKind], count: int, now: datetime, lease_until: datetime
) -> list[Job]:
    """Take up to `count` waiting jobs of `kinds`: highest priority first, then oldest. Each gets its next attempt."""
    statement = _CLAIM % ", ".join("?" * len(kinds))
    taken = connection.execute(statement, (_TIME(lease_until), _TIME(now), *kinds, count)).fetchall()

    def claimed(
        seq, id, kind, owner, title, priority, request, key, attempt, crashes, cancel, hidden, created, finished
    ) -> Job:  # type: ignore[no-untyped-def]
        """What the statement set is known: only the rest is read back."""
        return Job(
            seq, id, kind, owner, title, "running", priority, _request(request), key, attempt, crashes, lease_until,
            bool(cancel), 0, 0, None, None, bool(hidden), _time(created), now, finished and _time(finished),
        )  # fmt: skip

    return sorted(starmap(claimed, taken), key=lambda job: (-job.priority, job.seq))


def claim_chosen(
    connection: sqlite3.Connection,
    kinds: Collection[JobKind],
    look: int,
    choose: Callable[[list[Job]], list[Job]],
    now: datetime,
    lease_until: datetime,
) -> list[Job]:
    """Take those that `choose` picks among the first `look` waiting jobs of `kinds`, in the order of the line."""
    waiting = connection.execute(_LINE % ", ".join("?" * len(kinds)), (*kinds, look)).fetchall()
    taken = []
    for job in choose([_job(row) for row in waiting]) if waiting else []:
        taken += connection.execute(_CLAIM_ONE, (_TIME(lease_until), _TIME(now), job.seq)).fetchall()
    return [_job(row) for row in taken]


def complete(connection: sqlite3.Connection, jobs: Iterable[Job], now: datetime) -> list[bool]:
    """End jobs that publish nothing, as they were claimed: for each whether that attempt still held it."""
    moment = _TIME(now)
    rows = [(moment, job.seq, job.attempt) for job in jobs]
    if connection.executemany(_COMPLETE, rows).rowcount == len(rows):
        return [True] * len(rows)
    return [connection.execute(_COMPLETED, row).fetchone() is not None for row in rows]


def _row(job: Job) -> Sequence[Any]:
    values = list(_given(job))
    for at, convert in _WRITE:
        values[at] = convert(values[at])
    return values


def _job(row: tuple[Any, ...]) -> Job:
    values = list(row)
    for at, convert in _READ:
        values[at] = convert(values[at])
    return Job(*values)
