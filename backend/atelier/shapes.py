"""Wire shapes that more than one feature sends: what REST answers and what live events carry are the same things.

Times are ISO 8601 in UTC, sizes are bytes, durations seconds, fractions 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier.errors import AtelierError
from atelier.said import Said
from atelier.tables import ImageRow, Job, JobKind, JobStatus


class VerdictOut(BaseModel):
    """What came of making a picture again from its recipe."""

    result: Literal["same_bytes", "same_pixels", "within_one", "different"] = Field(
        description="`same_bytes`: the very same file. `within_one`: no channel of any pixel is more than one level of "
        "255 away, as of pictures that were made together with others."
    )
    most: int = Field(description="The largest difference of any channel of any pixel, in levels of 255.")
    share: float = Field(ge=0, le=1, description="Of the pixels that differ at all.")
    changed: list[str] = Field(
        description="What is not as it was then: `model` (its weights), or a library with both versions."
    )
    at: datetime


class ImageOut(BaseModel):
    """A picture or video in the gallery. A video's thumbnail is its poster."""

    id: str
    job_id: str
    index: int = Field(description="Which picture of its job, from 0.")
    url: str
    thumbnail_url: str
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    format: Literal["png", "webp", "jpeg", "mp4"]
    frames: int | None = Field(None, description="Of a video.")
    fps: float | None = Field(None, description="Frames per second of a video.")
    duration_seconds: float | None = Field(None, description="Of a video.")
    bytes: int
    sha256: str
    seed: int
    model: str
    prompt: str
    negative_prompt: str
    steps: int
    guidance_scale: float
    scheduler: str | None
    created_at: datetime
    recipe: dict[str, Any] = Field(description="Everything that made it; the same is written into the file.")
    kind: Literal["image", "video"] = "image"
    parent_id: str | None = Field(None, description="The picture of the gallery that it was made from.")
    favourite: bool = False
    rating: int = Field(0, ge=0, le=5, description="0: not rated.")
    note: str = ""
    tags: list[str] = []
    collections: list[str] = Field([], description="Ids of the collections that it is in.")
    verified: VerdictOut | None = Field(None, description="Of the last time that it was made again and compared.")

    @classmethod
    def of(cls, row: ImageRow) -> ImageOut:
        recipe = row.recipe
        frames, fps = (recipe.get("frames"), recipe.get("fps")) if row.kind == "video" else (None, None)
        return cls(
            id=row.id,
            job_id=row.job_id,
            frames=frames,
            fps=fps,
            duration_seconds=round(frames / fps, 3) if frames and fps else None,
            index=row.index,
            url=f"/api/gallery/{row.id}/file",
            thumbnail_url=f"/api/gallery/{row.id}/thumbnail",
            width=row.width,
            height=row.height,
            format=row.format,
            bytes=row.bytes,
            sha256=row.sha256,
            seed=row.seed,
            model=row.model,
            prompt=row.prompt,
            negative_prompt=recipe.get("negative_prompt", ""),
            steps=recipe.get("steps", 0),
            guidance_scale=recipe.get("guidance_scale", 0.0),
            scheduler=recipe.get("scheduler"),
            created_at=row.created_at,
            recipe=recipe,
            kind=row.kind or "image",
            parent_id=row.parent_id,
            favourite=bool(row.favourite),
            rating=row.rating or 0,
            note=row.note or "",
            tags=row.tags,
            collections=row.collections,
            verified=row.verified,
        )


class SaidOut(BaseModel):
    """Which sentence a message is, and the values that stand in it: what it takes to say it in another language."""

    code: str = Field(description="A stable word.", examples=["worker.out_of_memory"])
    params: dict[str, str | int | float]

    @classmethod
    def of(cls, text: str | None) -> SaidOut | None:
        """None for text that is no sentence of the server's own, such as a library's."""
        return cls(code=text.code, params=text.params) if isinstance(text, Said) else None


class ErrorOut(BaseModel):
    """Why something failed, in words for its user."""

    code: str
    message: str
    hint: str = ""
    said: SaidOut | None = None
    log_tail: str | None = Field(None, description="The last lines that the worker or the build printed.")

    @classmethod
    def of(cls, error: AtelierError) -> ErrorOut:
        return cls.told(error.code, error.message, error.hint, error.log_tail)

    @classmethod
    def told(cls, code: str, message: str, hint: str = "", log_tail: str | None = None) -> ErrorOut:
        return cls(code=code, message=message, hint=hint, said=SaidOut.of(message), log_tail=log_tail)


class HolderOut(BaseModel):
    """A model that has the memory somebody waits for."""

    model_config = ConfigDict(from_attributes=True)

    model: str
    bytes: int = Field(description="What it has on each of its devices.")
    doing: Literal["starting", "idle", "busy", "parking", "parked", "stopping", "pinned"]
    deed: Literal["stop", "park", "yield", "wait"] = Field(
        description="`stop` and `park`: it gives way now. `yield`: it steps aside at its next step. `wait`: it is not "
        "disturbed."
    )


