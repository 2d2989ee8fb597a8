"""The only queries on the usage table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
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
    row = UsageRow
    sums = [func.sum(one) for one in (row.requests, row.failed, row.prompt_tokens, row.completion_tokens, row.seconds)]
    query = select(row.owner_id, row.model, *sums).where(row.hour >= since).group_by(row.owner_id, row.model)
    if not actor.is_admin:
        query = query.where(row.owner_id == actor.id)
    return (await session.execute(query.order_by(row.owner_id, row.model))).all()
