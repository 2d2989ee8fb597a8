"""Wire shapes of prompts and styles."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from atelier.images.schemas import NoNul
from atelier.tables import PromptRow


class PromptOut(BaseModel):
    """Words that were asked with."""

    id: str
    prompt: str
    negative_prompt: str
    favourite: bool
    uses: int = Field(description="How often.")
    used_at: datetime

    @classmethod
    def of(cls, row: PromptRow) -> PromptOut:
        return cls(
            id=row.id,
            prompt=row.prompt,
            negative_prompt=row.negative_prompt,
            favourite=row.favourite,
            uses=row.uses,
            used_at=row.used_at,
        )


class PromptList(BaseModel):
    items: list[PromptOut]


class PromptPatchIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    favourite: Annotated[bool, Field(description="Whether it is kept for good.")]


class StyleIn(BaseModel):
    """Named words that are added to a prompt: behind it, or around it where they hold `{prompt}`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Picture book", "prompt": "{prompt}, soft colours, thick outlines"}]},
    )

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=60, strip_whitespace=True),
        Field(description="By which requests name it in `styles`."),
    ]
    prompt: Annotated[
        str, Field(max_length=1000, description="Put behind the prompt, or around it where it holds `{prompt}`."), NoNul
    ] = ""
    negative_prompt: Annotated[str, Field(max_length=1000, description="Likewise for the negative prompt."), NoNul] = ""


class StyleOut(BaseModel):
    id: str
    name: str
    prompt: str
    negative_prompt: str

    @classmethod
    def of(cls, row: PromptRow) -> StyleOut:
        return cls(id=row.id, name=row.name, prompt=row.prompt, negative_prompt=row.negative_prompt)


class StyleList(BaseModel):
    items: list[StyleOut]


class TranslationIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "un dragon rouge avec des ailes", "language": "fr"}]}
    )

    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2000, strip_whitespace=True),
        Field(description="The prompt that is to be said in English."),
    ]
    language: Annotated[
        str | None, Field(pattern=r"^[a-z]{2,3}$", description="What it is written in. Left out: looked at.")
    ] = None


class TranslationOut(BaseModel):
    """English words, or the same words again and why."""

    text: str
    model: str | None = Field(description="The chat model that was asked; null when none was.")
    changed: bool
    reason: Literal["english", "no_model", "not_sure", "failed"] | None = Field(
        description="Why nothing was translated: it is English; no chat model is there; the model says that it cannot; "
        "the model did not answer."
    )
