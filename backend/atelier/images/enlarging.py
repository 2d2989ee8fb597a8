"""Pictures enlarged by an upscaler alone, without a model that draws."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from engines import protocol

from atelier.access.actor import Actor
from atelier.errors import Conflict
from atelier.images.finishing import Gone
from atelier.images.making import GenerationFailed
from atelier.images.upscalers import named, upscaler_file, upscalers_of
from atelier.models.registry import ModelRegistry
from atelier.models.sizing import Sizing
from atelier.runtime.pool import WorkerPool
from atelier.said import Said
from atelier.tables import ModelRow


class Enlarger:
    """On workers that hold nothing else."""

    def __init__(self, registry: ModelRegistry, sizing: Sizing, pool: WorkerPool) -> None:
        self._registry, self._sizing, self._pool = registry, sizing, pool

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
        """Write `source` (a PNG of ours) to `target` at this size. Raises ModelNotFound, GenerationFailed, and what a
        lease raises; Conflict once `gone` says that the client has hung up, which ends the run."""
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
        stopping: asyncio.Task[None] | None = None
        async with self._pool.lease(spec) as worker, contextlib.aclosing(worker.run(task)) as updates:
            async for update in updates:  # one a second at least
                if stopping is None and gone is not None and await gone():
                    stopping = asyncio.create_task(worker.cancel(task.task_id))
                match update:
                    case protocol.Done():
                        return
                    case protocol.Failed():
                        raise GenerationFailed(update)
                    case protocol.Cancelled():
                        words = Said("The client hung up, so its job was cancelled.", "job.client_gone")
                        raise Conflict(words, hint="Stay connected, or ask for a job at /api/generate.")
        raise GenerationFailed(protocol.Failed(code="no_result", message="The engine ended without a result."))
