"""Wire shapes of generation and of the gallery."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from atelier.shapes import ErrorOut, ImageOut
from atelier.tables import InputRow, JobStatus

MAX_SEED = 2**32 - 1
MAX_LORA_WEIGHT = 4
MOST_STYLES = 10
MOST_STYLED = 20_000
"""Characters of a prompt with its styles. One that holds `prompts.SPOT` ten times makes ten of what was there, and the
next one again."""


def says_something(prompt: str) -> bool:
    """Whether there is anything to read in it: blanks, control characters and those of no width are nothing."""
    return any(character.isprintable() and character != " " for character in prompt)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul_character", "A text cannot hold the character NUL.")
    return text


def _not_empty(prompt: str) -> str:
    if not says_something(prompt):
        raise PydanticCustomError("prompt_empty", "The prompt is empty. Say what to draw.")
    return prompt


NoNul = AfterValidator(_without_nul)
"""Of what a model is told, by any API."""

NotEmpty = AfterValidator(_not_empty)
"""Of a prompt that cannot be left out, by any API."""

# How large a picture may be is for its model to say: see `limits` of GET /api/models/.
Side = Annotated[int, Field(ge=1, le=2**31 - 1)]


Guidance = Annotated[
    float | None,
    Field(
        ge=0,
        le=30,
        allow_inf_nan=False,
        description="How closely the words are followed; far above the model's own, colours burn. Null: its own.",
    ),
]
Scale = Annotated[float, Field(gt=1, le=4, allow_inf_nan=False, description="Times as wide and as high.")]

ImageRef = Annotated[
    str,
    Field(
        pattern=r"^(img|inp)_[0-9a-f]{20}$",
        description="A picture of the gallery (`img_…`) or an upload (`inp_…`, from `POST /api/inputs`).",
    ),
]


class LoraIn(BaseModel):
    """A LoRA to run with. `<lora:name:weight>` in the prompt does the same."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1, max_length=200, description="Key, name or file name of a LoRA.")]
    weight: Annotated[
        float,
        Field(
            ge=-MAX_LORA_WEIGHT,
            le=MAX_LORA_WEIGHT,
            allow_inf_nan=False,
            description="How strongly it acts: 1 as it was trained, 0 not at all, below 0 against it.",
        ),
    ] = 1.0
    text_weight: Annotated[
        float | None,
        Field(
            ge=-MAX_LORA_WEIGHT,
            le=MAX_LORA_WEIGHT,
            allow_inf_nan=False,
            description="For the text encoders; else as `weight`.",
        ),
    ] = None


class SamplerSettingsIn(BaseModel):
    """What the steps of a scheduler are told, in A1111's words. `GET /api/schedulers` says which take what; null: the
    scheduler's own default."""

    model_config = ConfigDict(extra="forbid")

    eta: Annotated[float | None, Field(ge=0, le=1, description="DDIM: how much noise is put back, 0 none.")] = None
    s_churn: Annotated[float | None, Field(ge=0, le=1000, description="How much noise is put back before steps.")] = (
        None
    )
    s_tmin: Annotated[float | None, Field(ge=0, le=1e6, description="From this level of noise on.")] = None
    s_tmax: Annotated[float | None, Field(ge=0, le=1e6, description="Up to this level of noise.")] = None
    s_noise: Annotated[
        float | None, Field(ge=0, le=10, description="How strong what is put back is; 1: as it was.")
    ] = None


class HiresIn(BaseModel):
    """A second pass over the enlarged picture: more detail than one large picture would have."""

    model_config = ConfigDict(extra="forbid")

    scale: Scale = 2.0
    steps: Annotated[int | None, Field(ge=1, le=200, description="Null: as many as the first pass.")] = None
    strength: Annotated[float, Field(gt=0, le=1, description="How much of the picture may change.")] = 0.5
    upscaler: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="What enlarges before: `latent`, `lanczos`, `nearest`, or the key of a model of the type "
            "`upscaler`.",
        ),
    ] = "lanczos"
    scheduler: Annotated[
        str | None, Field(max_length=50, description="A key of GET /api/schedulers. Null: that of the first pass.")
    ] = None


