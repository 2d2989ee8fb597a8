"""Which models exist: those that ship, and those that people add.

The shipped ones announce themselves (`backend/embedded/models/<key>/atelier.json`) and are entered at every start.
An imported one stays where it lies; `probe` says what it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from engines.checkpoint_files import RUN_FROM_ONE_FILE
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import LOCAL_USER_ID, Actor
from atelier.clock import new_id, now
from atelier.config import BACKEND
from atelier.db import Database, after_commit
from atelier.errors import BadRequest, Conflict, JobNotFound, ModelNotFound, ModelNotRecognised
from atelier.events import EventBus, ModelsChanged
from atelier.jobs.queue import JobQueue
from atelier.jobs.store import by_ids as jobs_by_ids
from atelier.models import store
from atelier.models.adapters import ADDED_TYPES, file_of, trigger_words
from atelier.models.cache import Removal, Snapshot, removal, snapshot_at, snapshots
from atelier.models.cache import remove as remove_files
from atelier.models.chat_engines import CHAT_TASKS
from atelier.models.chat_loras import DoesNotFit, fitting, is_chat_lora
from atelier.models.families import SIZES, image_defaults, image_limits, redraw_strength, sampling, size_presets
from atelier.models.hub_schemas import ConsequencesOut, DependentJobOut, RemarkOut
from atelier.models.keys import free_key
from atelier.models.lending import SINGLE_FILE, lacking
from atelier.models.probe import Probe, probe
from atelier.models.schemas import (
    ChatSetupOut,
    ChatUsualOut,
    DownloadOut,
    FoundModelList,
    FoundModelOut,
    ImageDefaults,
    ImageLimits,
    LeftOutOut,
    LoadOptions,
    ModelImportIn,
    ModelOut,
    ModelPatchIn,
    PartsOut,
    SizePreset,
)
from atelier.models.sizing import Sizing, Told, path_of, ttl_of
from atelier.models.states import IDLE, ModelStates, Standing, on_its_way
from atelier.runtime.engines import ENGINES, SERVER_ENVIRONMENT, EngineName
from atelier.runtime.placement import Use
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import HIDDEN
from atelier.said import Said
from atelier.shapes import SaidOut
from atelier.tables import Job, JobKind, JobStatus, ModelRow

log = structlog.get_logger("atelier.models")

EMBEDDED = BACKEND / "embedded" / "models"
CANCEL_SECONDS = 10.0
WITH_MODELS = (JobKind.IMAGE_GENERATE, JobKind.IMAGE_GRID, JobKind.IMAGE_VERIFY, JobKind.CHAT_BENCHMARK)
NAMING = ("model", "models", "lora", "embedding", "upscaler")
UPSCALED_PIXELS = 2048 * 2048
"""Of the result that an upscaler's memory is told for."""


