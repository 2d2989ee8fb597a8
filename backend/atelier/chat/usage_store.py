"""The only queries on the usage table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import UsageRow


async def add(
    session: AsyncSession,
    hour: datetime,
    owner_id: str,
    model: str,
    path: str,
    requests: int,
    failed: int,
    prompt_tokens: int,
    completion_tokens: int,
    seconds: float,
) -> None:
    """Onto what was counted in this hour."""
    row = UsageRow
    counted = {
        "requests": requests,
        "failed": failed,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "seconds": seconds,
    }
    statement = insert(row).values(hour=hour, owner_id=owner_id, model=model, path=path, **counted)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["hour", "owner_id", "model", "path"],
            set_={name: getattr(row, name) + getattr(statement.excluded, name) for name in counted},
        )
    )


async def summed(session: AsyncSession, actor: Actor, since: datetime) -> Sequence[Any]:
    """Requests, failed, prompt and completion tokens, seconds, by owner and model. Administrators see everybody's."""
    query = _sums(actor, since, UsageRow.owner_id, UsageRow.model)
    return (await session.execute(query)).all()


async def by_day(session: AsyncSession, actor: Actor, since: datetime, east: int) -> Sequence[Any]:
    """The same sums by day and model. Days begin at midnight where clocks are `east` minutes ahead of UTC; an hour of
    the table that is cut by that belongs to the day in which it begins."""
    day = func.date(UsageRow.hour, f"{east:+d} minutes")
    return (await session.execute(_sums(actor, since, day, UsageRow.model))).all()


def _sums(actor: Actor, since: datetime, *by: Any) -> Select[Any]:
    row = UsageRow
    sums = [func.sum(one) for one in (row.requests, row.failed, row.prompt_tokens, row.completion_tokens, row.seconds)]
    query = select(*by, *sums).where(row.hour >= since).group_by(*by).order_by(*by)
    return query if actor.is_admin else query.where(row.owner_id == actor.id)
