"""Models that come from the hub, as jobs: asked for, paused, gone on with, entered when every file was checked.

A download is one job and one row in `models`. The row is there from the start and names its job in `download_job`; it
can be used once that is null, which it becomes in the transaction that ends the job. What a job fetched stays where it
is when the job ends early: going on costs at most the chunks that were under way.

    waiting ──> downloading ──every hash right, probed──> (no download any more)
       ^            ├── pause ──> paused ────┐
       │            ├── cancel ─> cancelled ─┤
       │            └── error ──> failed ────┤
       └──────────────── resume ─────────────┘
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import structlog
from engines import protocol
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor
from atelier.clock import new_id, now
from atelier.db import Database, after_commit
from atelier.errors import BadRequest, Conflict, HubFailed, JobNotFound, ModelNotFound, WorkerNotFound
from atelier.events import EventBus, ModelsChanged
from atelier.jobs.attempt import Attempt, Publish
from atelier.jobs.driving import drive
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.service import JobService
from atelier.models import store
from atelier.models.catalogue import Catalogue
from atelier.models.hub import HubClient, failure, is_lora, lacks_room, plan_out, what_it_is
from atelier.models.hub_schemas import CatalogueOut, DownloadAcceptedOut, DownloadIn, HubPlanOut
from atelier.models.keys import free_key
from atelier.models.outlines import Outlines, told_by
from atelier.models.probe import probe
from atelier.models.registry import ModelRegistry, columns_of
from atelier.models.schemas import DownloadFileOut, DownloadOut
from atelier.runtime.engines import EngineName
from atelier.runtime.placement import Use
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerSpec
from atelier.said import Said
from atelier.shapes import ErrorOut
from atelier.tables import Job, JobKind, JobStatus, ModelRow

log = structlog.get_logger("atelier.models")

RESERVED = frozenset({"found", "catalogue", "import", "download"})
"""Keys that would hide behind routes of their own."""


class Downloads:
    """`registry` owns the rows; this one fills in how a download goes, and ends it."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        jobs: JobService,
        registry: ModelRegistry,
        hub: HubClient,
        catalogue: Catalogue,
        pool: WorkerPool,
        bus: EventBus,
        *,
        outlines: Outlines,
        cache: Path,
    ) -> None:
        self._database, self._queue, self._jobs, self._registry = database, queue, jobs, registry
        self._hub, self._catalogue, self._pool, self._bus = hub, catalogue, pool, bus
        self._outlines, self._cache = outlines, cache
        self._live: dict[str, protocol.Transfer] = {}
        self._asking = asyncio.Lock()
        registry.download_of = self.present
        registry.told_on_its_way = outlines.told_of_download
        registry.is_offered = lambda key: catalogue.find(key) is not None

    async def start(self) -> None:
        """Downloads that wait need their environment; rows without a job were never promised to anybody."""
        async with self._database.write() as session:
            await store.drop_without_job(session)
        if await self._queue.active(JobKind.MODEL_DOWNLOAD):
            await self._hub.need_environment()

    # ── asking ──

    async def offers(self, actor: Actor) -> CatalogueOut:
        """The catalogue: each model with whether it is here, and what it would take."""
        rows, told = await self._registry.rows(actor), self._outlines.of_entry
        return await asyncio.to_thread(self._catalogue.present, rows, self._hub.page_url, told)

    async def plan(self, actor: Actor, repo: str, revision: str, file: str) -> HubPlanOut:
        """What a download would do. Raises HubFailed, EnvironmentNotReady."""
        plan = await self._hub.plan(repo, revision, file)
        async with self._database.read() as session:
            rows = await store.visible(session, actor)
        return plan_out(
            plan,
            revision,
            page_url=self._hub.page_url(plan["repo"]),
            name=_name_of(repo, file),
            keys={_file_of(row): row.key for row in rows if (row.repo, row.commit) == (plan["repo"], plan["commit"])},
            suggested_key=free_key(_name_of(repo, file), {row.key for row in rows}),
            room=await asyncio.to_thread(self._hub.room),
            told=await asyncio.to_thread(self._outlines.of_plan, plan, on_cpu=not plan["prefer_half"]),
        )

    async def ask(self, actor: Actor, wanted: DownloadIn, idempotency_key: str | None = None) -> DownloadAcceptedOut:
        """Accept a download: durable when this returns. Raises HubFailed for what the hub or the repository refuses,
        Conflict when it is here or on its way, BadRequest."""
        if wanted.key in RESERVED:
            words = Said(f"There is a model {wanted.key!r} already.", "model.key_taken", model=wanted.key)
            raise BadRequest(words, field="key", hint="Choose another key.")
        posted = wanted.model_dump(exclude_unset=True)
        if known := await self._queue.accepted(actor.id, idempotency_key, JobKind.MODEL_DOWNLOAD, posted):
            return await self._accepted(actor, known.request["resolved"]["key"], known.id)
        plan = await self._plan_for(actor, wanted)
        await self._check(plan)
        async with self._asking:
            async with self._database.read() as session:
                rows = await store.visible(session, actor)
            resolved = _resolve(wanted, plan, rows)
            job = NewJob(
                JobKind.MODEL_DOWNLOAD,
                actor.id,
                wanted.name or "/".join(filter(None, (wanted.repo, wanted.file))),
                {**posted, "resolved": resolved},
                idempotency_key=idempotency_key,
            )
            row = self._row(actor, job.id, resolved)
            async with self._database.write() as session:
                session.add(row)
                after_commit(session, self._announce)
            try:
                accepted = await self._queue.submit(job)
            except BaseException:
                async with self._database.write() as session:
                    await store.drop_of_job(session, job.id)
                raise
        log.info("models.download_asked", model=resolved["key"], repo=wanted.repo, commit=resolved["commit"])
        return await self._accepted(actor, resolved["key"], accepted.id)

    async def ask_by_key(self, actor: Actor, key: str) -> DownloadAcceptedOut:
        """Download a model of the catalogue, or go on with a download. Raises ModelNotFound, Conflict."""
        async with self._database.read() as session:
            row = await store.find(session, actor, key)
        if row is not None and row.download_job is None:
            raise Conflict(
                Said(f"The model {key!r} is here already.", "model.here", model=key), hint="Nothing needs to be done."
            )
        if row is not None:
            return await self.resume(actor, key)
        entry = self._catalogue.find(key)
        if entry is None:
            raise ModelNotFound(
                Said(
                    f"There is no model {key[:80]!r}, here or in the catalogue.", "hub.not_in_catalogue", model=key[:80]
                ),
                hint="See GET /api/models/catalogue, or download by repository: POST /api/models/download.",
            )
        return await self.ask(actor, DownloadIn(repo=entry.repo, revision=entry.revision, key=key, name=entry.name))

    # ── pausing ──

    async def pause(self, actor: Actor, key: str) -> DownloadAcceptedOut:
        """Stop fetching and keep what is there. Nothing happens to a download that is paused already."""
        row = await self._downloading(actor, key, paused=True)
        await self._queue.cancel(actor, row.download_job or "")
        return await self._accepted(actor, key, row.download_job or "")

    async def resume(self, actor: Actor, key: str) -> DownloadAcceptedOut:
        """Go on with a download that was paused, cancelled, or failed."""
        row = await self._downloading(actor, key, paused=False)
        job_id = row.download_job or ""
        try:
            job = await self._jobs.get(actor, job_id)
            if job.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
                await self._queue.retry(actor, job_id)
        except JobNotFound:  # it was taken off the list: the same again, as a new job
            job_id = await self._anew(actor, row)
        return await self._accepted(actor, key, job_id)

    async def _downloading(self, actor: Actor, key: str, *, paused: bool) -> ModelRow:
        async with self._database.write() as session:
            row = await store.find(session, actor, key)
            if row is None or not actor.owns(row.owner_id):
                words = Said(f"There is no model {key[:80]!r}.", "model.unknown", model=key[:80])
                raise ModelNotFound(words, hint="GET /api/models/ lists what there is.")
            if row.download_job is None:
                words = Said(f"The model {key!r} is here already.", "model.here", model=key)
                raise Conflict(words, hint="Nothing needs to be done.")
            row.download_paused = paused
            after_commit(session, self._announce)
        return row

    async def _anew(self, actor: Actor, row: ModelRow) -> str:
        file = _file_of(row)
        plan = await self._hub.plan(row.repo or "", row.commit or "", file, fresh=False)
        resolved = {"key": row.key, "repo": row.repo, "file": file, "revision": "main", "commit": row.commit,
                    "name": row.name, "license": row.license, **_guess(plan)}  # fmt: skip
        job = NewJob(JobKind.MODEL_DOWNLOAD, row.owner_id, row.name, {"repo": row.repo, "resolved": resolved})
        async with self._database.write() as session:
            if found := await store.find(session, actor, row.key):
                found.download_job = job.id
        return (await self._queue.submit(job)).id

    # ── the job ──

    async def run(self, attempt: Attempt) -> Publish:
        """The handler of `model.download` jobs."""
        resolved = attempt.job.request["resolved"]
        await self._begin(attempt.job, resolved)
        access = await self._hub.access()
        settings = self._hub.settings
        _, reserve = await asyncio.to_thread(self._hub.room)
        task = protocol.HubDownload(
            task_id=f"{attempt.job.id}-{attempt.job.attempt}",
            access=access,
            repo=resolved["repo"],
            commit=resolved["commit"],
            revision=resolved["revision"],
            cache=str(self._cache),
            prefer_half=resolved["prefer_half"],
            file=resolved.get("file", ""),
            reserve_bytes=reserve,
            chunk_bytes=settings.chunk_bytes,
            connections=settings.connections,
            patience=settings.patience_seconds,
            stall=min(20.0, settings.patience_seconds / 3),
            pause=min(1.0, settings.patience_seconds / 60),
        )
        # A worker of its own: it is no worker that holds the model, and another download does not wait for it.
        spec = WorkerSpec(engine=EngineName.HUB_DOWNLOAD, model=f"download:{resolved['key']}", model_path=self._cache)

        def heard(progress: protocol.Progress) -> None:
            if isinstance(progress, protocol.Transfer):
                self._live[attempt.job.id] = progress
            attempt.progress(progress.step, progress.total, _quiet(progress))

        try:
            done = await drive(self._pool, attempt, spec, task, heard, failure)
        finally:
            self._live.pop(attempt.job.id, None)
            await self._let_go(spec)
        path = await asyncio.to_thread(_model_in, Path(done.answer["path"]), task.file)
        found = await asyncio.to_thread(probe, path)
        values = columns_of(found)

        async def enter(session: AsyncSession) -> None:
            row = await store.of_job(session, attempt.job.id)
            if row is None:  # it was deleted meanwhile
                return
            for name, value in {**values, "path": str(path), "download_job": None, "download_paused": False}.items():
                setattr(row, name, value)
            after_commit(session, self._announce)
            log.info("models.downloaded", model=row.key, repo=row.repo, commit=row.commit)

        return enter

    async def _let_go(self, spec: WorkerSpec) -> None:
        """What downloaded is not needed any more."""
        for worker_id, (other, use) in self._pool.running_briefly().items():
            if other == spec and use is Use.IDLE:
                with contextlib.suppress(WorkerNotFound):  # it may have gone by itself
                    await self._pool.stop_worker(worker_id)

    async def _begin(self, job: Job, resolved: dict[str, Any]) -> None:
        """The row that the job is for, there and not paused."""
        async with self._database.write() as session:
            row = await store.of_job(session, job.id)
            if row is None:
                words = Said("The model was deleted.", "hub.model_deleted")
                raise HubFailed(words, code="model_deleted", hint="Download it again if you want it.")
            row.download_paused = False
            after_commit(session, self._announce)

    # ── how it goes ──

    def present(self, row: ModelRow, job: Job | None) -> DownloadOut | None:
        """The download of a model row, or None when its files are here."""
        if row.download_job is None:
            return None
        live = self._live.get(row.download_job)
        status = JobStatus(job.status) if job else JobStatus.CANCELLED
        state = {
            JobStatus.QUEUED: "waiting",
            JobStatus.RUNNING: "downloading",
            JobStatus.FAILED: "failed",
            JobStatus.CANCELLED: "paused" if row.download_paused else "cancelled",
            JobStatus.COMPLETED: "downloading",
        }[status]
        total = job.request["resolved"]["total_bytes"] if job else row.size_bytes
        done = min(total, 1024 * (job.step if job else 0))
        files = (
            [DownloadFileOut(path=f.path, bytes=f.bytes, done_bytes=f.done_bytes, state=f.state) for f in live.files]
            if live
            else []
        )
        return DownloadOut(
            state=state,
            job_id=row.download_job,
            done_bytes=live.done_bytes if live else done,
            total_bytes=live.total_bytes if live else total,
            bytes_per_second=live.bytes_per_second if live else None,
            seconds_left=live.seconds_left if live else None,
            paused=state == "paused",
            files=files,
            error=ErrorOut(**job.error) if job and job.error else None,
        )

    # ── inside ──

    async def _accepted(self, actor: Actor, key: str, job_id: str) -> DownloadAcceptedOut:
        model = await self._registry.get(actor, key)
        return DownloadAcceptedOut(key=key, job=await self._jobs.get(actor, job_id), download=model.download)

    async def _plan_for(self, actor: Actor, wanted: DownloadIn) -> dict[str, Any]:
        """The plan that was shown a moment ago, unless its commit is here already: then there may be a newer one."""
        asked = (wanted.repo, wanted.revision, wanted.file)
        plan = await self._hub.plan(*asked, fresh=False)
        async with self._database.read() as session:
            known = any(_is_here(row, plan, wanted.file) for row in await store.visible(session, actor))
        return await self._hub.plan(*asked) if known else plan

    async def _check(self, plan: dict[str, Any]) -> None:
        """Raise for what would fail later anyway."""
        if plan["kind"] in {"diffusers", "transformers"} and plan["can_access"] and what_it_is(plan)[0] is None:
            words = Said(
                f"{plan['repo']} is no kind of model that Atelier runs.", "hub.kind_unknown", repo=plan["repo"]
            )
            raise HubFailed(words, code="model_not_recognised", hint="Look at its page on the hub.", field="repo")
        if not plan["can_access"]:
            page, repo = self._hub.page_url(plan["repo"]), plan["repo"]
            text = f"{repo} is open only to those who accepted its terms."
            raise HubFailed(
                Said(text, "engine.gated_repository", repo=repo, page=page),
                code="gated_repository",
                hint=f"Open {page}, accept the terms, and store a token of that account.",
                field="repo",
            )
        if plan["choices"] and not plan["files"]:
            names = ", ".join(one["path"] for one in plan["choices"][:8])
            text = f"The repository holds several single files and does not say which is the model: {names}."
            words = Said(text, "engine.hub_many_files", names=names)
            raise HubFailed(words, code="nothing_to_fetch", hint="Say which one you want, in `file`.", field="file")
        if no_room := lacks_room(plan, await asyncio.to_thread(self._hub.room)):
            raise HubFailed(
                no_room,
                code="insufficient_storage",
                hint="Free some space, or set MODEL_CACHE_DIR to a larger disk.",
                field="repo",
            )

    def _row(self, actor: Actor, job_id: str, resolved: dict[str, Any]) -> ModelRow:
        """The row of a model on its way: what its plan says of it, until its files say it themselves."""
        folder = f"models--{resolved['repo'].replace('/', '--')}"
        return ModelRow(
            id=new_id("model"),
            owner_id=actor.id,
            key=resolved["key"],
            name=resolved["name"],
            task=resolved["task"],
            type=resolved["type"],
            family=resolved["family"],
            engine="",
            source="hub",
            path=str(self._cache / folder / "snapshots" / resolved["commit"] / resolved["file"]),
            repo=resolved["repo"],
            commit=resolved["commit"],
            license=resolved["license"],
            size_bytes=resolved["total_bytes"],
            description=resolved["description"],
            download_job=job_id,
            shared=actor.is_admin,
            defaults={},
            limits={},
            tags=[],
            created_at=now(),
        )

    def _announce(self) -> None:
        self._bus.publish(ModelsChanged(), key="models")


