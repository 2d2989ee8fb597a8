"""The only queries on the tables of benchmarks."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import BenchmarkResultRow, BenchmarkRow


async def find(session: AsyncSession, actor: Actor, benchmark_id: str) -> BenchmarkRow | None:
    query = select(BenchmarkRow).where(BenchmarkRow.id == benchmark_id)
    query = query if actor.is_admin else query.where(BenchmarkRow.owner_id == actor.id)
    return (await session.scalars(query)).one_or_none()


async def newest(session: AsyncSession, actor: Actor, limit: int) -> list[BenchmarkRow]:
    query = select(BenchmarkRow).order_by(BenchmarkRow.seq.desc()).limit(limit)
    query = query if actor.is_admin else query.where(BenchmarkRow.owner_id == actor.id)
    return list(await session.scalars(query))


async def results(session: AsyncSession, benchmark_ids: Collection[str]) -> dict[str, list[BenchmarkResultRow]]:
    """By benchmark, each by model and concurrency."""
    found: dict[str, list[BenchmarkResultRow]] = {one: [] for one in benchmark_ids}
    query = select(BenchmarkResultRow).where(BenchmarkResultRow.benchmark_id.in_(benchmark_ids))
    for row in await session.scalars(query.order_by(BenchmarkResultRow.model, BenchmarkResultRow.concurrency)):
        found[row.benchmark_id].append(row)
    return found


async def forget(session: AsyncSession, benchmark_id: str) -> None:
    await session.execute(delete(BenchmarkResultRow).where(BenchmarkResultRow.benchmark_id == benchmark_id))
    await session.execute(delete(BenchmarkRow).where(BenchmarkRow.id == benchmark_id))
