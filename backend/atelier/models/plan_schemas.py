"""Wire shapes of `POST /api/plan`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier.models.schemas import LeftOutOut, LoadOptions, Task
from atelier.shapes import SaidOut


class PlanIn(BaseModel):
    """A load or a generation that is only thought of. What is left out is as it would be with a real request."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model": "creatures", "width": 384, "height": 384, "num_outputs": 4}]},
    )

    model: str = Field(
        min_length=1,
        max_length=200,
        description="Key of a model, also of one that is being downloaded or that the catalogue offers.",
    )
    task: Task | None = Field(None, description="The model's own when left out.")
    width: int | None = Field(None, ge=8, le=8192, description="Pixels.")
    height: int | None = Field(None, ge=8, le=8192, description="Pixels.")
    num_outputs: int = Field(1, ge=1, le=64, description="How many pictures.")
    steps: int | None = Field(None, ge=1, le=1000)
    context: int | None = Field(None, ge=1, le=10_000_000, description="Tokens, of a language model.")
    batch: int | None = Field(None, ge=1, le=1024, description="Pictures or requests at the same time.")
    options: LoadOptions | None = None
    gpu_device_ids: list[int] | None = Field(None, min_length=1, max_length=64)


class BandOut(BaseModel):
    """What to expect, and between what."""

    low: float
    expected: float
    high: float


class PartsOut(BaseModel):
    """What the formulas say before measurements correct them. Bytes on each device."""

    framework: int = Field(description="Of a worker without a model.")
    weights: int
    activations: int = Field(description="What a run needs besides, at its peak.")
    cache: int = Field(description="Keys and values of a language model's context.")


class GoesOut(BaseModel):
    """A worker that is in the way."""

    worker_id: str
    model: str
    deed: Literal["stop", "park", "yield", "wait"] = Field(
        description="`stop` and `park`: it is idle and would give way. `yield`: it would step aside at its next step. "
        "`wait`: it is not disturbed."
    )
    frees_bytes: int = Field(description="On each of its devices.")
    reason: str
    said: SaidOut | None = None


RemedyId = Literal[
    "half_precision",
    "fp8",
    "fp8_cache",
    "int8",
    "slicing",
    "tiling",
    "offload",
    "smaller_batch",
    "smaller_picture",
    "shorter_context",
    "another_device",
    "more_devices",
    "combination",
]
Fit = Literal["now", "after", "wait", "never"]
ToldBy = Literal["files", "hub", "catalogue"]


class StepOut(BaseModel):
    """One of what is done together."""

    message: str
    said: SaidOut | None = None


class RemedyOut(BaseModel):
    """Something that would make it smaller, or fit."""

    id: RemedyId
    message: str
    said: SaidOut | None = None
    steps: list[StepOut] = Field(
        [], description="What a `combination` consists of. There are some where nothing would be enough alone."
    )
    change: dict[str, Any] = Field(description="What to send instead, as fields of this request.")
    saves_bytes: int = Field(description="On each device.")
    bytes: BandOut = Field(description="What it would take of each device then, as the answer to that request says.")
    fit: Fit = Field(description="Whether it would fit then.")
    enough: bool = Field(
        description="With this alone it fits now, or comes nearer to that: from `never` to `wait`, to `after`, to "
        "`now`."
    )


class PlanOut(BaseModel):
    """Whether it would fit, and what it would take."""

    model: str
    fit: Fit = Field(
        description="`after`: once idle models have given way. `wait`: in line, for models at work, pinned ones or "
        "other programs. `never`: not even on an empty device."
    )
    message: str
    said: SaidOut | None = Field(None, description="Which sentence `message` is.")
    told_by: ToldBy = Field(
        description="What the estimate knows the model by: its files; for one that is not here what the hub said of it "
        "when its download was asked for, or the catalogue. Without files the band is wider."
    )
    loaded: bool = Field(description="A worker holds the model already.")
    worker_id: str | None
    devices: list[str] = Field(description="Where it would be: `cuda:0`.")
    bytes: BandOut = Field(description="Memory on each device at its peak.")
    bytes_leased: int = Field(description="What it would lease on each device: the high end, if the device has that.")
    parts: PartsOut
    measurements: int = Field(description="How many loads and runs the estimate has learned from.")
    load_seconds: BandOut | None = Field(description="Null when it is loaded already, or when nothing is known.")
    run_seconds: BandOut | None = Field(description="Null as long as no run of it was measured.")
    seconds: BandOut | None = Field(description="Both together; null when one is not known.")
    makes_room: list[GoesOut] = Field(description="Who would give way or is waited for, and why.")
    left_out: list[LeftOutOut] = Field(
        [],
        description="Load options that it would go without: what the last load with them lacked, and before the first "
        "one what is known of this machine.",
    )
    remedies: list[RemedyOut] = Field(
        description="What would make it smaller: those that are `enough` first, then by what they save. Of each the "
        "least change that is enough, or a first step where none is."
    )