class WaitingOut(BaseModel):
    """Why a job or a load has not begun or does not move."""

    reason: Literal["queue", "environment", "memory", "model"]
    message: str
    said: SaidOut | None = None
    position: int | None = Field(None, description="Place in the line that it waits in, 1 = next.")
    seconds: float | None = Field(None, description="Until it begins, from how long runs and loads took before.")
    holders: list[HolderOut] = Field([], description="Of one that waits for memory: who has it.")

    @classmethod
    def told(
        cls,
        reason: Literal["queue", "environment", "memory", "model"],
        message: str,
        position: int | None = None,
        seconds: float | None = None,
        holders: Sequence[object] = (),
    ) -> WaitingOut:
        """`holders` are like HolderOut."""
        return cls(
            reason=reason,
            message=message,
            said=SaidOut.of(message),
            position=position,
            seconds=seconds,
            holders=[HolderOut.model_validate(one) for one in holders],
        )


class JobOut(BaseModel):
    """A long piece of work: what was asked, how far it is, how it ended."""

    id: str
    kind: JobKind
    title: str
    status: JobStatus
    priority: int
    position: int | None = Field(description="Place in the line, 1 = next; null unless queued.")
    progress: float = Field(ge=0, le=1)
    step: int
    total_steps: int
    message: str | None
    said: SaidOut | None = Field(None, description="Which sentence `message` is.")
    eta_seconds: float | None
    waiting: WaitingOut | None
    attempt: int
    request: dict[str, Any]
    images: list[ImageOut]
    error: ErrorOut | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def job_out(
    row: Job,
    *,
    images: list[ImageOut] | None = None,
    position: int | None = None,
    waiting: WaitingOut | None = None,
    eta_seconds: float | None = None,
) -> JobOut:
    """The wire shape of a job row; what the row does not know is handed in."""
    status = JobStatus(row.status)
    fraction = row.step / row.total_steps if row.total_steps else 0.0
    return JobOut(
        id=row.id,
        kind=row.kind,
        title=row.title,
        status=status,
        priority=row.priority,
        position=position if status is JobStatus.QUEUED else None,
        progress=1.0 if status is JobStatus.COMPLETED else min(1.0, fraction),
        step=row.step,
        total_steps=row.total_steps,
        message=row.message,
        eta_seconds=None if status.ended else eta_seconds,
        waiting=None if status.ended else waiting,
        attempt=row.attempt,
        request=row.request,
        images=images or [],
        error=ErrorOut(**row.error) if row.error else None,
        cancel_requested=row.cancel_requested,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


class WorkerOut(BaseModel):
    """A live process that holds a model."""

    id: str
    engine: str
    model: str
    pid: int | None
    state: Literal["starting", "loading", "ready", "busy", "parked", "stopping", "stopped", "failed"]
    bytes_leased: int = Field(description="On each of its devices. A parked worker holds less: see `held_bytes`.")
    held_bytes: int = Field(0, description="What it holds now on each of its devices.")
    host_bytes: int = Field(0, description="Of a parked worker: what its weights take of the machine's memory.")
    weights_bytes: int = 0
    pinned: bool = False
    reload_seconds: float = Field(
        0.0,
        description="How long it took to load. Of idle workers the one of lowest priority leaves first, and among "
        "equals the one that is missed least: `reload_seconds` / (1 + seconds idle).",
    )
    priority: int = Field(0, description="Of the last request that it served.")
    rss_bytes: int | None
    device: str = Field(description="Kind and index of its device: `cpu:0`, `cuda:1`; the first of several.")
    devices: list[str] = []
    started_at: datetime
    idle_since: datetime | None
    message: str | None
    said: SaidOut | None = Field(None, description="Which sentence `message` is.")
    log_tail: list[str]


class EnvironmentOut(BaseModel):
    """An engine family's Python environment."""

    name: str
    hash: str
    state: Literal["missing", "building", "ready", "failed"]
    fraction: float | None
    message: str | None
    said: SaidOut | None = Field(None, description="Which sentence `message` is.")
    error: ErrorOut | None
    job_id: str | None
    packages: dict[str, str] | None


class DeviceProcessOut(BaseModel):
    """A process that holds memory of a GPU."""

    pid: int
    name: str | None = Field(description="Null for a process outside this container.")
    bytes: int | None = Field(description="Null where the driver keeps it to itself.")
    worker_id: str | None = Field(description="The worker of this Atelier that it is or belongs to.")
    model: str | None


class DeviceOut(BaseModel):
    """A GPU, or the CPU on a machine without one."""

    index: int
    kind: Literal["cpu", "cuda"]
    name: str
    total_bytes: int
    used_bytes: int
    budget_bytes: int = Field(description="What workers may lease together.")
    leased_bytes: int
    utilization: float | None = Field(description="0 to 1.")
    temperature_c: float | None
    power_w: float | None
    power_limit_w: float | None
    clock_mhz: float | None
    memory_clock_mhz: float | None
    pcie_generation: int | None = Field(description="As it runs now; idle GPUs slow their link down.")
    pcie_lanes: int | None
    ecc_errors: int | None = Field(description="Memory errors that could not be corrected, since driver start.")
    brakes: list[Literal["power", "heat", "hardware"]] = Field(description="Why it runs slower than it could.")
    shares_memory: bool = Field(description="True for a chip whose GPU uses the machine's own memory.")
    problem: str | None = Field(
        description="Why there are no figures, in the driver's words: a lost GPU, a driver being reloaded."
    )
    processes: list[DeviceProcessOut] = Field(description="Who holds its memory, largest first.")


class HostOut(BaseModel):
    cpu_percent: float = Field(description="All cores together, 0 to 100.")
    memory_used_bytes: int
    memory_total_bytes: int


class PreviewOut(BaseModel):
    """A picture as it stands, small."""

    index: int
    data_url: str
    final: bool = Field(False, description="This picture is done; others of the job are not yet.")
