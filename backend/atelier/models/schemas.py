"""Wire shapes of models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from atelier.shapes import ErrorOut, SaidOut, WaitingOut

LEAST_CONTEXT = 128
PARSER = r"^[a-z0-9][a-z0-9_]{0,63}$"
KEY = r"^[a-z0-9][a-z0-9._-]{0,99}$"
Tag = Annotated[str, StringConstraints(min_length=1, max_length=40, strip_whitespace=True)]


class ImageDefaults(BaseModel):
    """What a request gets that does not say otherwise."""

    steps: int = Field(ge=1, le=200)
    guidance_scale: float = Field(ge=0, le=30)
    width: int
    height: int
    scheduler: str | None = None
    frames: int | None = Field(None, ge=2, le=64, description="Of models that make videos.")


class ImageLimits(BaseModel):
    """Sides in pixels; each must be a multiple of `multiple`."""

    min_side: int
    max_side: int
    multiple: int


class SizePreset(BaseModel):
    """A size with a name, which the model makes well."""

    id: Literal["square", "portrait", "landscape", "tall", "wide"]
    width: int
    height: int


class LoadOptions(BaseModel):
    """How a model is loaded. What is left out is chosen by the engine and by the server's settings."""

    model_config = ConfigDict(extra="forbid")

    dtype: Literal["float32", "float16", "bfloat16"] | None = Field(
        None,
        description="Type of the weights in memory. Left out: bfloat16 on a GPU; on the CPU float32, and of chat "
        "models the type that they are stored as.",
    )
    batch: int | None = Field(None, ge=1, le=8, description="Most pictures of one request made at once; else 1.")
    share_batches: Literal["auto", "never"] | None = Field(
        None,
        description="`auto`: requests of several people that differ in prompt and seed alone are made together where "
        "measurements of this model say that it pays; a picture then differs from the one made alone by at most one "
        "level of 255. Left out: as the server is set.",
    )
    quality: Literal["lossless", "balanced", "fast"] | None = Field(
        None,
        description="Of models that make pictures. `lossless`: nothing that changes one. `balanced`: fp8 weights. "
        "`fast`: the step cache and sage attention as well. What is given beside it wins. Left out: lossless.",
    )
    quantization: Literal["none", "int8", "fp8", "fp4"] | None = Field(
        None,
        description="Of the denoiser's weights, through torchao; fp4 is experimental. Of a chat model `fp8`, by vLLM "
        "on a GPU. What cannot be had is left out and said in `left_out`; so are the options below.",
    )
    kv_cache: Literal["fp8"] | None = Field(
        None,
        description="Of chat models with vLLM: keys and values in 8 bits, for twice the context in the same memory. "
        "Answers change a little. Left out: in the type of the weights.",
    )
    attention: Literal["auto", "flash", "xformers", "sage", "sdpa"] | None = Field(
        None, description="Left out or `auto`: the first that works of flash, xFormers and PyTorch's own."
    )
    compile: bool | None = Field(None, description="Compile the denoiser's repeated blocks at its first run.")
    vae_slicing: bool | None = Field(None, description="Decode one picture after another: less memory.")
    vae_tiling: bool | None = Field(None, description="Decode tile by tile: less memory; pictures change a little.")
    offload: Literal["none", "model", "group"] | None = Field(
        None, description="Parts (`model`) or blocks (`group`) wait in the machine's memory until they are needed."
    )
    step_cache: bool | None = Field(
        None, description="Skip what changes little from step to step; transformers only. Pictures change a little."
    )
    parts_from: str | None = Field(
        None,
        pattern=KEY,
        description="Of a checkpoint in one file that holds a part of a model, as FLUX's often do: the key of the "
        "whole model of its family that lends the rest. Left out: the first that there is.",
    )
    chat_engine: Literal["vllm_chat", "vllm_cpu_chat", "transformers_chat"] | None = Field(
        None, description="Of chat and embedding models. Left out: what suits this machine; `engine_reason` says why."
    )
    context: int | None = Field(
        None,
        ge=LEAST_CONTEXT,
        le=10_000_000,
        description="Most tokens of a conversation, question and answer together. Left out: what the model was made "
        "for, 32,768 at most, or less (2,048 at least) where that does not fit.",
    )
    sequences: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="So many requests of the whole context fit into the memory for keys and values; of shorter ones "
        "more. Left out: 4, or less where that does not fit.",
    )
    images: int | None = Field(
        None, ge=0, le=64, description="Most pictures in one request, of a chat model that sees. Left out: 4."
    )
    tool_parser: str | None = Field(
        None,
        pattern=PARSER,
        description="How the model's tool calls are read, by vLLM's name for it; `none` for not at all. Left out: as "
        "its family's are, when its template knows of tools.",
    )
    reasoning_parser: str | None = Field(
        None, pattern=PARSER, description="The same for its reasoning, which then stands in a field of its own."
    )
    loras: Annotated[list[Annotated[str, Field(pattern=KEY)]], Field(max_length=16)] | None = Field(
        None,
        description="Keys of LoRAs that vLLM loads with a chat model. Requests name them as they name models, and "
        "`/v1/models` lists them.",
    )
    ttl_seconds: float | None = Field(
        None,
        ge=0,
        le=10**7,
        description="Unloaded after so long without use. 0 or null: never. Left out: as the server is set.",
    )
    gpu_device_ids: Annotated[list[Annotated[int, Field(ge=0, le=1023)]], Field(min_length=1, max_length=64)] | None = (
        Field(None, description="Devices that it may use. An engine that can spread a model uses all of them at once.")
    )

    @property
    def weights(self) -> str:
        """What the denoiser's weights are quantised to, by the tier or by name."""
        by_tier = "none" if self.quality in (None, "lossless") else "fp8"
        return self.quantization or by_tier

    @field_validator("gpu_device_ids")
    @classmethod
    def _each_once(cls, ids: list[int] | None) -> list[int] | None:
        if ids is not None and len(set(ids)) < len(ids):
            raise PydanticCustomError("device_twice", "A device is named twice. Name each once.")
        return ids