class GenerationIn(BaseModel):
    """What every request for pictures has. What is left out comes from the model's defaults."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[str, Field(min_length=1, max_length=2000, description="What to draw."), NoNul, NotEmpty]
    negative_prompt: Annotated[str, Field(max_length=2000, description="What to keep away from."), NoNul] = ""
    typed_prompt: Annotated[
        str,
        Field(
            max_length=2000,
            description="What was typed, where `prompt` is its translation; kept in the recipe's `asked`.",
        ),
        NoNul,
    ] = ""
    model: Annotated[str, Field(min_length=1, max_length=200, description="Key of an image model.")] = "creatures"
    num_outputs: Annotated[int, Field(ge=1, le=8, description="How many pictures.")] = 1
    steps: Annotated[int | None, Field(ge=1, le=200, description="Denoising steps.")] = None
    guidance_scale: Guidance = None
    seed: Annotated[
        int | None,
        Field(ge=0, le=MAX_SEED, description="Of the first picture; the others count up. Null: chosen at random."),
    ] = None
    subseed: Annotated[
        int | None,
        Field(ge=0, le=MAX_SEED, description="Of the first variation; the others count up, and all share the seed."),
    ] = None
    subseed_strength: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False, description="How far the subseed leads away from the seed. 0: not."),
    ] = 0.0
    scheduler: Annotated[str | None, Field(max_length=50, description="A key of GET /api/schedulers.")] = None
    sampler_settings: Annotated[
        SamplerSettingsIn | None, Field(description="Refused where the scheduler takes none.")
    ] = None
    loras: Annotated[
        list[LoraIn], Field(max_length=32, description="Any number; the model of each must be of this model's family.")
    ] = []
    clip_skip: Annotated[
        int, Field(ge=0, le=8, description="How many of CLIP's last layers are left out. Others read no CLIP alone: 0.")
    ] = 0
    format: Annotated[Literal["png", "webp", "jpeg"], Field(description="Of the files.")] = "png"
    quality: Annotated[
        int, Field(ge=1, le=100, description="Of WebP and JPEG: 100 is the best and the largest. PNG loses nothing.")
    ] = 95
    styles: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=60)]],
        Field(
            max_length=MOST_STYLES,
            description=f"Names of your styles (GET /api/styles), added in this order. With them a prompt has "
            f"{MOST_STYLED:,} characters at most.",
        ),
    ] = []


class SizedIn(GenerationIn):
    """A request whose result may have any size that its model can make."""

    width: Annotated[Side | None, Field(description="Pixels, within the `limits` of the model.")] = None
    height: Annotated[Side | None, Field(description="Pixels, within the `limits` of the model.")] = None
    hires: Annotated[HiresIn | None, Field(description="A second pass at a larger size. Not with a mask.")] = None


class TextToImageIn(SizedIn):
    """One request for pictures. What is left out comes from the model's defaults."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"prompt": "a red dragon with wings on a blue background", "num_outputs": 2}]},
    )


class StartIn(BaseModel):
    """The picture that others are made from."""

    model_config = ConfigDict(extra="forbid")

    image: ImageRef
    strength: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="How much of it may change: 0 nothing, 1 all.")
    ] = 0.6
    fit: Annotated[
        Literal["crop", "pad", "stretch"],
        Field(description="How it comes to the size of the result: cut, with its edges extended, or stretched."),
    ] = "crop"


class ImageToImageIn(SizedIn, StartIn):
    """Pictures made from another one."""


