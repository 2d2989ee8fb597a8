"""Will it fit, where, how long will it take, and what could be done about it? Starts nothing.

The answer comes from the same functions that decide when it is meant: `Sizing.need` and `placement.plan`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from atelier.access.actor import Actor
from atelier.errors import BadRequest, ModelNotFound
from atelier.models.chat_engines import CHAT_TASKS
from atelier.models.estimate import Band, Work
from atelier.models.outlines import Outlines
from atelier.models.plan_schemas import BandOut, Fit, GoesOut, PartsOut, PlanIn, PlanOut, RemedyOut, StepOut, ToldBy
from atelier.models.registry import ModelRegistry
from atelier.models.remedies import GRID, Idea, changed, combinations_of, ideas, saves
from atelier.models.schemas import LEAST_CONTEXT, LeftOutOut, LoadOptions
from atelier.models.sizing import Need, Sizing, check_devices
from atelier.runtime import placement
from atelier.runtime.gpu import Device
from atelier.runtime.ledger import Ledger
from atelier.runtime.line import never_fits
from atelier.runtime.placement import Use
from atelier.runtime.pool import WorkerPool
from atelier.runtime.waiting import DOING, gigabytes, in_the_way
from atelier.said import Said
from atelier.shapes import SaidOut
from atelier.tables import ModelRow

WORST_FIRST: tuple[Fit, ...] = ("never", "wait", "after", "now")
Ways = list[list[tuple[Idea, Need]]]
"""Ladders of `remedies.ideas`, each step with what it would need."""


class Planner:
    """Answers `POST /api/plan`."""

    def __init__(self, registry: ModelRegistry, sizing: Sizing, pool: WorkerPool, outlines: Outlines) -> None:
        self._registry, self._sizing, self._pool, self._outlines = registry, sizing, pool, outlines

    async def plan(self, actor: Actor, wanted: PlanIn) -> PlanOut:
        """Of a model that is here, on its way, or in the catalogue. Raises ModelNotFound, Conflict for one that no
        engine runs, BadRequest for another task than the model's and for unknown devices."""
        row, told_by = await self._find(actor, wanted.model)
        if wanted.task not in (None, row.task):
            words = Said(
                f"{row.key} is a model for the task {row.task}.", "plan.other_task", model=row.key, task=row.task
            )
            raise BadRequest(words, field="task", hint="Leave it out.")
        await asyncio.to_thread(self._registry.check_runnable, row)
        ledger = self._pool.ledger
        check_devices(wanted.gpu_device_ids or [], list(ledger.devices))
        need, ways = await asyncio.to_thread(self._size, row, wanted, list(ledger.devices.values()))
        return self._answer(actor, row, need, self._options(row, wanted), ways, told_by)

    # ── the question ──

    async def _find(self, actor: Actor, key: str) -> tuple[ModelRow, ToldBy]:
        try:
            row = await self._registry.find(actor, key)
        except ModelNotFound:
            if (offered := await asyncio.to_thread(self._outlines.of_catalogue, key)) is None:
                raise
            return offered, "catalogue"
        if row.download_job is None:
            return row, "files"
        job = await self._registry.download_job(row)
        return await asyncio.to_thread(self._outlines.of_download, row, job), "hub"

    def _size(self, row: ModelRow, wanted: PlanIn, devices: list[Device]) -> tuple[Need, Ways]:
        """What is asked for, and what would be asked for instead. Reads small files the first time."""
        need = self._need(row, wanted)
        least_side = int((row.limits or {}).get("min_side", GRID))
        can_offload = self._sizing.host_holds(need.anatomy, need.dtype)
        ladders = ideas(need, self._options(row, wanted), devices, least_side, can_offload)

        def sized(idea: Idea) -> tuple[Idea, Need]:
            return idea, self._need(row, changed(wanted, idea.change))

        ways = [[sized(idea) for idea in ladder] for ladder in ladders]
        if not any(_fits_empty(one, devices) for one in [need, *(smaller for ladder in ways for _, smaller in ladder)]):
            here = [ladder for ladder in ladders if ladder[0].id != "another_device"]
            found = combinations_of(here, lambda idea: _fits_empty(sized(idea)[1], devices))
            ways += [[sized(idea)] for idea in found]
        return need, ways

    def _need(self, row: ModelRow, wanted: PlanIn) -> Need:
        options, work = self._options(row, wanted), self._work(row, wanted)
        steps = wanted.steps or int((row.defaults or {}).get("steps", 1))
        return self._sizing.need(row, work, steps=steps, outputs=wanted.num_outputs, options=options)

    def _options(self, row: ModelRow, wanted: PlanIn) -> LoadOptions:
        options = self._sizing.options_of(row).model_dump(exclude_unset=True)
        if wanted.options is not None:
            options |= wanted.options.model_dump(exclude_unset=True)
        if wanted.gpu_device_ids is not None:
            options["gpu_device_ids"] = wanted.gpu_device_ids
        if row.task in CHAT_TASKS:  # what it is loaded for, whoever asks: see `chat_loading`
            given = {"context": wanted.context and max(wanted.context, LEAST_CONTEXT), "sequences": wanted.batch}
            options |= {name: value for name, value in given.items() if value is not None}
        return LoadOptions(**options)

    def _work(self, row: ModelRow, wanted: PlanIn) -> Work:
        usual = self._sizing.usual_work(row)
        if row.task in ("image", "video"):
            batch = wanted.batch or wanted.num_outputs
            return Work(wanted.width or usual.width, wanted.height or usual.height, batch)
        return usual

    # ── the answer ──

    def _answer(
        self, actor: Actor, row: ModelRow, need: Need, options: LoadOptions, ways: Ways, told_by: ToldBy
    ) -> PlanOut:
        ledger = self._pool.ledger
        names = _names_for(actor, ledger)
        step, mine = self._step(need, ledger)
        fit, devices, words = _fit(step, need, names)
        loaded = mine is not None and mine.use in (Use.IDLE, Use.BUSY)
        load = None if loaded else need.load_seconds
        return PlanOut(
            model=row.key,
            fit=fit,
            message=words,
            said=SaidOut.of(words),
            told_by=told_by,
            loaded=loaded,
            worker_id=mine.id if mine is not None else None,
            devices=[f"{ledger.devices[index].kind}:{index}" for index in devices],
            bytes=_band(need.bytes),
            bytes_leased=need.spec.bytes_needed,
            parts=PartsOut(
                framework=need.parts.framework,
                weights=need.parts.weights,
                activations=need.parts.activations,
                cache=need.parts.cache,
            ),
            measurements=self._sizing.learning.runs(need.subject),
            load_seconds=_seconds(load),
            run_seconds=_seconds(need.run_seconds),
            seconds=_seconds(need.run_seconds if loaded else _both(load, need.run_seconds)),
            makes_room=_goes(step, ledger, names),
            left_out=[
                LeftOutOut(message=words, said=SaidOut.of(words))
                for words in self._sizing.goes_without(row, need, options)
            ],
            remedies=self._remedies(need, fit, ways, ledger),
        )

    def _remedies(self, need: Need, fit: Fit, ways: Ways, ledger: Ledger) -> list[RemedyOut]:
        """Those that are enough first, then by what they save. Of each the gentlest step that is enough; of one that
        never is, the first."""
        found = []
        for ladder in ways:
            judged = [self._remedy(idea, need, smaller, fit, ledger) for idea, smaller in ladder]
            chosen = next((one for one in judged if one.enough), judged[0])
            if chosen.saves_bytes > 0 or (chosen.id == "another_device" and chosen.enough):
                found.append(chosen)
        return sorted(found, key=lambda remedy: (not remedy.enough, -remedy.saves_bytes))

    def _remedy(self, idea: Idea, need: Need, smaller: Need, fit: Fit, ledger: Ledger) -> RemedyOut:
        then, _, _ = _fit(self._step(smaller, ledger)[0], smaller, {})
        return RemedyOut(
            id=idea.id,
            message=idea.words,
            said=SaidOut.of(idea.words),
            steps=[StepOut(message=one.words, said=SaidOut.of(one.words)) for one in idea.of],
            change=idea.change,
            saves_bytes=saves(need, smaller),
            bytes=_band(smaller.bytes),
            fit=then,
            enough=then == "now" or WORST_FIRST.index(then) > WORST_FIRST.index(fit),
        )

    def _step(self, need: Need, ledger: Ledger) -> tuple[placement.Plan, placement.Running | None]:
        """As `decisions.decide` would, for this request alone; and the worker that has the model already."""
        spec = need.spec
        # A load with other options ends the model's own worker first: it is in nobody's way.
        own = {id_ for id_, (one, use) in ledger.briefly().items() if one.model == spec.model and use is not Use.BUSY}
        running = [w for w in ledger.running() if w.id not in own or w.key == spec.key]
        mine = next((w for w in running if w.key == spec.key and w.use is not Use.LEAVING), None)
        return self._place(need, running, mine, ledger), mine

    def _place(
        self, need: Need, running: list[placement.Running], mine: placement.Running | None, ledger: Ledger
    ) -> placement.Plan:
        spec = need.spec
        wanted = placement.Wanted(spec.key, spec.bytes_needed, 0, spec.spread, spec.devices)
        rooms = ledger.rooms()
        if mine is not None:
            if mine.use is not Use.PARKED and mine.bytes >= spec.bytes_needed:
                return placement.Place(mine.devices)
            beside = [
                replace(room, budget_bytes=room.budget_bytes - mine.held) if room.index in mine.devices else room
                for room in rooms
            ]
            more = placement.Wanted(spec.key, spec.bytes_needed - mine.held, 0, len(mine.devices), mine.devices)
            others = [w for w in running if w.id != mine.id]
            step = placement.plan(others, more, beside, host_bytes=ledger.host_room())
            if not isinstance(step, placement.Impossible):
                return step
            running = others
        return placement.plan(running, wanted, rooms, host_bytes=ledger.host_room())