SPEED = ("quality", "quantization", "attention", "compile", "vae_slicing", "vae_tiling", "offload", "step_cache")
"""Load options that the image engine takes as they are (`engines.image_speed`)."""

ModelState = Literal["idle", "downloading", "loading", "ready", "parked", "error"]
ModelType = Literal["base_model", "lora", "fine_tune", "embedding", "upscaler"]
Task = Literal["image", "video", "chat", "transcribe", "diarize", "embed"]


class DownloadFileOut(BaseModel):
    path: str
    bytes: int
    done_bytes: int
    state: Literal["waiting", "fetching", "checking", "done"]


class DownloadOut(BaseModel):
    """How far a model's download is. `failed` and `cancelled` ones, like paused ones, can be gone on with."""

    state: Literal["waiting", "downloading", "paused", "cancelled", "failed"]
    job_id: str
    done_bytes: int
    total_bytes: int
    bytes_per_second: float | None = Field(description="Over the last seconds; null unless bytes come in.")
    seconds_left: float | None
    paused: bool
    files: list[DownloadFileOut] = Field(description="While it runs; the first 200.")
    error: ErrorOut | None


class ChatUsualOut(BaseModel):
    """What is used where a model's load options do not say: by its family, and by what its template knows of."""

    tool_parser: str | None
    reasoning_parser: str | None
    images: int | None = Field(description="Null for a model that takes no pictures.")
    context: int = Field(description="Tokens: what the model was made for, within limits, and what fits.")
    sequences: int = Field(description="Requests of the whole context at once.")


class ChatSetupOut(BaseModel):
    """How a chat or embedding model is run on this machine."""

    engine: str | None = Field(
        description="`vllm_chat`, `vllm_cpu_chat`, `transformers_chat`; null: none runs it here."
    )
    engine_reason: str = Field(description="Why that one, in words.")
    engine_said: SaidOut | None = Field(None, description="Which sentence `engine_reason` is.")
    environment: str | None = Field(description="What must be set up for it, under System.")
    environment_ready: bool
    context: int = Field(description="Most tokens of a conversation.")
    sequences: int = Field(description="So many requests of the whole context fit into its memory.")
    sees: bool = Field(description="It takes pictures.")
    pictures: int = Field(0, description="Most pictures in one request; of a conversation the newest are sent.")
    calls_tools: bool = Field(description="Tools can be offered to it with `tool_choice` `auto`.")
    reasons: bool = Field(description="Its reasoning comes in a field of its own.")
    adapts: bool = Field(description="LoRAs can be loaded with it.")
    usual: ChatUsualOut


class LeftOutOut(BaseModel):
    """A load option that could not be had on this machine, or with this model."""

    message: str = Field(description="In words.")
    said: SaidOut | None = Field(description="Which sentence `message` is.")


class PartsOut(BaseModel):
    """Of a checkpoint in one file that holds a part of a model: who lends it the rest."""

    lacks: list[str] = Field(description="The components that its file does not hold.")
    lender: str | None = Field(description="The key of the model that they are taken from; null: none here has them.")
    lenders: list[str] = Field(description="The keys of all that could lend them; `parts_from` chooses.")


HELPED = "Too large for every device as it is loaded, and not with other load options: `POST /api/plan` names them."


