"""Wire shapes of grids."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from atelier.images.schemas import StartIn, TextToImageIn

MAX_CELLS = 64


class AxisIn(BaseModel):
    """What changes along one side of a grid. `prompt_sr`: the first value is searched in the prompt, each value takes
    its place. `lora_weight`: the weight of `lora`. `strength`: how much of the picture in `start` may change."""

    model_config = ConfigDict(extra="forbid")

    field: Annotated[
        Literal[
            "steps", "guidance_scale", "seed", "scheduler", "model", "width", "height", "prompt", "negative_prompt",
            "prompt_sr", "lora_weight", "strength",
        ],
        Field(description="What changes."),
    ]  # fmt: skip
    values: Annotated[
        list[Annotated[int | float | str, Field()]],
        Field(min_length=1, max_length=MAX_CELLS, description="In their order."),
    ]
    lora: Annotated[str | None, Field(min_length=1, max_length=200, description="Key of a LoRA.")] = None

    @model_validator(mode="after")
    def _has_its_lora(self) -> AxisIn:
        if (self.field == "lora_weight") != (self.lora is not None):
            raise PydanticCustomError("grid_lora", "`lora` belongs to `lora_weight`, and to nothing else.")
        return self


class GridIn(BaseModel):
    """A picture for each value of `x`, and for each pair where there is a `y`: 64 at most. All start from one seed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "request": {"prompt": "a red dragon"},
                    "x": {"field": "steps", "values": [10, 20, 30]},
                    "y": {"field": "guidance_scale", "values": [3, 7.5]},
                }
            ]
        },
    )

    request: Annotated[TextToImageIn, Field(description="What all cells have; its number of pictures is left out.")]
    start: Annotated[StartIn | None, Field(description="Null: every cell is made from words alone.")] = None
    x: Annotated[AxisIn, Field(description="What changes from left to right.")]
    y: Annotated[AxisIn | None, Field(description="What changes from top to bottom.")] = None

    @model_validator(mode="after")
    def _two_things(self) -> GridIn:
        if self.y and self.x.field == self.y.field and self.x.field != "prompt_sr" and self.x.lora == self.y.lora:
            raise PydanticCustomError(
                "grid_axes", "x and y change the same thing. Choose another field for one of them."
            )
        if self.start is None and "strength" in {axis.field for axis in (self.x, self.y) if axis}:
            raise PydanticCustomError("grid_strength", "`strength` needs a picture to start from, in `start`.")
        return self
