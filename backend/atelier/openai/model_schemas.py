"""Wire shapes of `/v1/models`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    root: str = Field(description="The model's repository on the hub, else its key. An alias has its model's.")
    parent: str | None = Field(None, description="Of a LoRA: the model that it changes.")
    task: str = Field(description="`chat`, `embed` or `image`.")
    max_model_len: int | None = Field(None, description="Tokens of one request, its answer included: text only.")


class ModelObjects(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelObject]
    has_more: bool = False