class InpaintIn(ImageToImageIn):
    """Part of a picture made anew."""

    mask: Annotated[ImageRef, Field(description="White where it is to be painted. Brought to the picture's size.")]
    invert_mask: Annotated[bool, Field(description="Paint where the mask is black instead.")] = False
    mask_blur: Annotated[int, Field(ge=0, le=64, description="Pixels of the mask's soft edge.")] = 4
    only_masked: Annotated[
        bool, Field(description="Work on the masked part alone, at the full size: more detail in small parts.")
    ] = False
    padding: Annotated[int, Field(ge=0, le=256, description="Pixels around the masked part that are looked at.")] = 32
    fill: Annotated[
        Literal["original", "blur", "noise", "nothing"], Field(description="What stands under the mask at first.")
    ] = "original"


class OutpaintIn(GenerationIn):
    """A picture that goes on beyond its edges. The result's size is the picture's and what is added, up to the next
    one that the model can make."""

    image: ImageRef
    left: Annotated[int, Field(ge=0, le=2048, description="Pixels that are added left of it.")] = 0
    right: Annotated[int, Field(ge=0, le=2048, description="Pixels that are added right of it.")] = 0
    top: Annotated[int, Field(ge=0, le=2048, description="Pixels that are added above it.")] = 0
    bottom: Annotated[int, Field(ge=0, le=2048, description="Pixels that are added below it.")] = 0
    feather: Annotated[int, Field(ge=0, le=128, description="Pixels in which old and new go over.")] = 16
    strength: Annotated[
        float, Field(gt=0, le=1, allow_inf_nan=False, description="How freely what is added leaves the mirrored edges.")
    ] = 1.0


class UpscaleIn(GenerationIn):
    """A picture made larger, with a second pass that draws what the size has room for (strength 0: none)."""

    prompt: Annotated[str, Field(max_length=2000, description="Left out: the picture's own."), NoNul] = ""
    image: ImageRef
    scale: Scale = 2.0
    strength: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="How much is drawn anew. Null: 0.3; nothing with a model that was made for pictures of less "
            "than 512 pixels: in larger ones it draws its motif again and again.",
        ),
    ] = None
    upscaler: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="What enlarges before: `lanczos`, or the key of a model of the type `upscaler`.",
        ),
    ] = "lanczos"


class ImageToVideoIn(BaseModel):
    """Short videos made from a picture."""

    model_config = ConfigDict(extra="forbid")

    image: ImageRef
    model: Annotated[str, Field(min_length=1, max_length=200, description="Key of a video model.")]
    num_outputs: Annotated[int, Field(ge=1, le=8, description="How many videos.")] = 1
    frames: Annotated[int | None, Field(ge=2, le=64, description="Null: as many as the model was made for.")] = None
    fps: Annotated[int, Field(ge=1, le=60, description="Frames per second.")] = 7
    motion: Annotated[int, Field(ge=1, le=255, description="How much moves.")] = 127
    noise: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="How freely it leaves the picture.")] = (
        0.02
    )
    steps: Annotated[int | None, Field(ge=1, le=200, description="Denoising steps. Null: the model's own.")] = None
    guidance_scale: Guidance = None
    width: Annotated[Side | None, Field(description="Pixels, within the `limits` of the model.")] = None
    height: Annotated[Side | None, Field(description="Pixels, within the `limits` of the model.")] = None
    seed: Annotated[
        int | None,
        Field(ge=0, le=MAX_SEED, description="Of the first video; the others count up. Null: chosen at random."),
    ] = None
    format: Annotated[
        Literal["mp4", "webp"], Field(description="Of the files; WebP moves in a page without a player.")
    ] = "mp4"


class InputOut(BaseModel):
    """An uploaded picture as it is kept: decoded, upright, without metadata, as PNG."""

    id: str = Field(description="What requests name it by.", examples=["inp_0123456789abcdef0123"])
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    bytes: int
    sha256: str
    url: str
    created_at: datetime

    @classmethod
    def of(cls, row: InputRow) -> InputOut:
        return cls(
            id=row.id,
            width=row.width,
            height=row.height,
            bytes=row.bytes,
            sha256=row.sha256,
            url=f"/api/inputs/{row.id}/file",
            created_at=row.created_at,
        )


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
