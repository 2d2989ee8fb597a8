"""Wire shapes of `/v1/models`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelObjects(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelObject]
    has_more: bool = False
