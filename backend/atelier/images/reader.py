"""The server's side of `engines.picture_reader`: asks a process with Pillow to look at pictures or to write them anew.

The server never decodes a picture. A few run at once; a task of an ordinary photo takes some hundredths of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from engines import protocol

from atelier.clock import new_id
from atelier.errors import InputRefused
from atelier.runtime.engines import EngineName
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerSpec
from atelier.said import Said

AT_ONCE = 2
IDLE_SECONDS = 300.0
MAX_PIXELS = 50_000_000
"""Of a picture that is sent, and of one that is made of it."""


class PictureReader:
    """Answers what `protocol.PictureTask` says. Raises InputRefused for pictures that are not taken."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._lanes: asyncio.Queue[int] = asyncio.Queue()
        for lane in range(AT_ONCE):
            self._lanes.put_nowait(lane)

    async def read(self, source: Path, target: Path | None = None, **how: Any) -> dict[str, Any]:
        """Look at a picture, or write it anew to `target`. `how`: fields of `protocol.ReadPicture`."""
        return await self._ask(
            protocol.ReadPicture(
                task_id=new_id("read"), source=str(source), target=str(target or ""), max_pixels=MAX_PIXELS, **how
            )
        )

    async def metadata(self, source: Path) -> dict[str, Any]:
        """What a file says of itself: see `protocol.ReadMetadata`."""
        return await self._ask(protocol.ReadMetadata(task_id=new_id("read"), source=str(source), max_pixels=MAX_PIXELS))

    async def compare(self, one: Path, other: Path) -> dict[str, Any]:
        """How far two pictures are apart: see `protocol.ComparePictures`."""
        return await self._ask(
            protocol.ComparePictures(task_id=new_id("read"), source=str(one), other=str(other), max_pixels=MAX_PIXELS)
        )

    async def draw_sheet(
        self, sources: list[str], target: Path, thumbnail: Path, *, grid: dict[str, Any], recipe: dict[str, Any]
    ) -> dict[str, Any]:
        """Many pictures on one sheet, which says in itself what it is: see `protocol.DrawSheet`."""
        return await self._ask(
            protocol.DrawSheet(
                task_id=new_id("read"),
                sources=sources,
                target=str(target),
                thumbnail=str(thumbnail),
                columns=grid["columns"],
                x=grid["labels"]["x"],
                y=grid["labels"]["y"],
                recipe=recipe,
                max_pixels=MAX_PIXELS,
            )
        )

    async def extend(self, source: Path, target: Path, mask: Path, **sides: int) -> dict[str, Any]:
        """A canvas and its mask, for painting beyond a picture's edges: see `protocol.ExtendCanvas`."""
        return await self._ask(
            protocol.ExtendCanvas(
                task_id=new_id("read"),
                source=str(source),
                target=str(target),
                mask=str(mask),
                max_pixels=MAX_PIXELS,
                **sides,
            )
        )

    async def _ask(self, task: protocol.PictureTask) -> dict[str, Any]:
        lane = await self._lanes.get()
        spec = WorkerSpec(
            engine=EngineName.PICTURE_READER,
            model=f"pictures-{lane}",
            model_path=Path("/"),
            ttl_seconds=IDLE_SECONDS,
        )
        try:
            async with self._pool.lease(spec) as worker, contextlib.aclosing(worker.run(task)) as updates:
                async for update in updates:
                    match update:
                        case protocol.Done():
                            return update.answer
                        case protocol.Failed():
                            raise _refused(update)
        finally:
            self._lanes.put_nowait(lane)
        raise _refused(
            protocol.Failed(code="no_result", message="The engine ended without a result.", hint="Try again.")
        )


def _refused(update: protocol.Failed) -> InputRefused:
    said = Said(update.message, update.sentence_code, **update.params)
    return InputRefused(said, code=update.code, hint=update.hint)
