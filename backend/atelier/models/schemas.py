"""Wire shapes of models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ImageDefaults(BaseModel):
    """What a request gets that does not say otherwise."""

    steps: int = Field(ge=1, le=200)
    guidance_scale: float = Field(ge=0, le=30)
    width: int
    height: int
    scheduler: str | None = None


class ImageLimits(BaseModel):
    """Sides in pixels; each must be a multiple of `multiple`."""

    min_side: int
    max_side: int
    multiple: int


class ModelOut(BaseModel):
    """Weights that Atelier knows about, and what they can do."""

    key: str
    name: str
    category: Literal["image", "video", "chat", "speech"]
    type: Literal["base_model", "lora", "fine_tune"]
    family: str
    source: Literal["embedded", "hub", "trained", "imported"]
    description: str
    license: str
    size_bytes: int
    bytes_needed: int = Field(description="Memory that a worker with this model is expected to take.")
    defaults: ImageDefaults
    limits: ImageLimits
    tags: list[str]
    available: bool = Field(description="False when its files are missing.")


class ModelList(BaseModel):
    items: list[ModelOut]


class SchedulerOut(BaseModel):
    id: str
    name: str


class SchedulerList(BaseModel):
    items: list[SchedulerOut]