def _model_in(snapshot: Path, file: str) -> Path:
    """The snapshot, or the one file that it is there for."""
    if file:
        return snapshot / file
    files = [path for path in snapshot.iterdir() if path.suffix in {".safetensors", ".json", ".yaml"}]
    return files[0] if len(files) == 1 and files[0].suffix == ".safetensors" else snapshot


def _quiet(progress: protocol.Progress) -> Said | None:
    seconds = progress.quiet_seconds if isinstance(progress, protocol.Transfer) else None
    return Said(f"The hub asks to wait: {seconds:.0f} s.", "hub.quiet", seconds=round(seconds)) if seconds else None


def _resolve(wanted: DownloadIn, plan: dict[str, Any], rows: list[ModelRow]) -> dict[str, Any]:
    """Everything decided. Raises Conflict for a model that is here or on its way, or a key that is taken."""
    for row in rows:
        if row.repo == plan["repo"] and row.download_job is not None:
            words = Said(
                f"{row.repo} is on its way already, as {row.key!r}.", "hub.on_its_way", repo=row.repo, model=row.key
            )
            raise Conflict(words, field="repo", hint="Go on with that one, or delete it first.")
        if _is_here(row, plan, wanted.file):
            words = Said(f"This is the model {row.key!r} already.", "model.entered_already", model=row.key)
            raise Conflict(words, field="repo", hint="Nothing needs to be done.")
    keys = {row.key for row in rows} | RESERVED
    if wanted.key in keys:
        words = Said(f"There is a model {wanted.key!r} already.", "model.key_taken", model=wanted.key)
        raise Conflict(words, field="key", hint="Choose another key.")
    return {
        "key": wanted.key or free_key(_name_of(plan["repo"], wanted.file), keys),
        "name": wanted.name or _name_of(plan["repo"], wanted.file),
        "repo": plan["repo"],
        "file": wanted.file,
        "revision": wanted.revision,
        "commit": plan["commit"],
        "license": (plan["license"] or "")[:64],
        "description": "",
        **_guess(plan),
    }


def _guess(plan: dict[str, Any]) -> dict[str, Any]:
    task, family, _ = what_it_is(plan)
    return {
        "task": task or "image",
        "type": "lora" if is_lora(plan) else "base_model",
        "family": (family or "")[:32],
        "total_bytes": plan["total_bytes"],
        "prefer_half": plan["prefer_half"],
        "outline": told_by(plan, on_cpu=not plan["prefer_half"]),
    }


def _name_of(repo: str, file: str = "") -> str:
    """`owner/name` -> `name`; of one of several files that file's name without its ending."""
    return file.removesuffix(".safetensors") or repo.partition("/")[2]


def _file_of(row: ModelRow) -> str:
    """Which file of its repository a model is, "" for the whole of it."""
    path = Path(row.path)
    return path.name if path.suffix == ".safetensors" else ""


def _is_here(row: ModelRow, plan: dict[str, Any], file: str) -> bool:
    """Whether a row is what the plan is for, `file` of it where there are several."""
    return (row.repo, row.commit) == (plan["repo"], plan["commit"]) and (not file or _file_of(row) in {"", file})
