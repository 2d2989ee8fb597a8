"""Wire shapes of the creature service, as its clients know them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from atelier.creatures.rarity import Rarity


class CreatureMetadata(BaseModel):
    id: Annotated[str, Field(pattern=r"^pkm_[A-Z0-9]{12}$")]
    name: str
    rarity: Annotated[
        Rarity, Field(description="Drawn: of 1000 are F 400, E 250, D 150, C 100, B 60, A 25, S 12, S+ 3.")
    ]


class CreatureOut(BaseModel):
    imageBase64: Annotated[str, Field(description="A PNG.")]  # noqa: N815 - as its clients spell it
    metadata: CreatureMetadata
    generatedAt: Annotated[str, Field(description="UTC: `2026-11-28T12:00:00Z`.")]  # noqa: N815


class CreatureSettingsOut(BaseModel):
    """How creatures are made. Keys and addresses are not told."""

    backend: Literal["files", "sdxl"] = Field(description="`files`: pictures of a folder. `sdxl`: a model draws them.")
    pictures: int = Field(description="Numbers of the folder's pictures that are drawn from.")
    model: str = Field(description="What draws, for the backend `sdxl`.")
    steps: int
    width: int | None = Field(description="Pixels. Null: the model's own.")
    height: int | None = Field(description="Pixels. Null: the model's own.")
    names: Literal["local", "remote"] = Field(description="`local`: from syllables. `remote`: a chat model gives them.")
    rate_per_minute: int = Field(description="Calls of one address. 0: any number.")
    weights: dict[Rarity, int] = Field(description="Of a thousand creatures, how many are so rare.")


_CODES = {401: "UNAUTHORIZED", 429: "RATE_LIMITED"}


def creatures_body(problem: dict[str, Any]) -> dict[str, Any]:
    """An error: `{"code": "UNAUTHORIZED" | "RATE_LIMITED" | "GENERATION_FAILED" | …, "message": …}`."""
    status = problem["status"]
    code = "GENERATION_FAILED" if status >= 500 else _CODES.get(status, str(problem["code"]).upper())
    return {"code": code, "message": problem["detail"]}
