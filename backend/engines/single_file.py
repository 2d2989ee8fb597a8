"""A pipeline from a checkpoint in one file: diffusers converts the names, the configurations are shipped.

diffusers would fetch them from the hub; here they lie in `checkpoint_layouts/`, and CLIP's tokenizer is made of merges.
What a file lacks (FLUX's often hold the denoiser alone) another model of its family lends: a folder, or a whole file.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors import safe_open
from transformers import CLIPTokenizer

from engines.checkpoint_files import LAYOUTS, SCALE, Layout, layout_of
from engines.engine import LoadFailed
from engines.image_speed import Speed, denoiser_name, quantized
from engines.safetensors_file import read_header

CLIP_TOKENS = 77
TRAINED_ON_ZEROS = "!"
PADDING = {"tokenizer_2": TRAINED_ON_ZEROS}
"""What OpenCLIP's encoders (SD 2's, the second of SDXL and SD 3) were trained to see behind a prompt: token 0. All
others: the end."""


def check_checkpoint(file: Path) -> dict[str, Any]:
    """What its `model_index.json` would be, if it had one. Raises LoadFailed for a file that is not run."""
    layout = _layout(file)
    return json.loads((layout.folder / "model_index.json").read_bytes()) | {"_class_name": layout.pipeline}


def pipeline_of(
    file: Path, speed: Speed, device: str, dtype: torch.dtype, there: dict[str, Any], lender: Path | None = None
) -> Any:
    """The pipeline of a checkpoint, on the CPU. Components that are `there` already are not made again; those that
    the file lacks come from `lender`. Raises LoadFailed."""
    layout = _layout(file)
    config = {"config": str(layout.folder), "local_files_only": True, "torch_dtype": dtype}
    index = json.loads((layout.folder / "model_index.json").read_bytes())
    made: dict[str, Any] = {"scheduler": _scheduler(layout), **_parts_of(layout, index), **there}
    part = denoiser_name(index)
    assert part is not None, "a layout names its denoiser"
    try:
        if part not in made:
            # By itself: not all of its configuration is shipped, some is told by the file's shapes.
            made[part] = getattr(diffusers, index[part][1]).from_single_file(
                _denoiser(file, layout, dtype), subfolder=part, **layout.denoiser, **config
            )
        made |= _lent(file, layout, lender, dtype, made)
        pipe = getattr(diffusers, layout.pipeline).from_single_file(str(file), **config, **made)
        if hollow := _hollow(pipe):
            raise ValueError(f"there are no weights for {hollow}")
        if layout.family == "sd2" and layout.channels == 4 and not layout.predicts_v and "scheduler" not in there:
            _tell_v(pipe)
        if part not in there:
            quantized(made[part], speed, device, dtype)
        return pipe
    except (ValueError, LookupError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise LoadFailed(
            "model_damaged",
            f"{file.name}: {(str(error).splitlines() or [''])[0][:300]}",
            "Download the model again.",
            file=file.name,
        ) from error


def _hollow(pipe: Any) -> str:
    """A tensor that the file had nothing for: diffusers leaves those without memory. "" when there is none."""
    for part, module in pipe.components.items():
        for name, tensor in module.named_parameters() if isinstance(module, torch.nn.Module) else ():
            if tensor.is_meta:
                return f"{part}.{name}"
    return ""


def _layout(file: Path) -> Layout:
    if file.suffix != ".safetensors":
        raise LoadFailed(
            "unsafe_model",
            f"{file.name} is a pickle, and there is no safetensors file beside it",
            "Convert the model to safetensors, or take one that is published so.",
            sentence="unsafe_pickle",
            file=file.name,
        )
    try:
        layout = layout_of(read_header(file), file.name)
    except (ValueError, OSError) as error:
        words = f"{file.name}: {error}"
        raise LoadFailed("model_damaged", words, "Download the model again.", file=file.name) from error
    if layout is None:
        raise LoadFailed(
            "checkpoint_unknown",
            f"{file.name} is no checkpoint of Stable Diffusion 1.5, 2, XL, 3 or FLUX",
            "Other models are run from a folder in diffusers' layout.",
            file=file.name,
        )
    return layout


def _denoiser(file: Path, layout: Layout, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Its tensors, those of 8 bits multiplied by their scales."""
    with safe_open(file, framework="pt") as opened:
        names = [name for name in opened.keys() if name.startswith(layout.prefix)]  # noqa: SIM118
        state = {name: opened.get_tensor(name) for name in names}
    scales = {name: state.pop(name) for name in names if name.endswith(SCALE)}
    for name, scale in scales.items():
        weight = f"{name.removesuffix(SCALE)}.weight"
        state[weight] = (state[weight].float() * scale.float()).to(dtype)
    return {name: one for name, one in state.items() if not name.endswith((".scale_input", "scaled_fp8"))}


