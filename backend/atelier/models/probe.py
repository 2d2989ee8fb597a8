"""What is in this folder or file? Read from headers and small JSON, never from a tensor, never by running anything.

    diffusers folder     model_index.json names the pipeline, the configs say which generation it is
    transformers folder  config.json names the architecture
    peft folder          adapter_config.json beside adapter_model.safetensors
    pyannote folder      config.yaml with a pipeline of pyannote.audio
    one .safetensors     the names and shapes of its tensors: a LoRA, an embedding, an upscaler, or a checkpoint

What cannot be told is refused with words, not guessed: a model that is registered wrongly fails later, and worse.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.checkpoint_files import CROSS_ATTENTION, channels_of, checkpoint_family, is_packed, layout_of
from engines.remote_code import code_in
from engines.safetensors_file import Header, read_header
from engines.upscaler_files import upscaler_architecture

from atelier.errors import ModelNotRecognised
from atelier.said import Said

MAX_JSON_BYTES = 4 * 1024 * 1024
PICKLES = (".pth", ".pt", ".ckpt", ".bin", ".pkl")
MAX_VECTORS = 75  # of a textual inversion: as many tokens as CLIP reads at once
FLOATS = ("F64", "F32", "BF16", "F16", "F8_E4M3", "F8_E5M2", "F4")


@dataclass(frozen=True)
class Probe:
    """What a folder or file holds. `size_bytes`, `parameters` and `dtype` are of its weights; `dtype` is the one that
    most of the elements have, in safetensors' words. `base` is what a LoRA was made for, as it says itself; `frames`
    how many a video model makes at once; `distilled` how it was brought to few steps, a key of `families.DISTILLED`."""

    task: str
    type: str
    family: str
    engine: str | None
    size_bytes: int
    parameters: int
    dtype: str
    pipeline: str | None = None
    base: str | None = None
    sees: bool = False
    frames: int | None = None
    distilled: str = ""
    notes: tuple[str, ...] = field(default=())


# class of model_index.json -> task, family; the family of SD 1 and 2 is told by their text encoder
PIPELINES: dict[str, tuple[str, str]] = {
    "StableDiffusionPipeline": ("image", "sd15"),
    "StableDiffusionInpaintPipeline": ("image", "sd15"),
    "LatentConsistencyModelPipeline": ("image", "sd15"),
    "StableDiffusionXLPipeline": ("image", "sdxl"),
    "StableDiffusionXLImg2ImgPipeline": ("image", "sdxl"),
    "StableDiffusionXLInpaintPipeline": ("image", "sdxl"),
    "StableDiffusion3Pipeline": ("image", "sd3"),
    "FluxPipeline": ("image", "flux"),
    "FluxKontextPipeline": ("image", "flux"),
    "FluxFillPipeline": ("image", "flux"),
    "Flux2Pipeline": ("image", "flux2"),
    "QwenImagePipeline": ("image", "qwen_image"),
    "ZImagePipeline": ("image", "z_image"),
    "SanaPipeline": ("image", "sana"),
    "PixArtAlphaPipeline": ("image", "pixart"),
    "PixArtSigmaPipeline": ("image", "pixart"),
    "Lumina2Pipeline": ("image", "lumina2"),
    "HiDreamImagePipeline": ("image", "hidream"),
    "StableVideoDiffusionPipeline": ("video", "svd"),
    "WanPipeline": ("video", "wan"),
    "LTXPipeline": ("video", "ltx"),
    "CogVideoXPipeline": ("video", "cogvideox"),
    "HunyuanVideoPipeline": ("video", "hunyuan_video"),
}
ENGINE_OF_TASK = {"image": "diffusers_image"}
VIDEOS = frozenset({"svd"})
"""The families of video models that an engine runs."""


def probe(path: Path) -> Probe:
    """What `path` holds. Raises ModelNotRecognised, saying what is missing or what it is instead."""
    if path.is_file():
        return _probe_file(path)
    if not path.is_dir():
        words = Said(f"There is nothing at {path.name!r}.", "probe.nothing_there", name=path.name)
        raise ModelNotRecognised(words, field="path", hint="Check the path.")
    if (path / "model_index.json").is_file():
        return _probe_diffusers(path)
    if (path / "adapter_config.json").is_file():
        return _probe_peft(path)
    if (path / "config.yaml").is_file() and b"pyannote.audio" in (path / "config.yaml").read_bytes()[:MAX_JSON_BYTES]:
        return _probe_pyannote(path)
    if (path / "config.json").is_file():
        return _probe_transformers(path)
    files = sorted(path.glob("*.safetensors"))
    if len(files) == 1:
        return _probe_file(files[0])
    raise ModelNotRecognised(
        Said(
            f"The folder {path.name!r} has no model_index.json, config.json or adapter_config.json.",
            "probe.no_description",
            name=path.name,
        ),
        field="path",
        hint="Point to the folder that holds one of these, or to a single .safetensors file.",
    )


# ── folders ───────────────────────────────────────────────────────────────────


def _probe_diffusers(folder: Path) -> Probe:
    index = _read_json(folder / "model_index.json")
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in PIPELINES:
        raise ModelNotRecognised(
            Said(
                f"Atelier does not run the pipeline {str(pipeline)[:80]!r}.",
                "probe.pipeline_unknown",
                pipeline=str(pipeline)[:80],
                known=", ".join(PIPELINES),
            ),
            field="path",
            hint=f"It runs {', '.join(PIPELINES)}.",
        )
    _refuse_code("model_index.json", index)
    unet = _read_json(folder / "unet" / "config.json") if PIPELINES[pipeline][1] in {"sd15", "svd"} else {}
    frames = unet.get("num_frames")
    frames = frames if isinstance(frames, int) and 2 <= frames <= 64 else None
    task, family = pipeline_kind(pipeline, unet) or PIPELINES[pipeline]
    weights = _weights(path for path in sorted(folder.glob("*/*.safetensors")) if _is_chosen(path))
    return Probe(
        task,
        "base_model",
        family,
        engine_of(task, family),
        *weights,
        pipeline=pipeline,
        frames=frames,
        distilled=_distilled(folder, pipeline),
    )


def _distilled(folder: Path, pipeline: str) -> str:
    """How a model was brought to few steps, as far as its folder tells: "" for one that was not."""
    if pipeline == "FluxPipeline":
        guided = _optional_json(folder / "transformer" / "config.json").get("guidance_embeds", True)
        return "" if guided else "schnell"
    scheduler = _optional_json(folder / "scheduler" / "scheduler_config.json")
    name = str(scheduler.get("_class_name"))
    if pipeline == "LatentConsistencyModelPipeline" or name == "LCMScheduler":
        return "lcm"
    # Turbo's one step is the noisiest, which is the last of a "trailing" schedule. Models that predict v have it too.
    trailing = scheduler.get("timestep_spacing") == "trailing" and name.startswith("Euler")
    plain = scheduler.get("prediction_type", "epsilon") == "epsilon" and not scheduler.get("rescale_betas_zero_snr")
    return "turbo" if trailing and plain else ""


def engine_of(task: str, family: str) -> str | None:
    """Which engine runs a base model; None while none does."""
    if task == "video":
        return "diffusers_image" if family in VIDEOS else None
    return ENGINE_OF_TASK.get(task)


def pipeline_kind(pipeline: object, unet: dict[str, Any]) -> tuple[str, str] | None:
    """Task and family of a diffusers pipeline by its class and its denoiser's config; None for an unknown class."""
    if not isinstance(pipeline, str) or pipeline not in PIPELINES:
        return None
    task, family = PIPELINES[pipeline]
    width = unet.get("cross_attention_dim") if family == "sd15" else None
    return task, CROSS_ATTENTION.get(width, family) if isinstance(width, int) else family


