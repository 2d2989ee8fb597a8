"""Batches as their users see them: asked for, looked at, cancelled, and what they have answered so far."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from atelier.access.actor import Actor
from atelier.clock import id_of_key, new_id, now
from atelier.db import Database
from atelier.errors import BadRequest, BatchNotFound, Conflict
from atelier.jobs.queue import JobQueue, NewJob, key_used
from atelier.jobs.service import JobService
from atelier.openai import batch_rows
from atelier.openai.batch_endpoints import PRIORITY
from atelier.openai.batch_journal import Journal
from atelier.openai.batch_schemas import BatchIn, BatchObject, BatchObjects
from atelier.openai.batch_work import BatchWork, counted
from atelier.openai.file_schemas import FileObject
from atelier.openai.files import FileStore
from atelier.said import Said
from atelier.storage import Storage, drop
from atelier.tables import BatchRow, JobKind

log = structlog.get_logger("atelier.batches")

SWEEP_SECONDS = 60
JOURNAL_SECONDS = 7 * 24 * 3600
"""So long what an unfinished batch has answered is kept, for its job to be tried again."""


class BatchService:
    """Every call takes the actor: a batch is its owner's alone (and the administrators')."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        queue: JobQueue,
        jobs: JobService,
        files: FileStore,
        work: BatchWork,
    ) -> None:
        self._database, self._storage, self._queue, self._jobs = database, storage, queue, jobs
        self._files, self._work = files, work
        self._keyed = asyncio.Lock()
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="batches.sweep")

    async def close(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    async def create(self, actor: Actor, wanted: BatchIn, key: str | None = None) -> BatchObject:
        """Accept a batch: durable when this returns. The same idempotency key gives the same batch. Raises
        FileNotFound, BadRequest, TooManyJobs, Conflict when the key comes back with something else."""
        if wanted.endpoint == "/v1/audio/transcriptions":
            words = Said("There is no transcription yet, so none in batches either.", "batch.no_transcription")
            raise BadRequest(words, field="endpoint", hint="Batches take chat, completions, embeddings and images.")
        keyed = id_of_key("batch", actor.id, key) if key else None
        async with self._keyed if keyed else contextlib.nullcontext():
            if keyed and (known := await self._accepted(keyed, wanted)):
                return await self._present(known)
            file = await self._files.get(actor, wanted.input_file_id)
            if file.purpose != "batch":
                purpose = file.purpose
                words = Said(f"This file is for {purpose}, not for batches.", "batch.purpose", purpose=purpose)
                raise BadRequest(words, field="input_file_id", hint="Upload it with the purpose batch.")
            batch_id = keyed or new_id("batch")
            asked = {"batch": batch_id, "endpoint": wanted.endpoint, "filename": file.filename}
            job = NewJob(JobKind.BATCH, actor.id, f"Batch: {file.filename}", asked, priority=PRIORITY)
            row = _row(batch_id, job, wanted, file)
            await self._queue.submit_beside(row, job, lambda session: batch_rows.forget(session, batch_id))
        return BatchObject.of(row)

    async def _accepted(self, batch_id: str, wanted: BatchIn) -> BatchRow | None:
        """The batch that was accepted under the key of this id. One whose job is missing never was: a crash came
        between."""
        async with self._database.read() as session:
            row = await batch_rows.by_id(session, batch_id)
        if row is None:
            return None
        if await self._jobs.outcome(row.job_id) is None and row.ended is None:
            async with self._database.write() as session:
                await batch_rows.forget(session, batch_id)
            return None
        before = (row.endpoint, row.input_file_id, row.completion_window, row.details.get("metadata"))
        if before != (wanted.endpoint, wanted.input_file_id, wanted.completion_window, wanted.metadata):
            raise key_used()
        return row

    async def get(self, actor: Actor, batch_id: str) -> BatchObject:
        """Raises BatchNotFound, also for somebody else's."""
        return await self._present(await self._find(actor, batch_id))

    async def page(self, actor: Actor, after: str | None, limit: int) -> BatchObjects:
        before = (await self._find(actor, after)).seq if after else None
        async with self._database.read() as session:
            rows = await batch_rows.page(session, actor, before_seq=before, limit=limit)
        data = [await self._present(row) for row in rows[:limit]]
        ends = (data[0].id, data[-1].id) if data else (None, None)
        return BatchObjects(data=data, first_id=ends[0], last_id=ends[1], has_more=len(rows) > limit)

    async def cancel(self, actor: Actor, batch_id: str) -> BatchObject:
        """Stop it within ten seconds; what is answered stays. Raises BatchNotFound, Conflict when it has ended."""
        row = await self._settled(await self._find(actor, batch_id))
        if row.ended:
            words = Said(f"This batch is {row.ended} already.", "batch.ended", status=row.ended)
            raise Conflict(words, hint="Its files say what it answered.")
        async with self._database.write() as session:
            await batch_rows.change(session, batch_id, cancelling_at=row.cancelling_at or now())
        await self._queue.cancel(actor, row.job_id)
        return await self.get(actor, batch_id)

    async def answers(self, actor: Actor, batch_id: str, *, errors: bool) -> Path | Iterator[bytes]:
        """What it has answered so far, in the order of its input: once it has ended its file. The iterator blocks.
        Raises BatchNotFound, FileNotFound."""
        row = await self._settled(await self._find(actor, batch_id))
        if file_id := row.error_file_id if errors else row.output_file_id:
            return (await self._files.path(actor, file_id))[0]
        return iter(()) if row.ended else (await self._journal(row)).answers(errors=errors)

    # ── inside ──

    async def _find(self, actor: Actor, batch_id: str) -> BatchRow:
        async with self._database.read() as session:
            row = await batch_rows.find(session, actor, batch_id)
        if row is None:
            raise BatchNotFound(f"There is no batch {batch_id[:80]!r}.", hint="GET /v1/batches lists what there is.")
        return row

    async def _present(self, row: BatchRow) -> BatchObject:
        row = await self._settled(row)
        if row.ended or not row.in_progress_at:
            return BatchObject.of(row)
        return BatchObject.of(row, counted(await self._journal(row), row.total))

    async def _settled(self, row: BatchRow) -> BatchRow:
        """The batch as it is, ended where its job is over."""
        if row.ended or row.id in self._work.live:
            return row
        outcome = await self._jobs.outcome(row.job_id)
        if outcome is None or not outcome[0].ended:
            return row
        return await self._work.settle(row, *outcome)

    async def _journal(self, row: BatchRow) -> Journal:
        """The journal of a batch that has not ended."""
        if (journal := self._work.live.get(row.id)) is not None:
            return journal
        journal = Journal(self._storage.batch_journal(row.id))
        await asyncio.to_thread(journal.look)
        await asyncio.to_thread(journal.close)
        return journal

    async def sweep(self) -> None:
        """End batches whose jobs are over, forget those that were never promised, drop journals nobody needs."""
        async with self._database.read() as session:
            rows = await batch_rows.unended(session)
        for row in rows:
            if (
                await self._jobs.outcome(row.job_id) is None
                and (now() - row.created_at).total_seconds() > SWEEP_SECONDS
            ):
                async with self._database.write() as session:
                    await batch_rows.forget(session, row.id)
            else:
                await self._settled(row)
        files = await asyncio.to_thread(self._storage.batch_journals)
        async with self._database.read() as session:
            ended = await batch_rows.ended(session, [file.stem for file in files])
        old = time.time() - JOURNAL_SECONDS
        over = [file for file in files if (row := ended.get(file.stem)) and _is_spare(row, file, old)]
        await asyncio.to_thread(drop, *over)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # loop edge: one batch that cannot be ended must not keep the others
                log.exception("batches.sweep_failed")
            await asyncio.sleep(SWEEP_SECONDS)


def _row(batch_id: str, job: NewJob, wanted: BatchIn, file: FileObject) -> BatchRow:
    return BatchRow(
        id=batch_id,
        owner_id=job.owner_id,
        job_id=job.id,
        endpoint=wanted.endpoint,
        input_file_id=file.id,
        completion_window=wanted.completion_window,
        output_seconds=wanted.output_expires_after and wanted.output_expires_after.seconds,
        details={"metadata": wanted.metadata, "filename": file.filename},
        errors=[],
        total=0,
        completed=0,
        failed=0,
        created_at=now(),
        expires_at=now() + wanted.window,
    )


def _is_spare(row: BatchRow, journal: Path, old: float) -> bool:
    return row.ended == "completed" or (row.ended_at is not None and row.ended_at.timestamp() < old)