class ModelRegistry:
    """Finds models for actors, takes in new ones, lets them go."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        pool: WorkerPool,
        bus: EventBus,
        *,
        sizing: Sizing,
        states: ModelStates,
        cache: Path,
        embedded: Path = EMBEDDED,
        allowed: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """`allowed`: the keys or repositories of the models that an actor may run, for those who may not run all."""
        self._database, self._queue, self._pool, self._bus = database, queue, pool, bus
        self._sizing, self._states = sizing, states
        self._cache, self._embedded = cache, embedded
        self._allowed = dict(allowed or {})
        self.download_of: Callable[[ModelRow, Job | None], DownloadOut | None] = lambda _row, _job: None
        self.told_on_its_way: Callable[[ModelRow, Job | None], Told] = lambda row, _job: Told(row.bytes_needed)
        self.is_offered: Callable[[str], bool] = lambda _key: False

    async def start(self) -> None:
        cards = await asyncio.to_thread(_read_cards, self._embedded)
        async with self._database.write() as session:
            known = await store.embedded(session)
            for card in cards:
                values = columns_of(card["probe"]) | _said(card)
                row = known.get(card["key"])
                if row is None:
                    session.add(ModelRow(id=new_id("model"), owner_id=LOCAL_USER_ID, created_at=now(), **values))
                else:
                    for name, value in values.items():
                        setattr(row, name, value)
            self._sizing.loras.learn(await store.loras(session))
        log.info("ModelRegistry configured", models=[card["key"] for card in cards])

    # ── finding ──

    async def list(self, actor: Actor) -> list[ModelOut]:
        async with self._database.read() as session:
            rows = await self._visible(session, actor)
            jobs = await _download_jobs(session, rows)
        return await asyncio.to_thread(self._present_all, actor, rows, jobs, rows)

    async def rows(self, actor: Actor) -> list[ModelRow]:
        async with self._database.read() as session:
            return await self._visible(session, actor)

    async def get(self, actor: Actor, key: str) -> ModelOut:
        """One model. Raises ModelNotFound, also for somebody else's."""
        async with self._database.read() as session:
            row = await self._find(session, actor, key)
            jobs = await _download_jobs(session, [row])
            others = await store.visible(session, actor) if is_chat_lora(row) else ()
        return (await asyncio.to_thread(self._present_all, actor, [row], jobs, others))[0]

    async def find(self, actor: Actor, key: str) -> ModelRow:
        """The row. Raises ModelNotFound, also for somebody else's."""
        async with self._database.read() as session:
            return await self._find(session, actor, key)

    async def runnable(self, actor: Actor, key: str) -> ModelRow:
        """A model that can be loaded. Raises ModelNotFound, Conflict when no engine runs it or its files are gone."""
        row = await self.find(actor, key)
        self.check_runnable(row)
        if not await asyncio.to_thread(_lies_there, path_of(row)):
            words = Said(f"The files of {key} are missing.", "model.files_gone", model=key)
            raise Conflict(words, hint="Restore its folder, or download it again.")
        return row

    def check_runnable(self, row: ModelRow) -> None:
        """Raises Conflict when no engine runs it. Reads small files the first time."""
        self._check_parts(row)
        if not _is_runnable(row, self._sizing):
            words = Said(f"No engine of this Atelier can run {row.key}.", "model.not_runnable", model=row.key)
            raise Conflict(words, hint="A LoRA is used with its base model.")
        if row.task in CHAT_TASKS and (choice := self._sizing.chat_setup(row).choice).engine is None:
            raise Conflict(choice.reason, hint="Choose another model.")

    def _check_parts(self, row: ModelRow, field: str | None = None) -> None:
        """Raises Conflict for a part of a model that nothing here lends the rest to."""
        if row.download_job is None and lacking(row) and not self._sizing.lending.lenders(row):
            lacks = ", ".join(lacking(row))
            words = Said(
                f"The file of {row.key} holds a part of a model only: it lacks {lacks}, and no whole model of its "
                "family is here that could lend them.",
                "model.parts_missing",
                model=row.key,
                lacks=lacks,
            )
            raise Conflict(words, field=field, hint="Download or enter a whole model of the same family as a folder.")

    async def download_job(self, row: ModelRow) -> Job | None:
        """The job that fetches a model, unless it was taken off the list."""
        async with self._database.read() as session:
            return (await _download_jobs(session, [row])).get(row.id)

    async def require(self, actor: Actor, key: str, task: str) -> ModelRow:
        """The model `key`, to be run. Raises ModelNotFound for an unknown one, somebody else's, one of another task,
        a LoRA, and one that no engine can run."""
        async with self._database.read() as session:
            seen = await self._visible(session, actor)
        rows = [row for row in seen if row.task == task and self._may(actor, row)]
        for row in rows:
            if row.key == key:
                return row
        for row in seen:
            if row.key == key and self._is_allowed(actor, row):
                self._check_parts(row, field="model")
        names = ", ".join(row.key for row in rows) or "none"
        raise ModelNotFound(
            Said(f"There is no {task} model {key[:80]!r}.", "model.none_such", model=key[:80], known=names),
            field="model",
            hint=f"These exist: {names}. See GET /api/models/.",
        )

    async def usable(self, actor: Actor, tasks: Collection[str]) -> list[ModelRow]:
        """The models of these tasks that can be run, oldest first."""
        rows = [row for row in await self.rows(actor) if row.task in tasks and self._may(actor, row)]
        return await asyncio.to_thread(lambda: [row for row in rows if _lies_there(path_of(row))])

    async def named(self, actor: Actor, name: str, tasks: Collection[str]) -> ModelRow:
        """The usable model that is called so: by its key, or by its repository on the hub. Raises ModelNotFound."""
        rows = await self.usable(actor, tasks)
        for row in rows:
            if name in (row.key, row.repo):
                return row
        known = ", ".join(row.key for row in rows) or "none"
        words = Said(f"There is no model {name[:80]!r}.", "model.none_such", model=name[:80], known=known)
        raise ModelNotFound(words, field="model", hint=f"These exist: {known}.")

    async def adapted(self, actor: Actor) -> list[tuple[ModelRow, ModelRow]]:
        """The LoRAs that answer as chat models do, each with the first model that is loaded with it."""
        async with self._database.read() as session:
            rows = await store.visible(session, actor)
            self._sizing.loras.learn(await store.loras(session))
        return await asyncio.to_thread(self._adapted, actor, rows)

    def _adapted(self, actor: Actor, rows: Sequence[ModelRow]) -> list[tuple[ModelRow, ModelRow]]:
        loras = [row for row in rows if is_chat_lora(row)]
        if not loras:
            return []
        bases = [row for row in rows if row.task == "chat" and _is_runnable(row, self._sizing)]
        chosen = [(base, one) for base in bases for one in self._sizing.chat_setup(base).loras]
        found = []
        for row in loras:
            base = next((base for base, one in chosen if one.path == path_of(row)), None)
            if base is not None and self._is_allowed(actor, row):
                found.append((row, base))
        return found

    async def check_options(self, actor: Actor, row: ModelRow, options: LoadOptions) -> None:
        """Raises BadRequest for LoRAs that this model cannot be loaded with, and for a lender that lends it nothing."""
        if options.parts_from and options.parts_from not in (keys := self._lenders(row)):
            known = ", ".join(keys) or "none"
            words = Said(
                f"{options.parts_from} lends {row.key} nothing.", "model.lends_nothing", model=row.key,
                lender=options.parts_from, known=known,
            )  # fmt: skip
            raise BadRequest(words, field="parts_from", hint=f"These could: {known}.")
        if not options.loras:
            return
        async with self._database.read() as session:
            theirs = {one.key: one for one in await store.visible(session, actor) if is_chat_lora(one)}
            self._sizing.loras.learn(await store.loras(session))
        engine = self._sizing.chat_engines.of(row.task, options.chat_engine).engine
        if row.task != "chat" or not self._sizing.adapts(engine):
            words = Said(f"The engine of {row.key} loads no LoRAs.", "lora.no_engine", model=row.key)
            raise BadRequest(words, field="loras", hint="vLLM does, with chat models.")
        for name in options.loras:
            if name not in theirs:
                words = Said(f"There is no LoRA {name!r} for chat models.", "lora.none_such", lora=name)
                raise BadRequest(words, field="loras", hint="GET /api/models/?type=lora&task=chat lists them.")
            try:
                await asyncio.to_thread(fitting, theirs[name], row)
            except DoesNotFit as misfit:
                raise BadRequest(misfit.words, field="loras", hint="Choose another, or leave it out.") from misfit

    def _lenders(self, row: ModelRow) -> list[str]:
        return [one.key for one in self._sizing.lending.lenders(row)]

    def path_of(self, row: ModelRow) -> Path:
        """Where the model's files lie; embedded ones are named relative to the backend folder."""
        return path_of(row)

    def present(self, actor: Actor, row: ModelRow) -> ModelOut:
        """Looks at the disk."""
        return self._present_all(actor, [row])[0]

    def _present_all(
        self,
        actor: Actor,
        rows: Sequence[ModelRow],
        jobs: Mapping[str, Job] | None = None,
        among: Sequence[ModelRow] = (),
    ) -> list[ModelOut]:
        """`jobs`: those that download these models, by the models' ids. `among`: LoRAs, and what answers for them."""
        standings = self._states.all()
        bases = {lora.id: base.key for lora, base in self._adapted(actor, among)}
        shown = [self._present(actor, row, standings.get(row.key, IDLE), (jobs or {}).get(row.id)) for row in rows]
        for one, row in zip(shown, rows, strict=True):
            one.answers_with = bases.get(row.id)
        return shown

    def _present(self, actor: Actor, row: ModelRow, standing: Standing, job: Job | None) -> ModelOut:
        download = self.download_of(row, job)
        if download is not None:
            standing = on_its_way(download)
        told = self._told(row) if download is None else self.told_on_its_way(row, job)
        return ModelOut(
            **{name: getattr(row, name) for name in _SHOWN},
            **{**vars(standing), "left_out": [_left_out(words) for words in standing.left_out]},
            state_said=SaidOut.of(standing.state_reason),
            bytes_needed=told.bytes,
            helped=told.helped,
            load_options=LoadOptions(**(row.load_options or {})),
            defaults=ImageDefaults(**row.defaults) if row.defaults else None,
            limits=ImageLimits(**row.limits) if row.limits else None,
            presets=_presets(row),
            redraw_strength=redraw_strength(ImageDefaults(**row.defaults)) if row.defaults else None,
            chat=self._chat(row),
            parts=self._parts(row),
            sampling=sampling(row.family),
            trigger_words=_trigger_words(row),
            # What sees is built around a vision tower: `probe.architecture_kind`.
            sees=row.task == "chat" and (row.pipeline or "").endswith("ForConditionalGeneration"),
            available=row.download_job is None and _lies_there(self.path_of(row)),
            runnable=_is_runnable(row, self._sizing),
            removable=row.source != "embedded" and actor.owns(row.owner_id),
            download=download,
        )

    def _parts(self, row: ModelRow) -> PartsOut | None:
        if row.download_job is not None or not (lacks := lacking(row)):
            return None
        lender = self._sizing.lending.lender(row, self._sizing.options_of(row).parts_from)
        return PartsOut(lacks=list(lacks), lender=lender.key if lender else None, lenders=self._lenders(row))

    def _told(self, row: ModelRow) -> Told:
        if _is_runnable(row, self._sizing):
            return self._sizing.told(row)
        file = file_of(path_of(row)) if row.type == "upscaler" else None
        needed = self._sizing.upscaler_spec(row, file, UPSCALED_PIXELS).bytes_needed if file else row.bytes_needed
        return Told(needed)

    def _chat(self, row: ModelRow) -> ChatSetupOut | None:
        if row.task not in CHAT_TASKS or not _is_runnable(row, self._sizing):
            return None
        setup = self._sizing.chat_setup(row)
        engine = setup.choice.engine
        entry = ENGINES[engine] if engine is not None else None
        ready = entry is not None and self._sizing.chat_engines.is_built(entry.environment)
        return ChatSetupOut(
            engine=engine,
            engine_reason=setup.choice.reason,
            engine_said=SaidOut.of(setup.choice.reason),
            environment=entry.environment if entry is not None and entry.environment != SERVER_ENVIRONMENT else None,
            environment_ready=ready,
            context=setup.context,
            sequences=setup.sequences,
            sees=setup.images is not None,
            pictures=setup.images or 0,
            calls_tools=setup.tool_parser is not None or engine is EngineName.FAKE,
            reasons=setup.reasoning_parser is not None,
            adapts=row.task == "chat" and self._sizing.adapts(engine),
            usual=ChatUsualOut(
                tool_parser=setup.usual.tool_parser,
                reasoning_parser=setup.usual.reasoning_parser,
                images=setup.usual.images,
                context=setup.usual_work.context,
                sequences=setup.usual_work.batch,
            ),
        )

    async def found(self) -> FoundModelList:
        """What lies in the Hugging Face cache of this machine, known already or not."""
        async with self._database.read() as session:
            known = await store.keys_by_path(session)
        items = await asyncio.to_thread(lambda: [_found(one, known) for one in snapshots(self._cache)])
        return FoundModelList(cache=str(self._cache), items=items)

    # ── changing ──

    async def take_in(self, actor: Actor, wanted: ModelImportIn) -> ModelOut:
        """Enter a model that lies on this machine. Raises ModelNotRecognised, BadRequest, Conflict."""
        path = Path(wanted.path)
        if not path.is_absolute():
            raise BadRequest(
                Said("The path must be absolute.", "request.path_relative"),
                field="path",
                hint="Write it from the root: /models/my-model.",
            )
        path = path.resolve()
        found, origin = await asyncio.to_thread(probe, path), snapshot_at(path)
        async with self._database.write() as session:
            if taken := await store.at_path(session, str(path)):
                raise Conflict(
                    Said(f"This is the model {taken.key!r} already.", "model.entered_already", model=taken.key),
                    field="path",
                    hint="Nothing needs to be done.",
                )
            keys = {row.key for row in await self._visible(session, actor)}
            if wanted.key in keys:
                words = Said(f"There is a model {wanted.key!r} already.", "model.key_taken", model=wanted.key)
                raise Conflict(words, field="key", hint="Choose another key.")
            row = ModelRow(
                id=new_id("model"),
                owner_id=actor.id,
                created_at=now(),
                key=wanted.key or free_key(_stem(path), keys),
                name=wanted.name or _stem(path),
                source="imported",
                path=str(path),
                description=wanted.description,
                license=wanted.license,
                tags=wanted.tags,
                shared=actor.is_admin,
                pinned=False,
                repo=origin.repo if origin else None,
                commit=origin.commit if origin else None,
                **columns_of(found),
            )
            session.add(row)
            after_commit(session, self._announce)
        log.info("models.imported", model=row.key, family=row.family, path=str(path))
        return await asyncio.to_thread(self.present, actor, row)

    async def change(self, actor: Actor, key: str, wanted: ModelPatchIn) -> ModelOut:
        """Change what is given. Raises ModelNotFound, Conflict for a shipped model's own words, BadRequest."""
        given = wanted.model_dump(exclude_unset=True)
        empty = next((name for name, value in given.items() if value is None), None)
        if empty:
            words = Said(f"{empty} cannot be null.", "request.field_null", name=empty)
            raise BadRequest(words, field=empty, hint="Leave it out to keep it as it is.")
        if wanted.load_options is not None:
            await self.check_options(actor, await self.find(actor, key), wanted.load_options)
        async with self._database.write() as session:
            row = await self._find(session, actor, key)
            self._own(actor, row)
            if row.source == "embedded" and (fixed := set(given) - {"pinned", "load_options"}):
                raise Conflict(
                    Said(
                        "A model that ships with Atelier can be pinned and loaded differently; its words and settings "
                        "are fixed.",
                        "model.fixed",
                    ),
                    field=next(iter(fixed)),
                    hint="Settings of a single picture are given with the request.",
                )
            if "defaults" in given and not row.defaults:
                words = Said(f"A {row.task} model has no picture settings.", "model.no_defaults", model=key)
                raise BadRequest(words, field="defaults", hint="Leave it out.")
            if wanted.load_options is not None:
                given["load_options"] = wanted.load_options.model_dump(exclude_unset=True)
            for name, value in given.items():
                setattr(row, name, value)
            after_commit(session, self._announce)
        ttl = ttl_of(self._sizing.options_of(row))
        self._pool.set_policy(row.key, pinned=row.pinned, ttl_seconds=ttl)
        return await asyncio.to_thread(self.present, actor, row)

    async def remove(self, actor: Actor, key: str) -> ModelOut:
        """Delete a model: its row, and its files when Atelier downloaded them. A download under way is cancelled.
        Raises ModelNotFound, Conflict for one that ships or is at work."""
        async with self._database.write() as session:
            row = await self._find(session, actor, key)
            self._own(actor, row)
            if reason := await self._why_kept(row):
                raise Conflict(reason, hint=_KEPT_HINTS[reason.code])
            await session.delete(row)
            after_commit(session, self._announce)
        if row.download_job:
            await self._end_download(actor, row.download_job)
        for worker_id in self._workers_of(key):
            await self._pool.stop_worker(worker_id)
        freed = 0
        if files := await asyncio.to_thread(self._removal, row):
            freed = await asyncio.to_thread(remove_files, files)
        self._states.forget(key)
        log.info("models.removed", model=key, bytes_freed=freed)
        return await asyncio.to_thread(self.present, actor, row)

    async def consequences(self, actor: Actor, key: str) -> ConsequencesOut:
        """What goes with a model, before it goes. Raises ModelNotFound."""
        async with self._database.read() as session:
            row = await self._find(session, actor, key)
            rows = await store.visible(session, actor)
        jobs = [job for job in await self._jobs_with_models() if key in _models_of(job)]
        jobs += [job for job in await self._queue.active(JobKind.MODEL_DOWNLOAD) if job.id == row.download_job]
        reason = await self._why_kept(row)
        if reason is None and not actor.owns(row.owner_id):
            reason = Said(f"There is no model {row.key!r} of yours.", "model.not_yours", model=row.key)
        files = await asyncio.to_thread(self._removal, row)
        return ConsequencesOut(
            key=key,
            removable=reason is None,
            reason=RemarkOut.of(reason) if reason else None,
            files="deleted" if files else "kept",
            bytes_freed=await asyncio.to_thread(lambda: files.bytes_freed) if files else 0,
            loras=[other.key for other in _left_alone(row, rows)],
            jobs=[
                DependentJobOut(id=job.id, title=job.title if actor.owns(job.owner_id) else HIDDEN, status=job.status)
                for job in jobs
            ],
            workers=self._workers_of(key),
        )

    # ── inside ──

    def _may(self, actor: Actor, row: ModelRow) -> bool:
        """Whether an engine runs this model, and this actor may."""
        return _is_runnable(row, self._sizing) and self._is_allowed(actor, row)

    def _is_allowed(self, actor: Actor, row: ModelRow) -> bool:
        names = self._allowed.get(actor.id)
        return names is None or row.key in names or row.repo in names

    async def _visible(self, session: AsyncSession, actor: Actor) -> list[ModelRow]:
        """As `store.visible`; who lends whom its parts is learned from it."""
        rows = await store.visible(session, actor)
        if any(row.pipeline == SINGLE_FILE for row in rows):
            self._sizing.lending.learn(rows if actor.is_admin else await store.base_models(session))
        return rows

    async def _find(self, session: AsyncSession, actor: Actor, key: str) -> ModelRow:
        for row in await self._visible(session, actor):
            if row.key == key:
                return row
        if self.is_offered(key):
            words = Said(f"The model {key!r} has not been downloaded.", "model.not_downloaded", model=key)
            raise ModelNotFound(words, hint=f"POST /api/admin/models/{key}/download fetches it.")
        raise ModelNotFound(f"There is no model {key[:80]!r}.", hint="GET /api/models/ lists what there is.")

    async def _why_kept(self, row: ModelRow) -> Said | None:
        if row.source == "embedded":
            return Said(f"The model {row.key!r} ships with Atelier and stays.", "model.stays", model=row.key)
        if row.download_job is None and await self._is_at_work(row.key):
            return Said(f"The model {row.key!r} is at work right now.", "model.at_work", model=row.key)
        return None

    async def _end_download(self, actor: Actor, job_id: str) -> None:
        """Cancel it, and wait until nothing writes any more."""
        with contextlib.suppress(JobNotFound):  # it may have been taken off the list
            await self._queue.cancel(actor, job_id)
        deadline = time.monotonic() + CANCEL_SECONDS
        while time.monotonic() < deadline:
            if not any(job.id == job_id for job in await self._queue.active(JobKind.MODEL_DOWNLOAD)):
                return
            await asyncio.sleep(0.05)

    def _removal(self, row: ModelRow) -> Removal | None:
        """The files that go with a model: those that Atelier put into the cache itself."""
        path = Path(row.path)
        snapshot = path if snapshot_at(path) else path.parent  # a model of one file is named by that file
        file = None if path == snapshot else path
        return removal(self._cache, snapshot, file) if row.source == "hub" else None

    def _workers_of(self, key: str) -> list[str]:
        return [id_ for id_, (spec, _) in self._pool.running_briefly().items() if spec.model == key]

    async def _is_at_work(self, key: str) -> bool:
        """Whether a job runs with this model, or a worker is about to for somebody."""
        running = [job for job in await self._jobs_with_models() if job.status == JobStatus.RUNNING]
        busy = {spec.model for spec, use in self._pool.running_briefly().values() if use in {Use.STARTING, Use.BUSY}}
        return key in busy or any(key in _models_of(job) for job in running)

    async def _jobs_with_models(self) -> list[Job]:
        return [job for kind in WITH_MODELS for job in await self._queue.active(kind)]

    def _own(self, actor: Actor, row: ModelRow) -> None:
        if not actor.owns(row.owner_id):
            words = Said(f"There is no model {row.key!r} of yours.", "model.not_yours", model=row.key)
            raise ModelNotFound(words, hint="It is shared with you by its owner.")

    def _announce(self) -> None:
        self._bus.publish(ModelsChanged(), key="models")