def architecture_kind(config: dict[str, Any], embeds: bool) -> tuple[str | None, str, str, bool]:
    """Task (None for an unknown one), family, architecture, and whether it sees, by a transformers config."""
    names = config.get("architectures") or []
    architecture = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    family, sees = str(config.get("model_type") or "").lower()[:32], "vision_config" in config
    task = None
    if embeds:
        task = "embed"
    elif architecture.startswith(("Canary", "Parakeet", "Whisper")) or "SpeechSeq2Seq" in architecture:
        task = "transcribe"
    elif architecture.endswith("ForCausalLM") or (architecture.endswith("ForConditionalGeneration") and sees):
        task = "chat"
    return task, family, architecture, sees


def _refuse_code(name: str, content: dict[str, Any]) -> None:
    if why := code_in(name, content):
        raise ModelNotRecognised(
            Said(f"{why.text}. Atelier runs no code that comes with a model.", f"engine.{why.sentence}", **why.params),
            field="path",
            hint="Take a copy of the model that the libraries run by themselves.",
        )


def _is_chosen(path: Path) -> bool:
    """A component often lies there twice; the half-precision copy counts only where it is alone."""
    if ".fp16." not in path.name:
        return True
    return not path.with_name(re.sub(r"\.fp16([.-])", r"\1", path.name)).exists()


