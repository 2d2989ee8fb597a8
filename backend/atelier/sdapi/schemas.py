"""Wire shapes of `/sdapi/v1`, with A1111's names and defaults. What nobody knows is ignored, `null` is as if left out.

Fields that Atelier has no use for are listed where a client may send something that it would miss: `ignored_in` tells
which those are, and the answer says so.
"""

from __future__ import annotations

from typing import Annotated, Any

from engines.schedulers import settings_of
from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier.images.schemas import NoNul

Number = Annotated[float, Field(allow_inf_nan=False)]
WRITTEN = "Base64, a `data:` URL, or an address where those are allowed."


class Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not None}
        return given


class SdDrawIn(Lenient):
    """What txt2img and img2img have in common."""

    prompt: Annotated[str, Field(max_length=2000), NoNul] = ""
    negative_prompt: Annotated[str, Field(max_length=2000), NoNul] = ""
    styles: list[str] = []
    seed: int = -1
    subseed: int = -1
    subseed_strength: Annotated[Number, Field(ge=0, le=1)] = 0.0
    sampler_name: str | None = None
    sampler_index: str = "Euler"
    scheduler: str | None = None
    batch_size: Annotated[int, Field(ge=1, le=64, description="Pictures of one batch.")] = 1
    n_iter: Annotated[int, Field(ge=1, le=64, description="Batches; each is a job of its own.")] = 1
    steps: Annotated[int, Field(ge=1, le=200)] | None = Field(None, description="Left out: as many as the model's own.")
    cfg_scale: Annotated[Number, Field(ge=0, le=30)] | None = Field(None, description="Left out: the model's own.")
    distilled_cfg_scale: Annotated[Number, Field(ge=0, le=30)] | None = Field(
        None, description="Forge's name for the guidance of FLUX."
    )
    width: Annotated[int, Field(ge=1, le=16384)] | None = Field(None, description="The nearest that the model can do.")
    height: Annotated[int, Field(ge=1, le=16384)] | None = Field(None, description="The nearest that the model can do.")
    denoising_strength: Annotated[Number, Field(ge=0, le=1)] | None = None
    override_settings: dict[str, Any] = {}
    override_settings_restore_afterwards: bool = True
    send_images: bool = True
    save_images: Annotated[bool, Field(description="Without effect: every picture is in the gallery.")] = False
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False

    restore_faces: bool = False
    tiling: bool = False
    eta: Annotated[Number, Field(ge=0, le=1)] | None = Field(None, description="Where the sampler takes it: DDIM.")
    s_churn: Annotated[Number, Field(ge=0, le=1000)] | None = Field(None, description="Where the sampler takes it.")
    s_tmin: Annotated[Number, Field(ge=0, le=1e6)] | None = None
    s_tmax: Annotated[Number, Field(ge=0, le=1e6)] | None = Field(None, description="0: up to any level of noise.")
    s_noise: Annotated[Number, Field(ge=0, le=10)] | None = None
    s_min_uncond: Number | None = None
    refiner_checkpoint: str | None = None
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    script_name: str | None = None
    script_args: list[Any] = []
    alwayson_scripts: dict[str, Any] = {}
    infotext: Annotated[str, Field(max_length=20000)] | None = None


class SdTextToImageIn(SdDrawIn):
    enable_hr: bool = False
    hr_scale: Annotated[Number, Field(gt=0, le=8)] = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: Annotated[int, Field(ge=0, le=200)] = 0
    hr_resize_x: Annotated[int, Field(ge=0, le=16384)] = 0
    hr_resize_y: Annotated[int, Field(ge=0, le=16384)] = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""


class SdImageToImageIn(SdDrawIn):
    init_images: Annotated[list[str], Field(description=WRITTEN)] = []
    include_init_images: bool = False
    resize_mode: Annotated[int, Field(ge=0, le=3, description="0 stretch, 1 cut, 2 extend the edges, 3 stretch.")] = 0
    denoising_strength: Annotated[Number, Field(ge=0, le=1)] | None = 0.75
    image_cfg_scale: Number | None = None
    mask: str | None = None
    latent_mask: str | None = None
    mask_blur: Annotated[int, Field(ge=0, le=256)] | None = None
    mask_blur_x: Annotated[int, Field(ge=0, le=256)] = 4
    mask_blur_y: Annotated[int, Field(ge=0, le=256)] = 4
    mask_round: bool = True
    inpainting_fill: Annotated[int, Field(ge=0, le=3, description="0 blurred, 1 original, 2 noise, 3 nothing.")] = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: Annotated[int, Field(ge=0, le=1024)] = 0
    inpainting_mask_invert: Annotated[int, Field(ge=0, le=1)] = 0
    initial_noise_multiplier: Number | None = None


def ignored_in(wanted: SdDrawIn, scheduler: str) -> list[str]:
    """The fields of a request that ask for something which it does not get. `scheduler`: the key of what draws it."""
    found = [name for name in ("restore_faces", "tiling") if getattr(wanted, name)]
    taken = settings_of(scheduler)
    found += [name for name, value in _usual(scheduler).items() if name not in taken and _differs(wanted, name, value)]
    found += [name for name in ("refiner_checkpoint", "hr_checkpoint_name") if getattr(wanted, name, None)]
    found += [name for name in ("hr_prompt", "hr_negative_prompt") if getattr(wanted, name, "")]
    if wanted.subseed_strength == 0 and max(wanted.seed_resize_from_h, wanted.seed_resize_from_w) > 0:
        found.append("seed_resize_from_h, seed_resize_from_w")
    return found + [f"alwayson_scripts: {name}" for name in sorted(wanted.alwayson_scripts)]