def columns_of(found: Probe) -> dict[str, Any]:
    """A probe as columns."""
    makes_pictures = found.type == "base_model" and (found.task == "image" or found.family in SIZES)
    defaults = image_defaults(found.family, found.distilled)
    defaults = defaults.model_copy(update={"frames": found.frames} if found.frames else {})
    return {
        "task": found.task,
        "type": found.type,
        "family": found.family,
        "engine": found.engine or "",
        "pipeline": found.pipeline,
        "base": found.base,
        "dtype": found.dtype,
        "parameters": found.parameters,
        "size_bytes": found.size_bytes,
        "bytes_needed": found.size_bytes,
        "defaults": defaults.model_dump() if makes_pictures else {},
        "limits": image_limits(found.family).model_dump() if makes_pictures else {},
    }


async def _download_jobs(session: AsyncSession, rows: Sequence[ModelRow]) -> dict[str, Job]:
    """The jobs that download these models, by the models' ids."""
    ids = {row.id: row.download_job for row in rows if row.download_job}
    jobs = await jobs_by_ids(session, list(ids.values()))
    return {row_id: jobs[job_id] for row_id, job_id in ids.items() if job_id in jobs}


def _left_alone(row: ModelRow, rows: Sequence[ModelRow]) -> list[ModelRow]:
    """The LoRAs and embeddings that were made for a model, and those of its family when no other of that is here."""
    names = {row.key, row.repo or row.key, Path(row.path).name}
    others = [other for other in rows if other.key != row.key]
    kin = [other for other in others if row.family and (other.task, other.family) == (row.task, row.family)]
    is_last = row.type not in ADDED_TYPES and all(other.type in ADDED_TYPES for other in kin)
    added = [other for other in others if other.type in ("lora", "embedding")]
    return [one for one in added if one.base in names or (is_last and one in kin)]


