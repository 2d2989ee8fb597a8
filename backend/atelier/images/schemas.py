"""Wire shapes of generation and of the gallery."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from atelier.shapes import ErrorOut, ImageOut
from atelier.tables import JobStatus

MAX_SEED = 2**32 - 1

# How large a picture may be is for its model to say: see `limits` of GET /api/models/.
Side = Annotated[int, Field(ge=1, le=2**31 - 1)]


class TextToImageIn(BaseModel):
    """One request for pictures. What is left out comes from the model's defaults."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"prompt": "a red dragon with wings on a blue background", "num_outputs": 2}]},
    )

    prompt: Annotated[str, Field(min_length=1, max_length=2000, description="What to draw.")]
    negative_prompt: Annotated[str, Field(max_length=2000, description="What to keep away from.")] = ""
    model: Annotated[str, Field(min_length=1, max_length=200, description="Key of an image model.")] = "creatures"
    num_outputs: Annotated[int, Field(ge=1, le=8, description="How many pictures.")] = 1
    steps: Annotated[int | None, Field(ge=1, le=200, description="Denoising steps.")] = None
    guidance_scale: Annotated[float | None, Field(ge=0, le=30, allow_inf_nan=False)] = None
    width: Annotated[Side | None, Field(description="Pixels, within the `limits` of the model.")] = None
    height: Annotated[Side | None, Field(description="Pixels, within the `limits` of the model.")] = None
    seed: Annotated[
        int | None,
        Field(ge=0, le=MAX_SEED, description="Of the first picture; the others count up. Null: chosen at random."),
    ] = None
    scheduler: Annotated[str | None, Field(max_length=50, description="A key of GET /api/schedulers.")] = None
    format: Literal["png", "webp", "jpeg"] = "png"

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise PydanticCustomError("prompt_empty", "The prompt is empty. Say what to draw.")
        return prompt


class AcceptedOut(BaseModel):
    job_id: str
    status: JobStatus
    position: int | None = Field(description="Place in the line, 1 = next.")


class GenerationOut(BaseModel):
    """How far a request for pictures is."""

    job_id: str
    status: JobStatus
    progress: float
    step: int
    total_steps: int
    images: list[ImageOut]
    error: ErrorOut | None


class GalleryPage(BaseModel):
    items: list[ImageOut]
    next_cursor: str | None = Field(description="Hand it back as `cursor` for the next page; null on the last one.")
    total: int | None = Field(
        description="How many pictures the gallery holds. On the first page of the whole gallery only; null elsewhere.",
    )


class ImageDeletedOut(BaseModel):
    id: str
    deleted_at: datetime
    restorable_until: datetime