def sampler_settings(wanted: SdDrawIn, scheduler: str) -> dict[str, float]:
    """What the steps of this scheduler are told, where it is not what they do anyway."""
    usual = _usual(scheduler)
    return {
        name: getattr(wanted, name) for name in settings_of(scheduler) if _differs(wanted, name, usual.get(name, 0))
    }


def _usual(scheduler: str) -> dict[str, float]:
    """What fields for samplers are where nobody changed them. `eta` means something for DDIM and those that add noise
    alone; `s_tmin` and `s_tmax` only bound the churn."""
    usual: dict[str, float] = {"s_churn": 0, "s_noise": 1, "s_min_uncond": 0}
    if scheduler.startswith("ddim"):
        usual["eta"] = 0
    elif scheduler.startswith(("euler_a", "dpm2_a", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde")):
        usual["eta"] = 1
    return usual


def _differs(wanted: SdDrawIn, name: str, usual: float) -> bool:
    return getattr(wanted, name) not in (None, usual)


class SdImagesOut(BaseModel):
    images: list[str] = Field(description="Base64, without a prefix.")
    parameters: dict[str, Any] = Field(description="The request, its pictures left out.")
    info: str = Field(description="JSON: what was decided, and the infotext of each picture.")


class SdProgressState(BaseModel):
    skipped: bool
    interrupted: bool
    stopping_generation: bool
    job: str
    job_count: int
    job_timestamp: str
    job_no: int
    sampling_step: int
    sampling_steps: int


class SdProgressOut(BaseModel):
    """Idle is `progress` 0 and `job_count` 0."""

    progress: float = Field(ge=0, le=1)
    eta_relative: float
    state: SdProgressState
    current_image: str | None
    textinfo: str | None


class SdCheckpointOut(BaseModel):
    title: str
    model_name: str
    hash: str | None
    sha256: str | None
    filename: str
    config: str | None = None


class SdSamplerOut(BaseModel):
    name: str
    aliases: list[str]
    options: dict[str, str]


class SdScheduleOut(BaseModel):
    name: str
    label: str
    aliases: list[str] | None
    default_rho: float
    need_inner_model: bool


class SdUpscalerOut(BaseModel):
    name: str
    model_name: str | None = None
    model_path: str | None = None
    model_url: str | None = None
    scale: float = 4


class SdNamedOut(BaseModel):
    name: str


class SdLoraOut(BaseModel):
    name: str
    alias: str
    path: str
    metadata: dict[str, Any]


class SdVaeOut(BaseModel):
    model_name: str
    filename: str


class SdFileOut(BaseModel):
    name: str
    path: str | None = None


class SdFaceRestorerOut(BaseModel):
    name: str
    cmd_dir: str | None = None


class SdStyleOut(BaseModel):
    name: str
    prompt: str | None
    negative_prompt: str | None


class SdEmbeddingsOut(BaseModel):
    loaded: dict[str, Any]
    skipped: dict[str, Any]


class SdScriptsOut(BaseModel):
    txt2img: list[str]
    img2img: list[str]


class SdImageIn(Lenient):
    image: Annotated[str, Field(description=WRITTEN)] = ""


class SdPngInfoOut(BaseModel):
    info: str
    items: dict[str, str]
    parameters: dict[str, str]


class SdInterrogateIn(SdImageIn):
    model: str = "clip"


class SdCaptionOut(BaseModel):
    caption: str


class SdExtrasIn(Lenient):
    resize_mode: Annotated[int, Field(ge=0, le=1, description="0: by `upscaling_resize`; 1: to width and height.")] = 0
    show_extras_results: bool = True
    gfpgan_visibility: Annotated[Number, Field(ge=0, le=1)] = 0
    codeformer_visibility: Annotated[Number, Field(ge=0, le=1)] = 0
    codeformer_weight: Annotated[Number, Field(ge=0, le=1)] = 0
    upscaling_resize: Annotated[Number, Field(gt=0, le=8)] = 2
    upscaling_resize_w: Annotated[int, Field(ge=1, le=16384)] = 512
    upscaling_resize_h: Annotated[int, Field(ge=1, le=16384)] = 512
    upscaling_crop: bool = True
    upscaler_1: str = "None"
    upscaler_2: str = "None"
    extras_upscaler_2_visibility: Annotated[Number, Field(ge=0, le=1)] = 0
    upscale_first: bool = False


class SdExtrasSingleIn(SdExtrasIn):
    image: Annotated[str, Field(description=WRITTEN)] = ""


class SdFileData(Lenient):
    data: Annotated[str, Field(description=WRITTEN)]
    name: str = ""


class SdExtrasBatchIn(SdExtrasIn):
    imageList: Annotated[list[SdFileData], Field(max_length=64)] = []


class SdExtrasSingleOut(BaseModel):
    html_info: str
    image: str


class SdExtrasBatchOut(BaseModel):
    html_info: str
    images: list[str]


class SdMemoryOut(BaseModel):
    ram: dict[str, Any]
    cuda: dict[str, Any]
