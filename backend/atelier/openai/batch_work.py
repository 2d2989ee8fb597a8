"""The handler of `batch` jobs, and how a batch ends: its files at their places, then its row.

A batch's end and its files' rows are one transaction; where it is completed, the job's end is in the same one. A job
that ends without its handler (cancelled while it waited, failed for reasons of the server) leaves an open batch:
`settle` ends that one with what it has. The journal stays until a batch is completed, so that a job which is tried
again goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor, Role
from atelier.clock import now
from atelier.config import BatchSettings
from atelier.db import Database, after_commit
from atelier.errors import AtelierError, BadRequest, FileNotFound
from atelier.failpoints import failpoint
from atelier.jobs.attempt import Attempt, Publish
from atelier.jobs.runner import Stopped
from atelier.openai import batch_rows, file_rows
from atelier.openai.batch_endpoints import BatchEndpoints
from atelier.openai.batch_journal import Journal, Tokens
from atelier.openai.batch_lines import check, requests
from atelier.openai.batch_run import BatchRun, Turns, too_late
from atelier.openai.batch_schemas import LineError, RequestCounts, Sums
from atelier.openai.uploading import no_room
from atelier.said import Said
from atelier.shapes import ErrorOut
from atelier.storage import Storage, drop, fsync_folder
from atelier.tables import BatchRow, FileRow, JobStatus

log = structlog.get_logger("atelier.batches")

End = Literal["completed", "failed", "expired", "cancelled"]
ERRORS = (False, True)


class BatchExpired(AtelierError):
    """The window of a batch was over before all of its lines were answered."""

    status = 409
    code = "batch_expired"


class BatchWork:
    """`live` are the journals of the batches that are being answered."""

    def __init__(
        self, database: Database, storage: Storage, endpoints: BatchEndpoints, settings: BatchSettings
    ) -> None:
        self._database, self._storage, self._endpoints, self._settings = database, storage, endpoints, settings
        self._turns = Turns(settings.concurrency)
        self._settling = asyncio.Lock()
        self.live: dict[str, Journal] = {}

    async def run(self, attempt: Attempt) -> Publish:
        """The handler. Raises Stopped, BatchExpired, BadRequest for an input with wrong lines."""
        batch = await self._begin(attempt.job.request["batch"])
        path = self._storage.given_file(batch.input_file_id)
        await self._check(batch, path)
        journal = Journal(self._storage.batch_journal(batch.id))
        await asyncio.to_thread(journal.open)
        self.live[batch.id] = journal
        try:
            how = await self._answer(attempt, batch, journal, path)
            await self._change(batch, finalizing_at=now())
            files = await asyncio.to_thread(self._write_files, batch, journal, how == "expired")
        except OSError as error:
            raise no_room(error) from error
        finally:
            del self.live[batch.id]
            await asyncio.to_thread(journal.close)
        sums = counted(journal, batch.total)
        failpoint("batches.before_publish")
        if how == "completed":
            return lambda session: self._publish(session, batch, files, sums)
        async with self._database.write() as session:
            await self._end(session, batch, how, files, sums)
        if how == "cancelled":
            raise Stopped
        done, total = sums.counts.completed + sums.counts.failed, sums.counts.total
        raise BatchExpired(
            Said(
                f"Its time was over when {done} of {total} lines were answered.",
                "batch_expired",
                done=done,
                total=total,
            ),
            hint="What was answered is in its output file; the error file names the rest.",
        )

    async def settle(self, batch: BatchRow, status: JobStatus, error: ErrorOut | None) -> BatchRow:
        """End a batch whose job has ended without ending it."""
        async with self._settling:
            async with self._database.read() as session:
                batch = await batch_rows.by_id(session, batch.id) or batch
            if batch.ended:
                return batch
            how: End = "cancelled" if status is JobStatus.CANCELLED else "failed"
            journal = Journal(self._storage.batch_journal(batch.id))
            try:
                await asyncio.to_thread(journal.look)
                files = await asyncio.to_thread(self._write_files, batch, journal, False)
            except OSError:  # the disk is full: what there is stays in the journal
                log.exception("batches.files_not_written", batch=batch.id)
                files = {}
            finally:
                await asyncio.to_thread(journal.close)
            errors = [LineError(code=error.code, message=f"{error.message} {error.hint}".strip())] if error else []
            async with self._database.write() as session:
                await self._end(session, batch, how, files, counted(journal, batch.total), errors)
                return await batch_rows.by_id(session, batch.id) or batch

    # ── steps of an attempt ──

    async def _begin(self, batch_id: str) -> BatchRow:
        """The batch; one that had been cancelled or failed is open again, because its job was tried again."""
        async with self._database.write() as session:
            batch = await batch_rows.by_id(session, batch_id)
            if batch is None:
                raise AtelierError(Said("The batch of this job is gone.", "batch.gone"), hint="Ask for a new one.")
            if batch.ended == "expired":
                words = Said("The time of this batch is over.", "batch.over")
                raise BatchExpired(words, hint="Make a new one, of the lines that have no answer.")
            if batch.ended:
                batch.ended = batch.ended_at = batch.cancelling_at = batch.output_file_id = batch.error_file_id = None
                batch.errors = []
            batch.finalizing_at = None
        return batch

    async def _check(self, batch: BatchRow, path: Path) -> None:
        try:
            total, errors = await asyncio.to_thread(check, path, batch.endpoint)
        except FileNotFoundError:
            raise FileNotFound(
                "The input file of this batch is gone.", hint="Upload it again, for a new batch."
            ) from None
        if errors:
            none = RequestCounts(total=0, completed=0, failed=0)
            async with self._database.write() as session:
                await self._end(session, batch, "failed", {}, Sums(none, Tokens()), errors)
            words = Said(f"{len(errors)} lines of the file ask nothing.", "batch.lines_wrong", count=len(errors))
            raise BadRequest(words, hint=f"The first, line {errors[0].line or 1}: {errors[0].message}")
        await self._change(batch, total=total, in_progress_at=batch.in_progress_at or now())

    async def _answer(self, attempt: Attempt, batch: BatchRow, journal: Journal, path: Path) -> End:
        """Answer what has no answer: how that ended. Raises OSError."""
        owner = Actor(batch.owner_id, "", Role.USER)
        run = BatchRun(attempt, batch, owner, journal, self._endpoints, self._turns, self._settings)
        work = asyncio.create_task(run.answer(lambda: requests(path, batch.endpoint)))
        stop = asyncio.create_task(attempt.stop.wait())
        left = max(0.0, (batch.expires_at - now()).total_seconds())
        try:
            await asyncio.wait({work, stop}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return "cancelled" if attempt.stop.is_set() else "expired"
            try:
                work.result()
            except ExceptionGroup as group:
                raise group.exceptions[0] from group
            return "completed"
        finally:
            for task in (stop, work):
                task.cancel()
            await asyncio.gather(stop, work, return_exceptions=True)

    # ── the end ──

    def _write_files(self, batch: BatchRow, journal: Journal, expired: bool) -> dict[bool, FileRow]:
        """The output and the error file at their places, each where it has lines: by whether it is the error file."""
        files: dict[bool, FileRow] = {}
        for is_error in ERRORS:
            lines = journal.answers(errors=is_error)
            if expired and is_error:
                lines = _with_the_late(lines, self._late(batch, journal))
            file_id = f"file-{batch.id.removeprefix('batch_')}{'e' if is_error else 'o'}"
            size, digest = _write(self._storage.given_file(file_id, "part"), lines)
            if not size:
                self._storage.given_file(file_id, "part").unlink()
                continue
            os.replace(self._storage.given_file(file_id, "part"), self._storage.given_file(file_id))
            moment, kept = now(), batch.output_seconds
            files[is_error] = FileRow(
                id=file_id,
                owner_id=batch.owner_id,
                filename=f"{batch.id}_{'errors' if is_error else 'output'}.jsonl",
                purpose="batch_output",
                bytes=size,
                sha256=digest,
                created_at=moment,
                expires_at=None if kept is None else moment + timedelta(seconds=kept),
            )
        fsync_folder(self._storage.files)
        return files

    def _late(self, batch: BatchRow, journal: Journal) -> Iterator[bytes]:
        path = self._storage.given_file(batch.input_file_id)
        return (too_late(batch.id, one) for one in requests(path, batch.endpoint) if one.number not in journal.kept)

    async def _publish(self, session: AsyncSession, batch: BatchRow, files: dict[bool, FileRow], sums: Sums) -> None:
        """In the transaction that ends the job."""
        await self._end(session, batch, "completed", files, sums)
        journal = self._storage.batch_journal(batch.id)
        loop = asyncio.get_running_loop()
        after_commit(session, lambda: loop.run_in_executor(None, drop, journal))
        after_commit(session, lambda: failpoint("batches.after_publish"))

    async def _end(
        self,
        session: AsyncSession,
        batch: BatchRow,
        how: End,
        files: dict[bool, FileRow],
        sums: Sums,
        errors: list[LineError] | None = None,
    ) -> None:
        for file in files.values():
            if (before := await file_rows.by_id(session, file.id)) is not None:
                await session.delete(before)
                await session.flush()
            session.add(file)
        ids = {is_error: files[is_error].id if is_error in files else None for is_error in ERRORS}
        await batch_rows.change(
            session,
            batch.id,
            ended=how,
            ended_at=now(),
            output_file_id=ids[False],
            error_file_id=ids[True],
            errors=[one.model_dump() for one in errors or []],
            details={**batch.details, "tokens": list(sums.tokens)},
            **sums.counts.model_dump(),
        )

    async def _change(self, batch: BatchRow, **values: Any) -> None:
        async with self._database.write() as session:
            await batch_rows.change(session, batch.id, **values)
        for name, value in values.items():
            setattr(batch, name, value)


def counted(journal: Journal, total: int) -> Sums:
    counts = RequestCounts(total=total, completed=len(journal.kept) - journal.failed, failed=journal.failed)
    return Sums(counts, journal.tokens)


def _with_the_late(answered: Iterator[bytes], late: Iterator[bytes]) -> Iterator[bytes]:
    yield from answered
    yield from late


def _write(path: Path, lines: Iterator[bytes]) -> tuple[int, str]:
    """Size and SHA-256 of a file with these lines, on disk."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line)
            digest.update(line)
            size += len(line)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()