class ModelOut(BaseModel):
    """Weights that Atelier knows about, and what they can do."""

    key: str
    name: str
    task: Task = Field(description="What it does. A LoRA has the task of the models that it changes.")
    type: ModelType
    family: str
    source: Literal["embedded", "hub", "trained", "imported"]
    description: str
    license: str
    size_bytes: int
    bytes_needed: int = Field(description="Memory that a worker with this model is expected to take.")
    helped: bool = Field(False, description=HELPED)
    dtype: str = Field(description="The type of most of its weights, as safetensors names it: `F16`, `BF16`, `F32`.")
    parameters: int
    base: str | None = Field(description="What a LoRA says it was made for.")
    answers_with: str | None = Field(
        None, description="Of a chat model's LoRA: the model that is loaded with it; requests name the LoRA."
    )
    trigger_words: list[str] = Field([], description="Words that a LoRA's file says it answers to.")
    repo: str | None = Field(description="The repository on Hugging Face that it comes from, as `owner/name`.")
    commit: str | None
    defaults: ImageDefaults | None = Field(description="Of models that make pictures.")
    limits: ImageLimits | None = Field(description="Of models that make pictures.")
    presets: list[SizePreset] = Field([], description="Of models that make pictures: sizes to choose from.")
    redraw_strength: float | None = Field(
        None,
        description="Of models that make pictures: how much of an enlarged picture `upscale` draws anew where the "
        "request does not say. 0 for a model of small pictures, which would fill a larger one with copies.",
    )
    sampling: Literal["noise", "flow"] = Field(description="The `kind` of schedulers that it can be run with.")
    chat: ChatSetupOut | None = Field(None, description="Of chat and embedding models: how this machine runs it.")
    parts: PartsOut | None = Field(
        None, description="Of a checkpoint in one file that holds a part of a model; else null."
    )
    tags: list[str]
    pinned: bool = Field(description="A pinned model stays loaded; it is never put out to make room.")
    sees: bool = Field(False, description="Of chat models: whether they take pictures.")
    available: bool = Field(description="False when its files are missing.")
    runnable: bool = Field(description="False for a model that no engine of this Atelier can run yet.")
    removable: bool = Field(description="False for the models that ship with Atelier, and for somebody else's.")
    load_options: LoadOptions = Field(description="What it is loaded with when a request does not say otherwise.")
    state: ModelState = Field(
        description="`idle`: not in memory. `loading`: waits for memory, starts or wakes. `ready`: loaded, perhaps at "
        "work. `parked`: its process is there, its weights are aside. `error`: its last worker failed."
    )
    state_reason: str | None = Field(description="In words: what it waits for, or why it failed.")
    state_said: SaidOut | None = Field(None, description="Which sentence `state_reason` is.")
    waiting: WaitingOut | None = Field(
        None,
        description="While a load that somebody asked for waits or starts: its place in the line, if it is in one.",
    )
    worker_id: str | None
    device: str | None = Field(description="Where it is: `cuda:0`, or several with commas.")
    loaded_bytes: int = Field(description="Memory that its worker has leased, on all its devices together.")
    left_out: list[LeftOutOut] = Field(
        [], description="What of its load options its worker could not have, while there is one."
    )
    log_tail: list[str] = Field(description="The last lines of its worker; after a failure, of the one that failed.")
    download: DownloadOut | None = Field(description="Of a model whose files are not all here yet; else null.")


class ModelImportIn(BaseModel):
    """A model that lies on the server's disk already. Its files stay where they are."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(
        min_length=1,
        max_length=4096,
        pattern=r"^[^\x00-\x1f]+$",
        description="Absolute path of a model's folder, or of one .safetensors file.",
        examples=["/models/stable-diffusion-v1-5"],
    )
    key: str | None = Field(None, pattern=KEY, description="How requests name it. From the file's name when left out.")
    name: str | None = Field(None, min_length=1, max_length=200)
    description: str = Field("", max_length=2000)
    license: str = Field("", max_length=64)
    tags: list[Tag] = Field([], max_length=20)


class FoundModelOut(BaseModel):
    """A model in the Hugging Face cache of this machine. `POST /api/models/import` with its path enters it."""

    path: str
    repo: str
    commit: str
    key: str | None = Field(description="The model that it is already.")
    problem: str | None = Field(description="Why it cannot be entered.")
    said: SaidOut | None = Field(None, description="Which sentence `problem` is.")
    task: Task | None = None
    type: ModelType | None = None
    family: str | None = None
    size_bytes: int | None = None
    parameters: int | None = None
    dtype: str | None = None


class FoundModelList(BaseModel):
    cache: str
    items: list[FoundModelOut]


class ModelPatchIn(BaseModel):
    """What can be changed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=200)
    description: str | None = Field(None, max_length=2000)
    license: str | None = Field(None, max_length=64)
    tags: list[Tag] | None = Field(None, max_length=20)
    pinned: bool | None = None
    defaults: ImageDefaults | None = None
    load_options: LoadOptions | None = Field(
        None, description="Replaces all of them. A model that is loaded keeps its own until it is loaded again."
    )


class LoadIn(BaseModel):
    """Load a model now. What is left out stays as the model's own options say."""

    model_config = ConfigDict(extra="forbid")

    gpu_device_ids: list[Annotated[int, Field(ge=0, le=1023)]] | None = Field(None, min_length=1, max_length=64)
    options: LoadOptions | None = Field(None, description="In force until the model is unloaded.")


class UnloadIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    force: bool = Field(False, description="Also while it is at work: its job is started again on another worker.")


class ModelList(BaseModel):
    items: list[ModelOut]


class SchedulerOut(BaseModel):
    id: str
    name: str
    kind: Literal["noise", "flow"] = Field(description="The `sampling` of the models that it fits.")
    sampler: str = Field(description="The sampler alone, in A1111's words.")
    schedule_type: str = Field(description="Its schedule, in A1111's words.")
    settings: list[str] = Field(description="What of `sampler_settings` it takes.")


class SchedulerList(BaseModel):
    items: list[SchedulerOut]
