"""Which models exist: those that ship, and those that people add.

The shipped ones announce themselves (`backend/embedded/models/<key>/atelier.json`) and are entered at every start.
An imported one stays where it lies; `probe` says what it is.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import LOCAL_USER_ID, Actor
from atelier.clock import new_id, now
from atelier.config import BACKEND
from atelier.db import Database, after_commit
from atelier.errors import BadRequest, Conflict, ModelNotFound, ModelNotRecognised
from atelier.events import EventBus, ModelsChanged
from atelier.jobs.queue import JobQueue
from atelier.models import store
from atelier.models.cache import Snapshot, snapshot_at, snapshots
from atelier.models.families import image_defaults, image_limits, sampling
from atelier.models.probe import Probe, probe
from atelier.models.schemas import (
    FoundModelList,
    FoundModelOut,
    ImageDefaults,
    ImageLimits,
    LoadOptions,
    ModelImportIn,
    ModelOut,
    ModelPatchIn,
)
from atelier.models.sizing import Sizing, path_of, ttl_of
from atelier.models.states import IDLE, ModelStates, Standing
from atelier.runtime.placement import Use
from atelier.runtime.pool import WorkerPool
from atelier.said import Said
from atelier.shapes import SaidOut
from atelier.tables import JobKind, JobStatus, ModelRow

log = structlog.get_logger("atelier.models")

EMBEDDED = BACKEND / "embedded" / "models"


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
    ) -> None:
        self._database, self._queue, self._pool, self._bus = database, queue, pool, bus
        self._sizing, self._states = sizing, states
        self._cache, self._embedded = cache, embedded

    async def start(self) -> None:
        cards = await asyncio.to_thread(_read_cards, self._embedded)
        async with self._database.write() as session:
            known = await store.embedded(session)
            for card in cards:
                values = self._columns_of(card["probe"]) | _said(card)
                row = known.get(card["key"])
                if row is None:
                    session.add(ModelRow(id=new_id("model"), owner_id=LOCAL_USER_ID, created_at=now(), **values))
                else:
                    for name, value in values.items():
                        setattr(row, name, value)
        log.info("ModelRegistry configured", models=[card["key"] for card in cards])

    # ── finding ──

    async def list(self, actor: Actor) -> list[ModelOut]:
        async with self._database.read() as session:
            rows = await store.visible(session, actor)
        return await asyncio.to_thread(self._present_all, actor, rows)

    async def get(self, actor: Actor, key: str) -> ModelOut:
        """One model. Raises ModelNotFound, also for somebody else's."""
        return await asyncio.to_thread(self.present, actor, await self.find(actor, key))

    async def find(self, actor: Actor, key: str) -> ModelRow:
        """The row. Raises ModelNotFound, also for somebody else's."""
        async with self._database.read() as session:
            return await self._find(session, actor, key)

    async def runnable(self, actor: Actor, key: str) -> ModelRow:
        """A model that can be loaded. Raises ModelNotFound, Conflict when no engine runs it or its files are gone."""
        row = await self.find(actor, key)
        if not _is_runnable(row):
            words = Said(f"No engine of this Atelier can run {key}.", "model.not_runnable", model=key)
            raise Conflict(words, hint="A LoRA is used with its base model.")
        if not await asyncio.to_thread(_lies_there, path_of(row)):
            words = Said(f"The files of {key} are missing.", "model.files_gone", model=key)
            raise Conflict(words, hint="Restore its folder, or download it again.")
        return row

    async def require(self, actor: Actor, key: str, task: str) -> ModelRow:
        """The model `key`, to be run. Raises ModelNotFound for an unknown one, somebody else's, one of another task,
        a LoRA, and one that no engine can run."""
        async with self._database.read() as session:
            rows = [row for row in await store.visible(session, actor) if row.task == task and _is_runnable(row)]
        for row in rows:
            if row.key == key:
                return row
        names = ", ".join(row.key for row in rows) or "none"
        raise ModelNotFound(
            Said(f"There is no {task} model {key[:80]!r}.", "model.none_such", model=key[:80], known=names),
            field="model",
            hint=f"These exist: {names}. See GET /api/models/.",
        )

    def path_of(self, row: ModelRow) -> Path:
        """Where the model's files lie; embedded ones are named relative to the backend folder."""
        return path_of(row)

    def present(self, actor: Actor, row: ModelRow) -> ModelOut:
        """Looks at the disk."""
        return self._present_all(actor, [row])[0]

    def _present_all(self, actor: Actor, rows: list[ModelRow]) -> list[ModelOut]:
        standings = self._states.all()
        return [self._present(actor, row, standings.get(row.key, IDLE)) for row in rows]

    def _present(self, actor: Actor, row: ModelRow, standing: Standing) -> ModelOut:
        return ModelOut(
            **{name: getattr(row, name) for name in _SHOWN},
            **vars(standing),
            state_said=SaidOut.of(standing.state_reason),
            bytes_needed=self._sizing.need(row).spec.bytes_needed if _is_runnable(row) else row.bytes_needed,
            load_options=LoadOptions(**(row.load_options or {})),
            defaults=ImageDefaults(**row.defaults) if row.defaults else None,
            limits=ImageLimits(**row.limits) if row.limits else None,
            sampling=sampling(row.family),
            available=_lies_there(self.path_of(row)),
            runnable=_is_runnable(row),
            removable=row.source != "embedded" and actor.owns(row.owner_id),
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
            keys = {row.key for row in await store.visible(session, actor)}
            if wanted.key in keys:
                words = Said(f"There is a model {wanted.key!r} already.", "model.key_taken", model=wanted.key)
                raise Conflict(words, field="key", hint="Choose another key.")
            row = ModelRow(
                id=new_id("model"),
                owner_id=actor.id,
                created_at=now(),
                key=wanted.key or _free_key(path, keys),
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
                **self._columns_of(found),
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
        """Forget a model; its files stay, since they were not ours. Raises ModelNotFound, Conflict for one that ships
        or is at work."""
        async with self._database.write() as session:
            row = await self._find(session, actor, key)
            self._own(actor, row)
            if row.source == "embedded":
                raise Conflict(
                    Said(f"The model {key!r} ships with Atelier and stays.", "model.stays", model=key),
                    hint="It takes no memory while it is not used.",
                )
            if await self._is_at_work(key):
                raise Conflict(
                    Said(f"The model {key!r} is at work right now.", "model.at_work", model=key),
                    hint="Wait for it, or cancel its jobs first.",
                )
            await session.delete(row)
            after_commit(session, self._announce)
        for worker_id, (spec, _) in self._pool.running_briefly().items():
            if spec.model == key:
                await self._pool.stop_worker(worker_id)
        self._states.forget(key)
        log.info("models.removed", model=key)
        return self.present(actor, row)

    # ── inside ──

    async def _find(self, session: AsyncSession, actor: Actor, key: str) -> ModelRow:
        for row in await store.visible(session, actor):
            if row.key == key:
                return row
        raise ModelNotFound(f"There is no model {key[:80]!r}.", hint="GET /api/models/ lists what there is.")

    async def _is_at_work(self, key: str) -> bool:
        """Whether a job runs with this model, or a worker is about to for somebody."""
        jobs = await self._queue.active(JobKind.IMAGE_GENERATE)
        running = (job.request.get("resolved", {}).get("model") for job in jobs if job.status == JobStatus.RUNNING)
        busy = (spec.model for spec, use in self._pool.running_briefly().values() if use in {Use.STARTING, Use.BUSY})
        return key in {*running, *busy}

    def _own(self, actor: Actor, row: ModelRow) -> None:
        if not actor.owns(row.owner_id):
            words = Said(f"There is no model {row.key!r} of yours.", "model.not_yours", model=row.key)
            raise ModelNotFound(words, hint="It is shared with you by its owner.")

    def _announce(self) -> None:
        self._bus.publish(ModelsChanged(), key="models")

    def _columns_of(self, found: Probe) -> dict[str, Any]:
        """A probe as columns."""
        makes_pictures = found.task == "image" and found.type == "base_model"
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
            "defaults": image_defaults(found.family).model_dump() if makes_pictures else {},
            "limits": image_limits(found.family).model_dump() if makes_pictures else {},
        }


_SHOWN = (
    *("key", "name", "task", "type", "family", "source", "description", "license", "size_bytes"),
    *("dtype", "parameters", "base", "repo", "commit", "tags", "pinned"),
)


def _is_runnable(row: ModelRow) -> bool:
    return bool(row.engine) and row.type != "lora" and row.pipeline != "single_file"


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


def _free_key(path: Path, taken: set[str]) -> str:
    """A key from the file's name that nobody has yet: `My Model.safetensors` -> `my-model`, then `my-model-2`."""
    plain = re.sub(r"[^a-z0-9._]+", "-", _stem(path).lower()).strip("-._")[:90] or "model"
    candidates = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(key for key in candidates if key not in taken)


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
    return {
        "key": card["key"],
        "name": card["name"],
        "engine": card["engine"],
        "source": "embedded",
        "path": card["path"],
        "description": card["description"],
        "license": card["license"],
        "shared": True,
        "defaults": ImageDefaults(**card["defaults"]).model_dump(),
        "limits": ImageLimits(**card["limits"]).model_dump(),
        "tags": card.get("tags", []),
    }