def _probe_transformers(folder: Path) -> Probe:
    config = _read_json(folder / "config.json")
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            _refuse_code(name, _read_json(folder / name))
    embeds = (folder / "modules.json").is_file() or (folder / "sentence_bert_config.json").is_file()
    task, family, architecture, sees = architecture_kind(config, embeds)
    weights = _weights(sorted(folder.glob("*.safetensors")))
    if task is None:
        name = architecture[:80] or "that config.json leaves out"
        raise ModelNotRecognised(
            Said(f"Atelier does not run the architecture {name!r}.", "probe.architecture_unknown", architecture=name),
            field="path",
            hint="Chat models end in ForCausalLM, or in ForConditionalGeneration and have a vision_config.",
        )
    return Probe(task, "base_model", family, engine_of(task, family), *weights, pipeline=architecture, sees=sees)


def _probe_peft(folder: Path) -> Probe:
    config = _read_json(folder / "adapter_config.json")
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise ModelNotRecognised(
            Said("The adapter has no adapter_model.safetensors.", "probe.adapter_empty"),
            field="path",
            hint="An adapter_model.bin is a pickle and is not read: convert it to safetensors.",
        )
    header = _header(file)
    base = config.get("base_model_name_or_path")
    task = "chat" if _adapts_chat(config, header) else "image"
    family = _lora_family(header) or ("" if task == "chat" else _unknown_lora(file))
    return Probe(task, "lora", family, None, *_figures([(file, header)]), base=base if isinstance(base, str) else None)


def _adapts_chat(config: dict[str, Any], header: Header) -> bool:
    """Where `task_type` is left out, as is peft's default, peft names the class that the adapter was made around.
    Other models than those that chat are ForConditionalGeneration too, such as Whisper: their layers lie elsewhere."""
    if (task := config.get("task_type")) is not None:
        return task == "CAUSAL_LM"
    mapping = config.get("auto_mapping")
    around = str(mapping.get("base_model_class")) if isinstance(mapping, dict) else ""
    sees = around.endswith("ForConditionalGeneration") and any(".language_model." in name for name in header.tensors)
    return around.endswith("ForCausalLM") or sees


def _probe_pyannote(folder: Path) -> Probe:
    return Probe(
        "diarize",
        "base_model",
        "pyannote",
        None,
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        0,
        "",
        notes=("Its weights are PyTorch pickles: Atelier loads them only from commits that it knows.",),
    )


# ── one file ──────────────────────────────────────────────────────────────────


def _probe_file(file: Path) -> Probe:
    if file.suffix.lower() in PICKLES:
        raise ModelNotRecognised(
            Said(
                f"{file.name} is a PyTorch pickle, not a safetensors file: reading one may run code.",
                "probe.pickle",
                name=file.name,
            ),
            field="path",
            hint="Take it as safetensors, or convert it where you trust it: doc/models.md says how.",
        )
    if file.suffix.lower() == ".gguf":
        raise ModelNotRecognised(
            Said(f"{file.name} is a GGUF file, which no engine here reads.", "probe.gguf", name=file.name),
            field="path",
            hint="Take the same model as safetensors; Atelier makes it smaller by itself where it is asked to.",
        )
    header = _header(file)
    figures = _figures([(file, header)])
    names = header.tensors
    if any("lora" in name.lower() for name in names):
        base = header.metadata.get("ss_sd_model_name") or header.metadata.get("ss_base_model_version")
        return Probe("image", "lora", _lora_family(header) or _unknown_lora(file), None, *figures, base=base)
    if (embedding := _embedding_family(header)) is not None:
        return Probe("image", "embedding", embedding, None, *figures)
    family = checkpoint_family(header)
    if family is None and (network := upscaler_architecture(header)) is not None:
        return Probe("image", "upscaler", network.lower(), None, *figures)
    if family is None:
        raise ModelNotRecognised(
            Said(f"{file.name} is no LoRA and no checkpoint that Atelier knows.", "probe.file_unknown", name=file.name),
            field="path",
            hint="It reads LoRAs (kohya, diffusers, peft), embeddings, upscalers, and checkpoints of SD 1.5, 2, XL, 3 "
            "and FLUX.",
        )
    if is_packed(header):
        raise ModelNotRecognised(
            Said(f"The weights of {file.name} are packed by another library.", "probe.file_packed", name=file.name),
            field="path",
            hint="Take the same model in bf16, fp16 or fp8; Atelier makes it smaller by itself where it is asked to.",
        )
    layout = layout_of(header, file.name)
    if layout is None and channels_of(header) is not None:
        raise ModelNotRecognised(
            Said(f"{file.name} is a model that is steered by other inputs.", "probe.file_other_inputs", name=file.name),
            field="path",
            hint="Those that read a depth map, edges or the like beside the prompt are not run.",
        )
    distilled = "schnell" if layout is not None and layout.denoiser.get("guidance_embeds") is False else ""
    return Probe(
        "image", "base_model", family, "diffusers_image", *figures, pipeline="single_file", distilled=distilled
    )


