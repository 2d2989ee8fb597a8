"""Will it fit, where, how long will it take, and what could be done about it? Starts nothing.

The answer comes from the same functions that decide when it is meant: `Sizing.need` and `placement.plan`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from atelier.access.actor import Actor
from atelier.errors import BadRequest
from atelier.models.chat_engines import CHAT_TASKS
from atelier.models.estimate import TYPE_BYTES, Band, Work, parts
from atelier.models.learning import Learning
from atelier.models.plan_schemas import BandOut, GoesOut, PartsOut, PlanIn, PlanOut, RemedyOut
from atelier.models.registry import ModelRegistry
from atelier.models.schemas import LEAST_CONTEXT, LeftOutOut, LoadOptions
from atelier.models.sizing import Need, Sizing, check_devices
from atelier.runtime import placement
from atelier.runtime.abilities import ABILITIES
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.ledger import Ledger
from atelier.runtime.line import never_fits
from atelier.runtime.placement import Use
from atelier.runtime.pool import WorkerPool
from atelier.runtime.waiting import DOING, gigabytes, in_the_way
from atelier.said import Said
from atelier.shapes import SaidOut
from atelier.tables import ModelRow


class Planner:
    """Answers `POST /api/plan`."""

    def __init__(self, registry: ModelRegistry, sizing: Sizing, pool: WorkerPool) -> None:
        self._registry, self._sizing, self._pool = registry, sizing, pool

    async def plan(self, actor: Actor, wanted: PlanIn) -> PlanOut:
        """Raises ModelNotFound, BadRequest for another task than the model's and for unknown devices."""
        row = await self._registry.find(actor, wanted.model)
        if wanted.task not in (None, row.task):
            words = Said(
                f"{row.key} is a model for the task {row.task}.", "plan.other_task", model=row.key, task=row.task
            )
            raise BadRequest(words, field="task", hint="Leave it out.")
        ledger = self._pool.ledger
        check_devices(wanted.gpu_device_ids or [], list(ledger.devices))
        options = self._options(row, wanted)
        work = await asyncio.to_thread(self._work, row, wanted)
        steps = wanted.steps or int((row.defaults or {}).get("steps", 1))
        need = await asyncio.to_thread(
            self._sizing.need, row, work, steps=steps, outputs=wanted.num_outputs, options=options
        )
        return self._answer(row, need, options, ledger)

    # ── the question ──

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

    def _answer(self, row: ModelRow, need: Need, options: LoadOptions, ledger: Ledger) -> PlanOut:
        # A load with other options ends the model's own worker first: it is in nobody's way.
        own = {id_ for id_, (spec, use) in ledger.briefly().items() if spec.model == row.key and use is not Use.BUSY}
        running = [w for w in ledger.running() if w.id not in own or w.key == need.spec.key]
        mine = next((w for w in running if w.key == need.spec.key and w.use is not Use.LEAVING), None)
        step = self._step(need, running, mine, ledger)
        fit, devices, words = _fit(step, need, ledger)
        loaded = mine is not None and mine.use in (Use.IDLE, Use.BUSY)
        load = None if loaded else need.load_seconds
        return PlanOut(
            model=row.key,
            fit=fit,
            message=words,
            said=SaidOut.of(words),
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
            makes_room=_goes(step, ledger),
            left_out=[
                LeftOutOut(message=words, said=SaidOut.of(words))
                for words in self._sizing.goes_without(row, need, options)
            ],
            remedies=_remedies(need, options, ledger, self._sizing.learning),
        )

    def _step(
        self, need: Need, running: list[placement.Running], mine: placement.Running | None, ledger: Ledger
    ) -> placement.Plan:
        """As `decisions.decide` would, for this request alone."""
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


def _remedies(need: Need, options: LoadOptions, ledger: Ledger, learning: Learning) -> list[RemedyOut]:
    """What would make it smaller, the largest saving first: sized as the need itself was, and where another type of
    weights has not been measured, by the formulas."""
    found: list[RemedyOut] = []

    def add(words: Said, change: dict[str, Any], id_: str = "", as_: str = need.dtype, **other: Any) -> None:
        held = {name: other.pop(name, value) for name, value in need.held.items()}
        over, kind = other.pop("over", need.spec.spread), need.subject.device_kind
        sized = parts(need.anatomy, replace(need.work, **other), kind=kind, dtype=as_, devices=over, **held)
        if as_ == need.dtype and held == need.held and over == need.spec.spread:
            saved = round(need.bytes.expected - learning.bytes(need.subject, sized).expected)
        else:
            saved = need.parts.total - sized.total
        if saved > 0:
            found.append(_remedy(words, change, saved, id_))

    def enough(**other: int) -> bool:
        """Whether work changed so would fit the devices when they are empty."""
        work = replace(need.work, **other)
        over, kind = need.spec.spread, need.subject.device_kind
        sized = parts(need.anatomy, work, kind=kind, dtype=need.dtype, devices=over, **need.held)
        room = sorted(d.budget_bytes for d in ledger.devices.values() if d.index in (need.spec.devices or [d.index]))
        return len(room) >= over and learning.bytes(need.subject, sized).high <= room[-over]

    if TYPE_BYTES[need.dtype] > 2 and not need.anatomy.quantized_bytes:
        words = Said("Load it in half precision.", "remedy.half_precision")
        add(words, {"options": {"dtype": "bfloat16"}}, as_="bfloat16")
    if need.anatomy.task in ("image", "video"):
        _of_pictures(need, options, add, enough)
    elif need.anatomy.task in CHAT_TASKS:
        _of_chat(need, [device.index for device in ledger.devices.values() if device.kind == "cuda"], add)
    found.sort(key=lambda remedy: -remedy.saves_bytes)
    return found + _elsewhere(need, options, ledger)


