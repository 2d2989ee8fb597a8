"""Pictures enlarged by an upscaler alone, without a model that draws."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from engines import protocol

from atelier.access.actor import Actor
from atelier.images.finishing import Gone, JobFailed, hung_up, unless_gone
from atelier.images.making import GenerationFailed
from atelier.images.upscalers import named, upscaler_file, upscalers_of
from atelier.jobs.queue import queue_full
from atelier.models.registry import ModelRegistry
from atelier.models.sizing import Sizing
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerSpec
from atelier.shapes import ErrorOut
from atelier.tables import ModelRow

MOST_AT_ONCE = 32
"""Pictures that are enlarged or wait for it: they stand in no line of jobs, whose length is bounded."""


class Enlarger:
    """On workers that hold nothing else."""

    def __init__(self, registry: ModelRegistry, sizing: Sizing, pool: WorkerPool) -> None:
        self._registry, self._sizing, self._pool = registry, sizing, pool
        self._under_way = 0

    async def rows(self, actor: Actor) -> list[ModelRow]:
        """The upscalers that are here."""
        return await upscalers_of(actor, self._registry)

    async def find(self, actor: Actor, name: str) -> ModelRow | None:
        """The one that is called so: by key, name or the file's name, in any case."""
        return await named(actor, name, self._registry)

    def path_of(self, row: ModelRow) -> Path:
        return self._registry.path_of(row)

    async def enlarge(
        self,
        row: ModelRow,
        source: Path,
        target: Path,
        *,
        width: int,
        height: int,
        crop: bool = False,
        gone: Gone | None = None,
    ) -> None:
        """Write `source` (a PNG of ours) to `target` at this size. Raises TooManyJobs, ModelNotFound, JobFailed with
        the engine's own error, and what a lease raises; Conflict once `gone` says that the client has hung up, which
        ends the wait or the run."""
        if self._under_way >= MOST_AT_ONCE:
            raise queue_full(MOST_AT_ONCE, "Try again in a few seconds.")
        self._under_way += 1
        try:
            file = await asyncio.to_thread(upscaler_file, row, self._registry)
            spec = self._sizing.upscaler_spec(row, file, width * height)
            task = protocol.Enlarge(
                task_id=f"enlarge-{target.stem}",
                source=str(source),
                target=str(target),
                width=width,
                height=height,
                crop=crop,
            )
            await self._run(spec, task, gone)
        finally:
            self._under_way -= 1

    async def _run(self, spec: WorkerSpec, task: protocol.Enlarge, gone: Gone | None) -> None:
        stopping: asyncio.Task[None] | None = None
        async with contextlib.AsyncExitStack() as stack:
            worker = await unless_gone(stack.enter_async_context(self._pool.lease(spec)), gone)
            updates = await stack.enter_async_context(contextlib.aclosing(worker.run(task)))
            async for update in updates:  # one a second at least
                if stopping is None and gone is not None and await gone():
                    stopping = asyncio.create_task(worker.cancel(task.task_id))
                match update:
                    case protocol.Done():
                        return
                    case protocol.Failed():
                        raise JobFailed(ErrorOut.of(GenerationFailed(update)))
                    case protocol.Cancelled():
                        raise hung_up()
        raise GenerationFailed(protocol.Failed(code="no_result", message="The engine ended without a result."))
