"""Grids: the same request with two of its fields varied, as one job. The handler of `image.grid` jobs.

ask ──> every cell decided and checked ──> job row ──> one run for each cell ──> the sheet drawn by the picture reader
    ──> files in their place ──> rows of cells and sheet, and the job's end, in one transaction

Cells are pictures like any other, in reading order; the sheet, with the values at its edges, comes after them and says
in its recipe what it is.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines import protocol
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from atelier.access.actor import Actor, Role
from atelier.clock import new_id, now
from atelier.db import after_commit
from atelier.errors import AtelierError, BadRequest
from atelier.events import EventBus, ImagesAdded
from atelier.images import additions
from atelier.images.grid_schemas import MAX_CELLS, AxisIn, GridIn
from atelier.images.inputs import InputStore
from atelier.images.schemas import MAX_SEED, AcceptedOut, ImageToImageIn, LoraIn, TextToImageIn
from atelier.images.service import ImageService, row_of
from atelier.images.tasks import task_of
from atelier.jobs.attempt import Attempt, Publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.runner import Stopped
from atelier.jobs.service import JobService
from atelier.models.registry import ModelRegistry
from atelier.said import Said
from atelier.shapes import ImageOut, PreviewOut
from atelier.storage import Storage
from atelier.tables import ImageRow, JobKind

SHEET = "sheet.png"
SHEET_THUMBNAIL = "sheet.thumb.webp"


@dataclass(frozen=True)
class _Point:
    """One value of an axis: what it is called, and where in the request it stood."""

    field: str
    value: str | int | float
    label: str


class GridService:
    """Asks for grids, and makes them."""

    def __init__(
        self,
        storage: Storage,
        registry: ModelRegistry,
        queue: JobQueue,
        jobs: JobService,
        bus: EventBus,
        inputs: InputStore,
        images: ImageService,
    ) -> None:
        self._storage, self._registry, self._queue, self._jobs = storage, registry, queue, jobs
        self._bus, self._inputs, self._images = bus, inputs, images

    async def ask(self, actor: Actor, wanted: GridIn, idempotency_key: str | None = None) -> AcceptedOut:
        """Accepted means kept. Raises BadRequest that names the axis and the value, TooManyJobs, Conflict."""
        axes = {"x": _points(wanted.x, "x"), "y": _points(wanted.y, "y") if wanted.y else [None]}
        if len(axes["x"]) * len(axes["y"]) > MAX_CELLS:
            words = Said(f"A grid has {MAX_CELLS} pictures at most.", "grid.too_many_cells", limit=MAX_CELLS)
            raise BadRequest(words, field="x.values", hint="Take fewer values.")
        # One seed for all: what differs between two cells is what the axes say.
        base = wanted.request.model_dump(exclude_unset=True) | {"num_outputs": 1}
        base |= wanted.start.model_dump() if wanted.start else {}
        if wanted.request.seed is None:
            base["seed"] = secrets.randbelow(MAX_SEED + 1)
        cells = []
        for y in axes["y"]:
            for x in axes["x"]:
                cells.append(await self._cell(actor, base, wanted, [(a, p) for a, p in (("x", x), ("y", y)) if p]))
        labels = {axis: [point.label for point in points if point] for axis, points in axes.items()}
        request = {**wanted.model_dump(exclude_unset=True), "prompt": wanted.request.prompt, "cells": cells}
        request |= {"columns": len(axes["x"]), "labels": labels, "resolved": {**cells[0], "num_outputs": len(cells)}}
        title = f"Grid: {wanted.request.prompt}"
        job = NewJob(JobKind.IMAGE_GRID, actor.id, title, request, idempotency_key=idempotency_key)
        row = await self._queue.submit(job)
        return AcceptedOut(job_id=row.id, status=row.status, position=await self._jobs.position(row.id))

    async def _cell(
        self, actor: Actor, base: dict[str, Any], wanted: GridIn, points: list[tuple[str, _Point]]
    ) -> dict[str, Any]:
        """Everything decided for one cell. Raises BadRequest and NotFound that name the value, or else the request."""
        fields = base
        for axis, point in points:
            fields = _put(fields, getattr(wanted, axis), point)
        try:
            kind = ImageToImageIn if wanted.start else TextToImageIn
            return (await self._images.decide(actor, kind.model_validate(fields)))[1]
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            said = f"{name}: {first['msg']} (got {first['input']!r})"
            words = Said(said, "grid.value_refused", name=name, reason=first["msg"])
            raise BadRequest(words, field=_guilty(wanted, points, name), hint="Correct this value.") from None
        except AtelierError as error:
            error.blame("")
            error.in_words_of({name: _guilty(wanted, points, name) for name in error.fields})
            raise

    # ── making ──

    async def run(self, attempt: Attempt) -> Publish:
        """The handler. Raises what making a picture raises."""
        request, job = attempt.job.request, attempt.job
        cells: list[dict[str, Any]] = request["cells"]
        folder = await asyncio.to_thread(self._storage.make_attempt_folder, job.id, job.attempt)
        total = sum(cell["steps"] for cell in cells)
        attempt.progress(0, total)
        made: list[tuple[protocol.File, ImageRow]] = []
        done_steps = 0
        for index, cell in enumerate(cells):
            if attempt.stop.is_set():
                raise Stopped
            place = folder / f"cell{index}"
            await asyncio.to_thread(place.mkdir)
            made.append(await self._make(attempt, cell, index, place, (done_steps, total)))
            done_steps += cell["steps"]
        sheet = await self._sheet(attempt, folder, made)
        moves = [
            (folder / f"cell{index}" / Path(name).name, f"{index}.{end}")
            for index, (file, row) in enumerate(made)
            for name, end in ((file.path, row.format), (file.thumbnail, "thumb.webp"))
        ]
        last = len(cells)
        moves += [(folder / SHEET, f"{last}.png"), (folder / SHEET_THUMBNAIL, f"{last}.thumb.webp")]
        await asyncio.to_thread(self._images.put_in_place, job.id, moves)
        rows = [*(row for _, row in made), sheet]

        async def publish_rows(session: AsyncSession) -> None:
            session.add_all(rows)
            await session.flush()
            images = [ImageOut.of(row) for row in rows]
            self._jobs.publish_images(job.id, images)
            event = ImagesAdded(job_id=job.id, images=images)
            after_commit(session, lambda: self._bus.publish(event, owner=job.owner_id))

        return publish_rows

    async def _make(
        self, attempt: Attempt, cell: dict[str, Any], index: int, folder: Path, steps: tuple[int, int]
    ) -> tuple[protocol.File, ImageRow]:
        owner = Actor(attempt.job.owner_id, "", Role.USER)
        model = await self._registry.require(owner, cell["model"], "image")
        uses = await additions.uses_of(owner, cell, self._registry)
        part: Any = _Part(attempt, cell, index, steps)
        task = await task_of(part, model, folder, self._inputs, uses)
        done = await self._images.maker.make(part, model, task)
        file = done.files[0]
        await asyncio.to_thread(self._images.check_files, folder, done.files)
        return file, row_of(part, model, file, cell, index)

    async def _sheet(self, attempt: Attempt, folder: Path, made: list[tuple[protocol.File, ImageRow]]) -> ImageRow:
        request = attempt.job.request
        sources = [str(folder / f"cell{index}" / Path(made[index][0].path).name) for index in range(len(made))]
        names = {axis: request[axis]["field"] for axis in ("x", "y") if request.get(axis)}
        first = made[0][1]
        grid = {"x": names["x"], "y": names.get("y"), "labels": request["labels"], "columns": request["columns"]}
        told = {**first.recipe, "grid": grid}
        answer = await self._inputs.reader.draw_sheet(
            sources, folder / SHEET, folder / SHEET_THUMBNAIL, grid=grid, recipe=told
        )
        return ImageRow(
            id=new_id("img"), owner_id=attempt.job.owner_id, job_id=attempt.job.id, index=len(made), format="png",
            width=answer["width"], height=answer["height"], bytes=answer["bytes"], sha256=answer["sha256"],
            seed=first.seed, model=first.model, prompt=first.prompt, recipe=told,
            kind="image", parent_id=first.parent_id, created_at=now(),
        )  # fmt: skip


class _Part:
    """An attempt as one of its cells sees it: with the cell's request, and its steps counted among all."""

    def __init__(self, attempt: Attempt, cell: dict[str, Any], index: int, steps: tuple[int, int]) -> None:
        self._attempt, self._index, self._steps = attempt, index, steps
        self.job = replace(attempt.job, request={"resolved": cell})
        self.stop, self.waits = attempt.stop, attempt.waits
        self.joins, self.mates = None, 1

    def leave_lane(self) -> None:
        """Not yet: other cells follow."""

    def progress(
        self, step: int, total: int, message: str | None = None, previews: list[PreviewOut] | None = None
    ) -> None:
        shown = [preview.model_copy(update={"index": self._index}) for preview in previews or []]
        before, of = self._steps
        self._attempt.progress(min(of, before + step), of, message, shown)