def _lent(file: Path, layout: Layout, lender: Path | None, dtype: torch.dtype, made: dict[str, Any]) -> dict[str, Any]:
    """The components that the file lacks. Raises LoadFailed where nobody lends them."""
    index = json.loads((layout.folder / "model_index.json").read_bytes())
    wanted = [name for name in layout.lent if name not in made or name.startswith("tokenizer")]
    if not any(name not in made for name in wanted):
        return {}
    if lender is None:
        raise LoadFailed(
            "checkpoint_incomplete",
            f"{file.name} holds a part of a model only: {' and '.join(layout.missing)} cannot be found in it",
            "Add a whole model of the same family, in diffusers' folders: it lends what is missing.",
            file=file.name,
        )
    if layout.family == "sd3":
        wanted += ["text_encoder_3", "tokenizer_3"]
    if lender.is_file():
        part = denoiser_name(index)
        whole = pipeline_of(lender, Speed(), "cpu", dtype, {part: made[part]})
    else:
        names = json.loads((lender / "model_index.json").read_bytes())
        others = [name for name, one in names.items() if isinstance(one, list) and name not in wanted]
        whole = diffusers.DiffusionPipeline.from_pretrained(
            str(lender),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            variant=variant_of(lender),
            **{**dict.fromkeys(others), **left_out_of(lender)},
        )
    if lacking := [name for name in layout.lent if getattr(whole, name, None) is None]:
        raise LoadFailed(
            "checkpoint_incomplete",
            f"{file.name} holds a part of a model only, and {lender.name} has no {' and no '.join(lacking)} to lend",
            "Choose another model of the same family to lend it.",
            file=file.name,
        )
    return {name: getattr(whole, name, None) for name in wanted}


def _scheduler(layout: Layout) -> Any:
    config = json.loads((layout.folder / "scheduler" / "scheduler_config.json").read_bytes())
    if layout.predicts_v:
        config["prediction_type"] = "v_prediction"
    if layout.denoiser.get("guidance_embeds") is False:  # FLUX schnell
        config |= {"use_dynamic_shifting": False, "shift": 1.0}
    if layout.zero_snr:
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return getattr(diffusers, config["_class_name"]).from_config(config)


@torch.no_grad()
def _tell_v(pipe: Any) -> None:
    """Stable Diffusion 2 predicts noise at 512 pixels and v at 768, and its file does not say which it is. So it is
    asked, as A1111 does (`modules/sd_models_config.py`): from nothing but noise a denoiser that predicts noise says
    what it was given, one that predicts v says the reverse of a picture."""
    unet = pipe.unet
    given = torch.full((1, unet.config.in_channels, 8, 8), 0.5, dtype=unet.dtype)
    words = torch.full((1, 2, unet.config.cross_attention_dim), 0.5, dtype=unet.dtype)
    if float((unet(given, 999, words).sample - given).float().mean()) < -1:
        pipe.scheduler.register_to_config(prediction_type="v_prediction")


def variant_of(folder: Path) -> str | None:
    """ "fp16" for a folder that holds nothing else; diffusers looks for plain names unless told."""
    files = list(folder.glob("*/*.safetensors"))
    return "fp16" if files and all(".fp16." in file.name for file in files) else None


def left_out_of(folder: Path) -> dict[str, None]:
    """The components that the folder says it has not, such as the third text encoder of many copies of SD 3: diffusers
    wants to hear that they are meant to be missing."""
    index = json.loads((folder / "model_index.json").read_bytes())
    return {name: None for name, value in index.items() if isinstance(value, list) and value == [None, None]}


def _parts_of(layout: Layout, index: dict[str, Any]) -> dict[str, Any]:
    """The parts that a file does not hold: tokenizers, and those that a model may be without."""
    made: dict[str, Any] = {
        name: clip_tokenizer(name, TRAINED_ON_ZEROS if layout.family == "sd2" else None)
        for name in ("tokenizer", "tokenizer_2")
        if index.get(name, [None])[-1] == "CLIPTokenizer"
    }
    without = (name for name, value in index.items() if value == [None, None] and name.endswith("_3"))
    return made | dict.fromkeys(without)


def clip_tokenizer(name: str = "tokenizer", padding: str | None = None) -> CLIPTokenizer:
    """CLIP's byte pair encoding of 49,408 tokens: every byte, every byte at a word's end, one token for each merge in
    their order, and the two marks (Radford et al. 2021, `clip/simple_tokenizer.py`)."""
    lines = gzip.decompress((LAYOUTS / "clip_merges.txt.gz").read_bytes()).decode().splitlines()
    merges = [tuple(line.split()) for line in lines]
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(code) for code in printed] + [chr(256 + number) for number in range(256 - len(printed))]
    marks = ("<|startoftext|>", "<|endoftext|>")
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), *marks]
    return CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=merges,
        pad_token=padding or PADDING.get(name, "<|endoftext|>"),
        model_max_length=CLIP_TOKENS,
    )