def _fits_empty(need: Need, devices: list[Device]) -> bool:
    """Whether the devices that it may be on would hold it if nothing else were there."""
    spec = need.spec
    rooms = sorted(one.budget_bytes for one in devices if not spec.devices or one.index in spec.devices)
    return len(rooms) >= spec.spread and rooms[-spec.spread] >= spec.bytes_needed


def _fit(step: placement.Plan, need: Need, called: Mapping[str, str]) -> tuple[Fit, tuple[int, ...], Said]:
    size, bytes_ = gigabytes(need.spec.bytes_needed), need.spec.bytes_needed
    match step:
        case placement.Place(devices):
            return "now", devices, Said(f"It fits: {size} are free.", "plan.now", bytes=bytes_)
        case placement.Evict(devices, workers, park):
            names = _names(workers + park, called)
            text = f"It fits after making room for {size}: {names} give way."
            return "after", devices, Said(text, "plan.after", bytes=bytes_, models=names)
        case placement.Yield(devices, workers, idle):
            names = _names(workers + idle, called)
            text = f"It waits until {names} step aside for {size}."
            return "wait", devices, Said(text, "plan.yields", bytes=bytes_, models=names)
        case placement.Wait(devices, workers) if workers:
            names = _names(workers, called)
            return (
                "wait",
                devices,
                Said(f"It waits for {size} that {names} hold.", "plan.waits", bytes=bytes_, models=names),
            )
        case placement.Wait(devices):
            return (
                "wait",
                devices,
                Said(f"It waits for {size} that other programs hold.", "plan.elsewhere", bytes=bytes_),
            )
    never = never_fits(need.spec, step).message
    assert isinstance(never, Said)
    return "never", (), never