def _models_of(job: Job) -> set[str]:
    """The keys of all that a job runs with: models, LoRAs, embeddings, upscalers, wherever its request names them."""
    found: set[str] = set()
    left: list[Any] = [job.request]
    while left:
        match left.pop():
            case dict() as some:
                named = [value for name in NAMING for value in _several(some.get(name))]
                found |= {value for value in named if isinstance(value, str)}
                left += some.values()
            case list() as some:
                left += some
    return found


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_KEPT_HINTS = {
    "model.stays": "It takes no memory while it is not used.",
    "model.at_work": "Wait for it, or cancel its jobs first.",
}
_SHOWN = (
    *("key", "name", "task", "type", "family", "source", "description", "license", "size_bytes"),
    *("dtype", "parameters", "base", "repo", "commit", "tags", "pinned"),
)


def _left_out(words: Said) -> LeftOutOut:
    return LeftOutOut(message=words, said=SaidOut.of(words))


def _presets(row: ModelRow) -> list[SizePreset]:
    if not row.defaults or not row.limits:
        return []
    return size_presets(row.family, ImageDefaults(**row.defaults), ImageLimits(**row.limits))


def _is_runnable(row: ModelRow, sizing: Sizing) -> bool:
    is_whole = row.pipeline != SINGLE_FILE or (
        row.family in RUN_FROM_ONE_FILE and not (lacking(row) and not sizing.lending.lenders(row))
    )
    has_engine = bool(sizing.engine_of(row)) or row.task in CHAT_TASKS
    return row.download_job is None and has_engine and row.type not in ADDED_TYPES and is_whole


