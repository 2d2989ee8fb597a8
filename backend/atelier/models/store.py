"""The only queries on the models table and on what was measured of models."""

from __future__ import annotations

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.tables import JobRow, MemoryObservationRow, ModelRow


async def visible(session: AsyncSession, actor: Actor) -> list[ModelRow]:
    """The models that an actor may use: their own, and those shared with everyone."""
    query = select(ModelRow).order_by(ModelRow.created_at, ModelRow.key)
    if not actor.is_admin:
        query = query.where(or_(ModelRow.owner_id == actor.id, ModelRow.shared.is_(True)))
    return list(await session.scalars(query))


async def find(session: AsyncSession, actor: Actor, key: str) -> ModelRow | None:
    return next((row for row in await visible(session, actor) if row.key == key), None)


async def of_job(session: AsyncSession, job_id: str) -> ModelRow | None:
    """The model that a job downloads."""
    return (await session.scalars(select(ModelRow).where(ModelRow.download_job == job_id))).first()


async def drop_of_job(session: AsyncSession, job_id: str) -> None:
    await session.execute(delete(ModelRow).where(ModelRow.download_job == job_id))


async def drop_without_job(session: AsyncSession) -> None:
    """Rows whose job was never accepted: the server ended between the two."""
    is_lost = ModelRow.download_job.not_in(select(JobRow.id))
    await session.execute(delete(ModelRow).where(ModelRow.download_job.is_not(None), is_lost))


async def embedded(session: AsyncSession) -> dict[str, ModelRow]:
    return {row.key: row for row in await session.scalars(select(ModelRow).where(ModelRow.source == "embedded"))}


async def keys_by_path(session: AsyncSession) -> dict[str, str]:
    return {row.path: row.key for row in await session.execute(select(ModelRow.path, ModelRow.key))}


async def loras(session: AsyncSession) -> list[ModelRow]:
    """All that there are, whoever owns them: which of them a model may be loaded with, its owner decides."""
    return list(await session.scalars(select(ModelRow).where(ModelRow.type == "lora").order_by(ModelRow.created_at)))


async def base_models(session: AsyncSession) -> list[ModelRow]:
    """All that there are, whoever owns them."""
    query = select(ModelRow).where(ModelRow.type == "base_model").order_by(ModelRow.created_at, ModelRow.key)
    return list(await session.scalars(query))


async def at_path(session: AsyncSession, path: str) -> ModelRow | None:
    return (await session.scalars(select(ModelRow).where(ModelRow.path == path))).first()


async def observations(session: AsyncSession) -> list[MemoryObservationRow]:
    """All that is kept, oldest first; `trim` keeps that little."""
    return list(await session.scalars(select(MemoryObservationRow).order_by(MemoryObservationRow.seq)))


async def trim(session: AsyncSession, like: MemoryObservationRow, keep: int) -> None:
    """Forget all but the latest `keep` of the same model, device, options, event and bucket."""
    row = MemoryObservationRow
    same = (
        row.model_id == like.model_id,
        row.device_kind == like.device_kind,
        row.options == like.options,
        row.event == like.event,
        row.bucket == like.bucket,
    )
    kept = select(row.seq).where(*same).order_by(row.seq.desc()).limit(keep)
    await session.execute(delete(row).where(*same, row.seq.not_in(kept)))