def _points(axis: AxisIn, name: str) -> list[_Point]:
    words = {"prompt_sr": "", "prompt": "", "negative_prompt": "", "lora_weight": f"{axis.lora} "}
    before = words.get(axis.field, f"{axis.field.replace('_', ' ')} ")
    return [_Point(f"{name}.values.{at}", value, f"{before}{value}") for at, value in enumerate(axis.values)]


def _guilty(wanted: GridIn, points: list[tuple[str, _Point]], name: str) -> str:
    """Where in the request for a grid the field `name` of a cell comes from."""
    changes = {"prompt_sr": "prompt", "lora_weight": "loras"}
    for axis, point in reversed(points):
        field = getattr(wanted, axis).field
        if name.partition(".")[0] == changes.get(field, field):
            return point.field
    if wanted.start is not None and name in type(wanted.start).model_fields:
        return f"start.{name}"
    return f"request.{name}".removesuffix(".")


def _put(fields: dict[str, Any], axis: AxisIn, point: _Point) -> dict[str, Any]:
    """The request with one value in its place. Raises BadRequest when a prompt has not the words to replace."""
    if axis.field == "prompt_sr":
        search = str(axis.values[0])
        if search not in fields["prompt"]:
            words = Said(f"The prompt does not hold {search!r}.", "grid.words_missing", words=search)
            raise BadRequest(words, field=point.field, hint="The first value is what the others take the place of.")
        return fields | {"prompt": fields["prompt"].replace(search, str(point.value))}
    if axis.field == "lora_weight":
        others = [lora for lora in fields.get("loras", []) if lora["model"] != axis.lora]
        try:
            lora = LoraIn(model=axis.lora or "", weight=point.value).model_dump()
        except ValidationError as error:
            first = error.errors()[0]
            words = Said(f"{first['msg']}", "grid.value_refused", name="lora_weight", reason=first["msg"])
            raise BadRequest(words, field=point.field, hint="Correct this value.") from None
        return fields | {"loras": [*others, lora]}
    return fields | {axis.field: point.value}