def _of_pictures(need: Need, options: LoadOptions, add: Callable[..., None], enough: Callable[..., bool]) -> None:
    work = need.work
    if options.weights == "none":
        for name, words in (
            ("fp8", Said("Load its denoiser in 8 bits (fp8).", "remedy.fp8")),
            ("int8", Said("Load its denoiser in 8 bits (int8).", "remedy.int8")),
        ):
            add(words, {"options": {"quantization": name}}, quantization=name)
    if work.batch > 1:
        half = work.batch // 2
        text = f"Make {half} at once instead of {work.batch}."
        add(Said(text, "remedy.smaller_batch", batch=half, now=work.batch), {"options": {"batch": half}}, batch=half)
    if work.width > 64 and work.height > 64:
        size = _smaller(work, enough)
        text = f"Make it {size['width']} × {size['height']} pixels."
        add(Said(text, "remedy.smaller_picture", width=size["width"], height=size["height"]), size, **size)
    if need.subject.device_kind == "cuda" and need.held["offload"] == "none":
        text = "Keep its parts in the machine's memory and move each to the device when it is needed; slower."
        add(Said(text, "remedy.offload"), {"options": {"offload": "model"}}, offload="model")


def _of_chat(need: Need, gpus: list[int], add: Callable[..., None]) -> None:
    if not need.spec.engine:
        return
    work, engine = need.work, EngineName(need.spec.engine)
    able, more = ABILITIES[engine], need.spec.spread * 2
    if able.fp8_weights and need.anatomy.linear and need.held["quantization"] == "none":
        words = Said("Load its weights in 8 bits (fp8).", "remedy.fp8_weights")
        add(words, {"options": {"quantization": "fp8"}}, "fp8", quantization="fp8")
    if able.fp8_cache and need.held["kv_cache"] == "none":
        words = Said("Keep keys and values in 8 bits (fp8).", "remedy.fp8_cache")
        add(words, {"options": {"kv_cache": "fp8"}}, kv_cache="fp8")
    if ENGINES[engine].spreads and len(gpus) >= more:
        words = Said(f"Spread it over {more} devices.", "remedy.more_devices", count=more)
        add(words, {"gpu_device_ids": gpus[:more]}, over=more)
    if work.batch > 1:
        half = work.batch // 2
        text = f"Allow {half} request{'s' * (half > 1)} of the whole context at once instead of {work.batch}."
        words = Said(text, "remedy.fewer_requests", count=half, now=work.batch)
        add(words, {"batch": half}, "smaller_batch", batch=half)
    if work.context > 1024:
        half = work.context // 2
        text = f"Allow {half} tokens of context."
        add(Said(text, "remedy.shorter_context", context=half), {"context": half}, context=half)


def _smaller(work: Work, enough: Callable[..., bool]) -> dict[str, int]:
    """The largest picture that fits, in steps of three quarters and multiples of 64; one step when none of them does
    or the picture fits already."""
    steps = [{"width": work.width, "height": work.height}]
    while max(steps[-1].values()) > 64:
        steps.append({name: max(64, side * 3 // 4 // 64 * 64) for name, side in steps[-1].items()})
    return next((size for size in steps[1:] if enough(**size)), steps[1])


def _remedy(words: Said, change: dict[str, Any], saved: int, id_: Any = "") -> RemedyOut:
    """`id_` where it is not the end of the sentence's code."""
    id_ = id_ or words.code.partition(".")[2]
    return RemedyOut(id=id_, message=words, said=SaidOut.of(words), change=change, saves_bytes=saved)


def _elsewhere(need: Need, options: LoadOptions, ledger: Ledger) -> list[RemedyOut]:
    """Other devices that would hold it when empty, where it is tied to some."""
    tied = options.gpu_device_ids
    if not tied:
        return []
    fitting = [d.index for d in ledger.devices.values() if d.index not in tied and d.budget_bytes >= need.bytes.high]
    found = []
    for index in fitting[:3]:
        name = ledger.devices[index].name
        words = Said(f"Use device {index} ({name}).", "remedy.another_device", device=index, name=name)
        found.append(_remedy(words, {"gpu_device_ids": [index]}, 0))
    return found


def _fit(step: placement.Plan, need: Need, ledger: Ledger) -> tuple[Any, tuple[int, ...], Said]:
    size, bytes_ = gigabytes(need.spec.bytes_needed), need.spec.bytes_needed
    match step:
        case placement.Place(devices):
            return "now", devices, Said(f"It fits: {size} are free.", "plan.now", bytes=bytes_)
        case placement.Evict(devices, workers, park):
            names = _names(workers + park, ledger)
            text = f"It fits after making room for {size}: {names} give way."
            return "after", devices, Said(text, "plan.after", bytes=bytes_, models=names)
        case placement.Yield(devices, workers, idle):
            names = _names(workers + idle, ledger)
            text = f"It waits until {names} step aside for {size}."
            return "wait", devices, Said(text, "plan.yields", bytes=bytes_, models=names)
        case placement.Wait(devices, workers) if workers:
            names = _names(workers, ledger)
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


def _names(workers: tuple[str, ...], ledger: Ledger) -> str:
    return ", ".join(ledger.slots[id_].worker.spec.model for id_ in workers if id_ in ledger.slots)


def _goes(step: placement.Plan, ledger: Ledger) -> list[GoesOut]:
    """Who gives way, and why they."""
    by_id = {worker.id: worker for worker in ledger.running()}
    return [
        GoesOut(
            worker_id=id_,
            model=ledger.slots[id_].worker.spec.model,
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