def _trigger_words(row: ModelRow) -> list[str]:
    """Looks at the disk; a header is read once."""
    file = file_of(path_of(row)) if row.type == "lora" and row.download_job is None else None
    return trigger_words(file) if file is not None else []


def _lies_there(path: Path) -> bool:
    marks = ("model_index.json", "config.json", "adapter_config.json", "config.yaml")
    return path.is_file() or any((path / name).is_file() for name in marks)


def _stem(path: Path) -> str:
    """What people call it: the repository's name for a folder that is named after a commit."""
    if origin := snapshot_at(path):
        return origin.repo.partition("/")[2]
    return path.stem if path.is_file() else path.name


def _found(snapshot: Snapshot, known: dict[str, str]) -> FoundModelOut:
    values = {"path": str(snapshot.path), "repo": snapshot.repo, "commit": snapshot.commit}
    key = known.get(str(snapshot.path.resolve()))
    try:
        what = probe(snapshot.path)
    except ModelNotRecognised as reason:
        words, said = f"{reason.message} {reason.hint}", SaidOut.of(reason.message)
        return FoundModelOut(**values, key=key, problem=words, said=said)
    seen = {name: getattr(what, name) for name in ("task", "type", "family", "size_bytes", "parameters", "dtype")}
    return FoundModelOut(**values, key=key, problem=None, **seen)


def _read_cards(folder: Path) -> list[dict[str, Any]]:
    cards = []
    for path in sorted(folder.glob("*/atelier.json")):
        card = json.loads(path.read_text())
        card["path"] = str(path.parent.relative_to(BACKEND)) if path.is_relative_to(BACKEND) else str(path.parent)
        card["probe"] = probe(path.parent)
        cards.append(card)
    return cards


def _said(card: dict[str, Any]) -> dict[str, Any]:
    """What a card says itself, which counts more than what its files show."""
    makes_pictures = "limits" in card
    return {
        "key": card["key"],
        "name": card["name"],
        "engine": card["engine"],
        "source": "embedded",
        "path": card["path"],
        "description": card["description"],
        "license": card["license"],
        "shared": True,
        "defaults": ImageDefaults(**card["defaults"]).model_dump() if makes_pictures else {},
        "limits": ImageLimits(**card["limits"]).model_dump() if makes_pictures else {},
        "tags": card.get("tags", []),
    }