def _embedding_family(header: Header) -> str | None:
    """What a textual inversion was made for, by the width of its vectors: one tensor, or SDXL's pair."""
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
    if not 1 <= len(shapes) <= 2 or any(len(shape) not in (1, 2) for shape in shapes.values()):
        return None
    if any(len(shape) == 2 and shape[0] > MAX_VECTORS for shape in shapes.values()):
        return None
    if set(shapes) == {"clip_l", "clip_g"}:
        return "sdxl" if (shapes["clip_l"][-1], shapes["clip_g"][-1]) == (768, 1280) else None
    if len(shapes) > 1:
        return None
    return {768: "sd15", 1024: "sd2"}.get(next(iter(shapes.values()))[-1])


def _lora_family(header: Header) -> str | None:
    """What a LoRA was made for: by its blocks' names, then by the width that its cross-attention reads."""
    for name in header.tensors:
        plain = name.replace("_", ".")
        if "single.transformer.blocks" in plain or "double.blocks" in plain or "single.blocks" in plain:
            return "flux"
        if "joint.blocks" in plain:
            return "sd3"
        if name.startswith(("lora_te2_", "text_encoder_2.")):
            return "sdxl"
    for name, tensor in header.tensors.items():
        is_input = re.search(r"lora_?(A|down)\b", name) or ".lora.down." in name
        if is_input and re.search(r"attn2[._]to[._]k", name) and len(tensor.shape) >= 2:
            return CROSS_ATTENTION.get(tensor.shape[1])
    for name in header.tensors:
        if re.match(r"transformer[._]transformer[._]blocks[._]", name):
            return "sd3"
    return None


def _unknown_lora(file: Path) -> str:
    raise ModelNotRecognised(
        Said(f"{file.name} is a LoRA, but not for a model that Atelier knows.", "probe.lora_unknown", name=file.name),
        field="path",
        hint="It knows LoRAs of SD 1.5, 2, XL, 3 and FLUX, in kohya's, diffusers' and peft's layout.",
    )


# ── headers and small JSON ────────────────────────────────────────────────────


def _weights(files: Iterable[Path]) -> tuple[int, int, str]:
    """Bytes, parameters and prevailing dtype of a model's files. Raises ModelNotRecognised when there are none."""
    read = [(file, _header(file)) for file in files]
    if not read:
        raise ModelNotRecognised(
            Said("The folder has no safetensors weights.", "probe.no_weights"),
            field="path",
            hint="Weights as .bin, .pt or .ckpt are pickles and are not read: take a copy in safetensors.",
        )
    return _figures(read)


def _figures(read: Iterable[tuple[Path, Header]]) -> tuple[int, int, str]:
    size, elements = 0, Counter[str]()
    for file, header in read:
        size += file.stat().st_size
        for tensor in header.tensors.values():
            elements[tensor.dtype] += tensor.elements
    floats = {dtype: count for dtype, count in elements.items() if dtype in FLOATS} or elements
    return size, elements.total(), max(floats, key=lambda dtype: floats[dtype], default="")


def _header(file: Path) -> Header:
    try:
        return read_header(file)
    except (ValueError, OSError) as error:
        raise ModelNotRecognised(
            Said(f"{file.name} is no sound safetensors file: {error}.", "probe.file_damaged", name=file.name),
            field="path",
            hint="A renamed pickle is not read. If the file was downloaded, download it again.",
        ) from error


def _optional_json(path: Path) -> dict[str, Any]:
    return _read_json(path) if path.is_file() else {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("it is too large")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, OSError, RecursionError) as error:
        raise ModelNotRecognised(
            Said(f"{path.name} cannot be read: {error}.", "probe.unreadable", name=path.name),
            field="path",
            hint="The folder is incomplete; copy it again.",
        ) from error
    return content
