"""Loading, unloading and parking by hand.

A load is a lease that is given back at once: it waits in the same line as everybody, in the background, and leaves an
idle worker behind. What came of it is seen in the model's state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial

import structlog

from atelier.access.actor import Actor
from atelier.errors import AtelierError, Conflict
from atelier.events import EventBus, ModelsChanged
from atelier.models.registry import ModelRegistry
from atelier.models.schemas import LoadIn, LoadOptions, ModelOut
from atelier.models.second_try import started
from atelier.models.sizing import Need, Sizing, check_devices
from atelier.models.states import ModelStates
from atelier.runtime.placement import Use
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerSpec
from atelier.runtime.waiting import Waiting, being_loaded
from atelier.runtime.worker import Worker
from atelier.said import Said
from atelier.tables import ModelRow

log = structlog.get_logger("atelier.models.loading")


class ModelLoader:
    """Owns the loads under way, one for each model."""

    def __init__(
        self, registry: ModelRegistry, sizing: Sizing, states: ModelStates, pool: WorkerPool, bus: EventBus
    ) -> None:
        self._registry, self._sizing, self._states, self._pool, self._bus = registry, sizing, states, pool, bus
        self._loads: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        for task in list(self._loads.values()):
            task.cancel()
        await asyncio.gather(*self._loads.values(), return_exceptions=True)

    async def load(self, actor: Actor, key: str, wanted: LoadIn) -> ModelOut:
        """Begin to load. A load under way goes on, but one with other options takes its place. Raises
        ModelNotFound, Conflict, BadRequest, NotEnoughMemory."""
        row = await self._registry.runnable(actor, key)
        options = self._options(row, wanted)
        if options is not None:
            await self._registry.check_options(actor, row, options)
        if options is not None and self._is_busy(key):
            raise Conflict(
                Said(f"{key} is at work and cannot be loaded with other options now.", "loading.at_work", model=key),
                hint="Wait for its run to end, or unload it with force first.",
            )
        if options is not None and not (key in self._loads and options == self._sizing.options_of(row)):
            await self._end_load(key)
            await self._stop(key)
            self._sizing.load_with(row, options)
        need = await asyncio.to_thread(self._sizing.need, row)
        there = (spec.key == need.spec.key and use in (Use.IDLE, Use.BUSY) for spec, use in self._running())
        if key not in self._loads and not any(there):
            self._states.waits(key, Waiting("model", being_loaded(key)))
            self._loads[key] = asyncio.create_task(self._load(key, need), name=f"load {key}")
        self._announce()
        return await self._registry.get(actor, key)

    async def unload(self, actor: Actor, key: str, *, force: bool = False) -> ModelOut:
        """Give its memory back. Raises ModelNotFound, Conflict while it is at work unless forced."""
        row = await self._registry.find(actor, key)
        if self._is_busy(key) and not force:
            raise Conflict(
                Said(f"{key} is at work and is not unloaded now.", "unloading.at_work", model=key),
                hint="Wait for its run to end, cancel the job, or send force; a job is then started again.",
            )
        await self._end_load(key)
        self._sizing.load_with(row, None)
        await self._stop(key)
        self._states.forget(key)
        self._announce()
        return await self._registry.get(actor, key)

    async def park(self, actor: Actor, key: str) -> ModelOut:
        """Put its weights aside, keep its process. Raises ModelNotFound, Conflict when it cannot be parked now."""
        await self._registry.find(actor, key)
        workers = self._workers(key)
        if not workers:
            words = Said(f"{key} is not loaded.", "parking.not_loaded", model=key)
            raise Conflict(words, hint="Only a loaded model can be parked.")
        for worker_id, _ in workers:
            await self._pool.park_worker(worker_id)
        self._announce()
        return await self._registry.get(actor, key)

    # ── inside ──

    async def _load(self, key: str, need: Need) -> None:
        def tell(what: Waiting) -> None:
            self._states.waits(key, what)
            self._announce()

        try:
            worker = await started(self._sizing, need, partial(self._start, tell), tell)
            log.info("models.loaded", model=key, seconds=round(worker.load_seconds, 2))
        except AtelierError as error:
            self._states.failed(key, error.message, error.log_tail)
            log.info("models.not_loaded", model=key, reason=error.message)
        finally:
            self._loads.pop(key, None)
            self._states.waits(key, None)
            self._announce()

    async def _start(self, tell: Callable[[Waiting], None], need: Need) -> Worker:
        async with self._pool.lease(need.spec, waiting=tell, run_seconds=0.0) as worker:
            self._sizing.note_load(need, worker)
        return worker

    def _options(self, row: ModelRow, wanted: LoadIn) -> LoadOptions | None:
        """The options of a load that names some; those that it leaves out stay as they are."""
        given = wanted.options.model_dump(exclude_unset=True) if wanted.options else {}
        if wanted.gpu_device_ids is not None:
            given["gpu_device_ids"] = wanted.gpu_device_ids
        if not given:
            return None
        known = self._pool.ledger.devices
        check_devices(given.get("gpu_device_ids") or [], list(known))
        return LoadOptions(**(self._sizing.options_of(row).model_dump(exclude_unset=True) | given))

    def _running(self) -> Collection[tuple[WorkerSpec, Use]]:
        return self._pool.running_briefly().values()

    def _workers(self, key: str) -> list[tuple[str, Use]]:
        running = self._pool.running_briefly().items()
        return [(id_, use) for id_, (spec, use) in running if spec.model == key and use is not Use.LEAVING]

    def _is_busy(self, key: str) -> bool:
        return any(use is Use.BUSY for _, use in self._workers(key))

    async def _end_load(self, key: str) -> None:
        if (loading := self._loads.get(key)) is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)

    async def _stop(self, key: str) -> None:
        await asyncio.gather(*(self._pool.stop_worker(worker_id) for worker_id, _ in self._workers(key)))

    def _announce(self) -> None:
        self._bus.publish(ModelsChanged(), key="models")
