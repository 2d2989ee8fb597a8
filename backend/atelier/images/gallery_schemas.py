"""Wire shapes of the gallery: what its owner may say of pictures, filters, collections, storage."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from atelier.shapes import ImageOut

MAX_TAGS = 20
MAX_EDITED = 500

ImageId = Annotated[str, Field(min_length=1, max_length=40)]
CollectionId = Annotated[str, Field(min_length=1, max_length=40, description="Id of a collection.")]


def _plain(words: object) -> object:
    """One line, single spaces, nothing that cannot be seen."""
    if not isinstance(words, str):
        return words
    return " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())


def _tag(word: object) -> object:
    plain = _plain(word)
    return plain.lower() if isinstance(plain, str) else plain


Tag = Annotated[str, Field(min_length=1, max_length=40), BeforeValidator(_tag)]
Tags = Annotated[
    list[Tag], Field(max_length=MAX_TAGS, description="Words of one's own; small letters, each counted once.")
]
Name = Annotated[str, Field(min_length=1, max_length=100), BeforeValidator(_plain)]
Rating = Annotated[int, Field(ge=0, le=5)]
NewRating = Annotated[Rating | None, Field(description="Stars; 0 takes them away, null leaves them as they are.")]
Favourite = Annotated[bool | None, Field(description="Whether it is one; null leaves it as it is.")]


class ImageEditIn(BaseModel):
    """What changes about a picture; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    favourite: Favourite = None
    rating: NewRating = None
    note: Annotated[str | None, Field(max_length=4000, description="What its owner wants to remember of it.")] = None
    tags: Annotated[Tags | None, Field(description="All its tags from now on.")] = None


class BulkEditIn(BaseModel):
    """One change to many pictures. All of them or none: when one cannot be changed, none is, and the answer says why.
    `add_to` and `remove_from` together move pictures. `delete` and `restore` stand alone."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ids": ["img_0123456789abcdef0123"], "favourite": True}]}
    )

    ids: Annotated[
        list[ImageId], Field(min_length=1, max_length=MAX_EDITED, description="Of the pictures; 500 at most.")
    ]
    favourite: Favourite = None
    rating: NewRating = None
    add_tags: Tags = []
    remove_tags: Tags = []
    add_to: Annotated[CollectionId | None, Field(description="Id of a collection that they go into.")] = None
    remove_from: Annotated[CollectionId | None, Field(description="Id of a collection that they leave.")] = None
    delete: Annotated[bool, Field(description="Into the trash, for an hour.")] = False
    restore: Annotated[bool, Field(description="Out of the trash.")] = False

    @model_validator(mode="after")
    def _one_kind(self) -> BulkEditIn:
        edits = self.model_fields_set - {"ids", "delete", "restore"}
        if self.delete + self.restore + bool(edits) != 1:
            raise PydanticCustomError(
                "edit_unclear", "Say what to change: delete, restore, or other fields, and only one of these."
            )
        return self


class BulkEditOut(BaseModel):
    images: list[ImageOut] = Field(description="As they are now; empty after `delete`.")
    restorable_until: datetime | None = None


class CollectionIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[Name, Field(description="One line; no two of an owner's are called the same.")]


class CollectionOut(BaseModel):
    id: str
    name: str
    count: int = Field(description="How many pictures it holds.")
    covers: list[str] = Field(description="Thumbnails of its newest pictures, four at most.")
    created_at: datetime


class CollectionList(BaseModel):
    items: list[CollectionOut]


class CountOut(BaseModel):
    name: str
    count: int


class SizeCountOut(BaseModel):
    width: int
    height: int
    count: int


class FacetsOut(BaseModel):
    """What the gallery can be filtered by, most frequent first; 200 of each at most."""

    models: list[CountOut]
    loras: list[CountOut]
    tags: list[CountOut]
    sizes: list[SizeCountOut]
    has_favourites: bool
    has_videos: bool


class MarksOut(BaseModel):
    """A picture by its id, with what its owner said of it."""

    id: str
    favourite: bool
    rating: int = Field(ge=0, le=5, description="0: not rated.")
    tags: list[str]
    collections: list[str] = Field(description="Ids of the collections that it is in.")


class MarksPage(BaseModel):
    items: list[MarksOut]
    next_cursor: str | None = Field(description="Hand it back as `cursor` for the next page; null on the last one.")


class LineageOut(BaseModel):
    """Where a picture comes from, and what came of it."""

    made_from: list[ImageOut] = Field(
        description="The picture it was made from, then that one's, and so on; 20 at most."
    )
    became: list[ImageOut] = Field(description="Pictures that were made from it, newest first; 60 at most.")


class AmountOut(BaseModel):
    """How many files, and their bytes (thumbnails not counted)."""

    count: int
    bytes: int


class NamedAmountOut(AmountOut):
    name: str


class StorageOut(BaseModel):
    """What pictures take on the disk, and what could be freed."""

    total: AmountOut
    by_model: list[NamedAmountOut]
    by_month: list[NamedAmountOut] = Field(description="`2026-11` and so on, newest first.")
    by_kind: list[NamedAmountOut]
    trash: AmountOut = Field(description="Goes by itself within an hour; DELETE /api/gallery/trash is sooner.")
    inputs: AmountOut = Field(description="Uploads to start from.")
    unrated_old: AmountOut = Field(description="Older than `old_days`, without a rating, favourite, tag or collection.")
    old_days: int
    free_bytes: int = Field(description="Left on the disk of the data folder.")