def _names_for(actor: Actor, ledger: Ledger) -> dict[str, str]:
    """What each worker's model is called, by the worker's id; somebody else's own has no name."""
    specs = {id_: slot.worker.spec for id_, slot in ledger.slots.items()}
    return {id_: spec.called(spec.owner if actor.owns(spec.owner) else "") for id_, spec in specs.items()}


def _names(workers: tuple[str, ...], called: Mapping[str, str]) -> str:
    return ", ".join(called[id_] for id_ in workers if id_ in called)


def _goes(step: placement.Plan, ledger: Ledger, called: Mapping[str, str]) -> list[GoesOut]:
    """Who gives way, and why they."""
    by_id = {worker.id: worker for worker in ledger.running()}
    return [
        GoesOut(
            worker_id=id_,
            model=called[id_],
            deed=deed,
            frees_bytes=by_id[id_].held - (by_id[id_].rest_bytes if deed == "park" else 0),
            reason=_why(by_id[id_], deed),
            said=SaidOut.of(_why(by_id[id_], deed)),
        )
        for id_, deed in in_the_way(step)
        if id_ in by_id
    ]


def _why(worker: placement.Running, deed: str) -> Said:
    if worker.pinned:
        return Said("It is pinned and stays until it is unpinned or unloaded.", "goes.pinned")
    if deed == "wait":
        return Said(f"It is {DOING[worker.use]} and is not disturbed.", "goes.undisturbed", doing=DOING[worker.use])
    idle, back = round(worker.idle_seconds), round(worker.reload_seconds, 1)
    return Said(
        f"It is the least missed: not used for {idle} s, back in {back} s.", "goes.least_missed", idle=idle, back=back
    )


def _band(band: Band) -> BandOut:
    return BandOut(low=round(band.low), expected=round(band.expected), high=round(band.high))


def _seconds(band: Band | None) -> BandOut | None:
    if band is None:
        return None
    return BandOut(low=round(band.low, 2), expected=round(band.expected, 2), high=round(band.high, 2))


def _both(one: Band | None, other: Band | None) -> Band | None:
    if one is None or other is None:
        return None
    return Band(one.low + other.low, one.expected + other.expected, one.high + other.high)
