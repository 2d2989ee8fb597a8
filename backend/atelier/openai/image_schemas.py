"""Wire shapes of `/v1/images`: every field that OpenAI's clients send, and those that only Atelier has.

A field that nobody knows is refused, as OpenAI does. What Atelier cannot do is refused with the reason; what has no
meaning here (`user`, `moderation`, …) is taken and says so in its description.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from atelier.images.schemas import MAX_SEED, LoraIn, NoNul, NotEmpty

MOST_PICTURES = 10
Quality = Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]
Format = Literal["png", "webp", "jpeg"]
NO_MEANING = "Taken, and without effect."
Picture = UploadFile | str
"""A file, or a text that stands for one: a `data:` URL, an id of `/v1/files`, an address."""
_STILL = "Atelier makes pictures of pixels that stand still: png, webp or jpeg."


SIZE = r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$"


class PictureIn(BaseModel):
    """What all three routes take. `null` and an empty form field are as if left out."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(max_length=200, description="An `id` of GET /v1/models.")] = None
    n: Annotated[int, Field(ge=1, le=MOST_PICTURES, description="How many pictures.")] = 1
    size: Annotated[
        str,
        Field(
            json_schema_extra={"pattern": SIZE},
            description="`auto`, or `WIDTHxHEIGHT` in pixels within the limits of the model.",
        ),
    ] = "auto"
    response_format: Annotated[
        Literal["url", "b64_json"], Field(description="A `url` is fetched with the same key as this call.")
    ] = "b64_json"
    output_format: Annotated[str, Field(description="`png`, `webp` or `jpeg`.")] = "png"
    output_compression: Annotated[
        int | None,
        Field(ge=0, le=100, description="How good WebP and JPEG are, 100 the best; left out: 95. PNG loses nothing."),
    ] = None
    user: Annotated[str | None, Field(max_length=512, description=NO_MEANING)] = None
    safety_identifier: Annotated[str | None, Field(max_length=512, description="Comes back when streaming.")] = None

    steps: Annotated[int | None, Field(ge=1, le=200, description="Denoising steps; goes before `quality`.")] = None
    guidance_scale: Annotated[float | None, Field(ge=0, le=30, allow_inf_nan=False)] = None
    seed: Annotated[int | None, Field(ge=0, le=MAX_SEED, description="Of the first picture; the others count up.")] = (
        None
    )
    scheduler: Annotated[str | None, Field(max_length=50, description="A key of GET /api/schedulers.")] = None
    negative_prompt: Annotated[str, Field(max_length=2000), NoNul] = ""
    clip_skip: Annotated[int, Field(ge=0, le=8, description="How many of CLIP's last layers are left out.")] = 0

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None and value != ""} | (
            {"prompt": ""} if given.get("prompt") == "" else {}
        )

    @field_validator("size")
    @classmethod
    def _known_size(cls, size: str) -> str:
        if not re.fullmatch(SIZE, size, re.ASCII):
            raise PydanticCustomError("size_form", "The size is auto, or the width and height in pixels: 512x512.")
        return size

    @field_validator("output_format")
    @classmethod
    def _known_format(cls, form: str) -> str:
        if form in {"gif", "svg"}:
            raise PydanticCustomError("format_not_made", _STILL)
        if form not in {"png", "webp", "jpeg"}:
            raise PydanticCustomError("format_unknown", "The format may be png, webp or jpeg.")
        return form

    @property
    def sides(self) -> tuple[int, int] | None:
        """Width and height in pixels; None for `auto`."""
        if self.size == "auto":
            return None
        width, _, height = self.size.partition("x")
        return int(width), int(height)


class PromptedIn(PictureIn):
    """What the two routes with words take."""

    prompt: Annotated[str, Field(min_length=1, max_length=2000), NoNul, NotEmpty]
    quality: Annotated[
        Quality,
        Field(description="How many steps: `low` half of the model's own, `high` and `hd` half as many again, `xhigh` "
                          "twice, `max` three times as many."),
    ] = "auto"  # fmt: skip
    background: Literal["auto", "opaque", "transparent"] = "auto"
    moderation: Annotated[Literal["auto", "low"], Field(description=NO_MEANING)] = "auto"
    stream: bool = False
    partial_images: Annotated[int, Field(ge=0, le=3, description="Pictures on the way, when streaming.")] = 0

    @field_validator("background")
    @classmethod
    def _no_transparency(cls, background: str) -> str:
        if background == "transparent":
            raise PydanticCustomError(
                "background_opaque", "No model of Atelier draws a transparent background; leave it at auto."
            )
        return background


class PictureGenerateIn(PromptedIn):
    """`POST /v1/images/generations`."""

    style: Annotated[Literal["vivid", "natural"] | None, Field(description=NO_MEANING)] = None
    complexity: Annotated[Literal["low", "medium", "high"] | None, Field(description=NO_MEANING)] = None
    frame_count: int | None = None
    frame_duration_ms: int | None = None
    svg: dict[str, Any] | None = None
    loras: Annotated[list[LoraIn], Field(max_length=32, description="`<lora:name:weight>` in the prompt as well.")] = []

    @field_validator("frame_count", "frame_duration_ms", "svg")
    @classmethod
    def _of_other_formats(cls, value: Any) -> Any:
        raise PydanticCustomError("format_not_made", _STILL)


class PictureEditIn(PromptedIn):
    """`POST /v1/images/edits`, as a form."""

    image: Annotated[list[Picture], Field(description="The picture to change: PNG, WebP or JPEG.")] = []
    image_list: Annotated[list[Picture], Field(alias="image[]", description="The same, as a list of one.")] = []
    mask: Annotated[
        Picture | None, Field(description="A PNG: what is transparent in it is painted anew, the rest stays.")
    ] = None
    markup: UploadFile | None = None
    input_fidelity: Annotated[
        Literal["high", "low"] | None,
        Field(description="`high` keeps more of the picture (strength 0.4), `low` less (0.75). Without a mask only."),
    ] = None
    strength: Annotated[
        float | None, Field(ge=0, le=1, allow_inf_nan=False, description="How much may change: 0 nothing, 1 all.")
    ] = None

    @field_validator("markup")
    @classmethod
    def _no_markup(cls, value: Any) -> Any:
        raise PydanticCustomError("markup_unread", "No model of Atelier reads marks on a picture; send a mask instead.")


class PictureVaryIn(PictureIn):
    """`POST /v1/images/variations`, as a form."""

    image: Annotated[list[Picture], Field(description="The picture to vary: PNG, WebP or JPEG.")] = []
    image_list: Annotated[list[Picture], Field(alias="image[]")] = []
    strength: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="How far from the picture: 0 not at all.")
    ] = 0.6


class ImageObject(BaseModel):
    b64_json: str | None = None
    url: str | None = None
    seed: int
    id: str


class InputTokens(BaseModel):
    image_tokens: int
    text_tokens: int


class ImageUsage(BaseModel):
    """Estimates, since nothing is billed: a token of text is four bytes, one of a picture 16 × 16 pixels."""

    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    total_tokens: int


class ImagesObject(BaseModel):
    created: int
    data: list[ImageObject]
    background: Literal["opaque"] = "opaque"
    output_format: Format
    quality: str
    size: str
    usage: ImageUsage
    model: str


class ImageEvent(BaseModel):
    """An event of a stream: `image_generation.partial_image`, `image_generation.completed`, and `image_edit.…`."""

    type: str
    b64_json: str
    created_at: int
    background: Literal["opaque"] = "opaque"
    output_format: Format
    quality: str
    size: str
    partial_image_index: int | None = None
    usage: ImageUsage | None = None
    safety_identifier: str | None = None
