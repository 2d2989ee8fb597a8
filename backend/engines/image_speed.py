"""What makes a loaded pipeline faster or smaller: quantised weights, compiled blocks, another attention, offloading.

Load options, all optional:

    quality        lossless (nothing that changes a picture) | balanced (fp8 weights) | fast (the step cache and sage
                   attention as well); what is given explicitly wins
    quantization   none | int8 | fp8 | fp4 (experimental): the denoiser's linear layers, weights only (torchao)
    compile        the denoiser's repeated blocks, once (`compile_repeated_blocks`)
    attention      auto (the first that works of flash, xformers, sdpa) | flash | xformers | sage | sdpa
    vae_slicing    decode one picture after another
    vae_tiling     decode tile by tile; seams are blended, so pictures change a little
    offload        none | model | group: parts, or blocks, wait in the host's memory until they are needed
    step_cache     skip a step's blocks where the first one says that little has changed (transformers only)

What cannot be had here is left out, with a line in the worker's log and a note for its health (`left_out`); it is never
a reason not to load. Whether a
quantisation works is not guessed from names: a small layer is quantised and run on the device.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, fields
from typing import Any

import torch

from engines.engine import LoadFailed, Options
from engines.protocol import Attention, LeftOut

TIERS: dict[str, dict[str, Any]] = {
    "lossless": {},
    "balanced": {"quantization": "fp8"},
    "fast": {"quantization": "fp8", "step_cache": True, "attention": "sage"},
}
CHOICES = {
    "quantization": ("none", "int8", "fp8", "fp4"),
    "attention": ("auto", "flash", "xformers", "sage", "sdpa"),
    "offload": ("none", "model", "group"),
    "quality": tuple(TIERS),
}
AUTOMATIC = ("flash", "xformers")
ATTENTIONS = {"flash": "flash's", "xformers": "xformers'", "sage": "sage's", "sdpa": "PyTorch's own (sdpa)"}
CACHE_THRESHOLD = 0.05
COMPILED: dict[str, Any] = {}
"""How, as `torch.compile` takes it."""
RECOMPILED_AT_MOST = 64

_left_out: dict[str, LeftOut] = {}  # a worker loads one model; one that wakes goes without the same
_attention_of: dict[str, Attention] = {}


@dataclass(frozen=True)
class Speed:
    """The options of one model, decided."""

    quantization: str = "none"
    compile: bool = False
    attention: str = "auto"
    vae_slicing: bool = False
    vae_tiling: bool = False
    offload: str = "none"
    step_cache: bool = False


def chosen_speed(options: Options) -> Speed:
    """What the options ask for, before anything is loaded by them. Raises LoadFailed for a word that is none."""
    _left_out.clear()
    _attention_of.clear()
    for name, known in CHOICES.items():
        if name in options and options[name] not in known:
            raise LoadFailed(
                "invalid_option",
                f"{name} {options[name]!r} is none of {', '.join(known)}",
                sentence="invalid_load_option",
                name=name,
                value=str(options[name]),
                known=", ".join(known),
            )
    names = {field.name for field in fields(Speed)}
    given = {name: value for name, value in options.items() if name in names}
    return Speed(**{**TIERS[str(options.get("quality", "lossless"))], **given})


def denoiser_name(index: dict[str, Any]) -> str | None:
    """Which component of a `model_index.json` takes the steps."""
    return next((name for name in ("transformer", "unet") if index.get(name, [None])[0] is not None), None)


def quantized_loading(speed: Speed, denoiser: str | None, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Arguments of `from_pretrained` that quantise the denoiser as it is read; none where that cannot be done."""
    config = _possible(speed, denoiser, device, dtype)
    if config is None:
        return {}
    from diffusers import PipelineQuantizationConfig, TorchAoConfig

    return {"quantization_config": PipelineQuantizationConfig(quant_mapping={denoiser: TorchAoConfig(config)})}


def quantized(part: torch.nn.Module, speed: Speed, device: str, dtype: torch.dtype) -> None:
    """The same for a denoiser that was read already: in place, and on its device."""
    config = _possible(speed, "unet", device, dtype)
    if config is not None:
        from torchao.quantization import quantize_

        quantize_(part.to(device), config)


def _possible(speed: Speed, denoiser: str | None, device: str, dtype: torch.dtype) -> Any:
    """torchao's configuration of what was asked for; None where it cannot be done."""
    if speed.quantization == "none" or denoiser is None:
        return None
    try:
        config = _quantization(speed.quantization)
        _try_out(config, device, dtype)
    except Exception as error:  # the edge: whatever a library raises, the model loads as it is
        _lacks(f"{speed.quantization} weights", f"quantization: {speed.quantization}", "error", _short(error))
        return None
    experimental = ", which is experimental" if speed.quantization == "fp4" else ""
    _say(f"the {denoiser}'s weights are quantised to {speed.quantization}{experimental}")
    return config


def place(pipe: Any, speed: Speed, device: str) -> Any:
    """The pipeline on its device, whole or part by part, with all else that was asked for."""
    kind = device.partition(":")[0]
    if speed.offload != "none" and kind == "cpu":
        _lacks("offloading", f"offload: {speed.offload}", "cpu", "there is nothing to offload from")
    if speed.offload == "none" or kind == "cpu" or not _offloaded(pipe, speed.offload, device):
        pipe = pipe.to(device)
    if kind == "cuda":
        _attempt("convolutions with channels last", "", lambda: channels_last(pipe))
    denoiser = getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)
    if denoiser is not None:
        _attention(denoiser, speed.attention, kind)
        if speed.step_cache:
            _cache_steps(denoiser)
        if speed.compile:
            _compile(denoiser, kind)
    for wanted, call in ((speed.vae_slicing, "enable_slicing"), (speed.vae_tiling, "enable_tiling")):
        if wanted:
            what = f"vae_{call.partition('_')[2]}"
            _attempt(f"the decoder's {what}", what, lambda call=call: getattr(pipe.vae, call)())
    return pipe


def channels_last(pipe: Any) -> None:
    """Convolutions with the channels as the innermost dimension, which GPUs' tensor cores read without turning it
    round (diffusers' documentation, optimization/memory). What they compute is the same, but for the rounding."""
    for name in ("unet", "vae"):
        if (part := getattr(pipe, name, None)) is not None:
            part.to(memory_format=torch.channels_last)


def held_bytes(tensor: torch.Tensor) -> int:
    """What a tensor takes: a quantised one consists of others."""
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(held_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return tensor.nbytes


# ── one option after another ──────────────────────────────────────────────────


def _quantization(name: str) -> Any:
    from torchao import quantization

    if name == "fp4":
        from torchao.prototype.mx_formats import NVFP4WeightOnlyConfig

        return NVFP4WeightOnlyConfig()
    return {"int8": quantization.Int8WeightOnlyConfig, "fp8": quantization.Float8WeightOnlyConfig}[name]()


@torch.no_grad()
def _try_out(config: Any, device: str, dtype: torch.dtype) -> None:
    """Quantise a small layer and run it. Raises what the library raises."""
    from torchao.quantization import quantize_

    layer = torch.nn.Sequential(torch.nn.Linear(64, 64)).to(device, dtype)
    quantize_(layer, config)
    if not torch.isfinite(layer(torch.ones(2, 64, device=device, dtype=dtype))).all():
        raise RuntimeError("it computes nonsense")


def _offloaded(pipe: Any, how: str, device: str) -> bool:
    def by_part() -> None:
        pipe.enable_model_cpu_offload(device=device)

    def by_block() -> None:
        pipe.enable_group_offload(
            onload_device=torch.device(device),
            offload_device=torch.device("cpu"),
            offload_type="leaf_level",
            use_stream=True,
        )

    return _attempt(f"offloading by {how}", f"offload: {how}", by_part if how == "model" else by_block)


def _attention(denoiser: Any, wanted: str, kind: str) -> None:
    """The first that works. PyTorch's own (sdpa) always does, and holds flash attention for what it fits."""
    order = AUTOMATIC if wanted == "auto" else () if wanted == "sdpa" else (wanted,)
    without: list[LeftOut] = []
    for name in order:
        if kind == "cpu" and wanted == "auto":  # nobody misses it
            without.append(LeftOut(option=name, why="cpu"))
            continue
        try:
            _use_attention(denoiser, name)
        except Exception as error:  # the edge: libraries that are missing, too old, or not for this device
            reason = _short(error)
            _lacks(f"{name} attention", f"attention: {name}" if name == wanted else "", "error", reason)
            without.append(LeftOut(option=name, why="error", reason=reason))
        else:
            break
    else:
        name = "sdpa"
    _say(f"attention is {ATTENTIONS[name]}")
    _attention_of["latest"] = Attention(backend=name, without=without)


def _use_attention(denoiser: Any, name: str) -> None:
    processors = getattr(denoiser, "attn_processors", {}).values()
    if any(hasattr(processor, "_attention_backend") for processor in processors):
        denoiser.set_attention_backend(name)
    elif name == "xformers":
        denoiser.enable_xformers_memory_efficient_attention()
    else:
        raise RuntimeError("this denoiser's attention is not dispatched by name")


def _cache_steps(denoiser: Any) -> None:
    if not hasattr(denoiser, "enable_cache"):
        _lacks("the step cache", "step_cache", "model", "it is for transformers; this denoiser is none")
        return

    def enable() -> None:
        from diffusers import FirstBlockCacheConfig

        denoiser.enable_cache(FirstBlockCacheConfig(threshold=CACHE_THRESHOLD))

    _attempt("the step cache", "step_cache", enable)


def _compile(denoiser: Any, kind: str) -> None:
    if kind == "cpu" and not any(map(shutil.which, (os.environ.get("CXX") or "g++", "clang++"))):
        _lacks("compiling", "compile", "compiler", "it needs a C++ compiler; there is none")
    elif kind == "cuda" and importlib.util.find_spec("triton") is None:
        _lacks("compiling", "compile", "compiler", "it needs triton; there is none")
    elif not getattr(denoiser, "_repeated_blocks", None):
        _lacks("compiling", "compile", "model", "this denoiser does not say which of its blocks repeat")
    else:
        torch._dynamo.config.suppress_errors = True  # a block that cannot be compiled runs as it is
        # Blocks of one class share this limit: each width, with and without LoRAs, at sizes that come and go.
        torch._dynamo.config.recompile_limit = RECOMPILED_AT_MOST
        _attempt("compiling the repeated blocks", "compile", lambda: denoiser.compile_repeated_blocks(**COMPILED))


def _attempt(what: str, option: str, deed: Any) -> bool:
    try:
        deed()
    except Exception as error:  # the edge: an option that fails is left out
        _lacks(what, option, "error", _short(error))
        return False
    _say(f"{what}: on")
    return True


def _lacks(what: str, option: str, why: str, reason: str) -> None:
    """`option`: "" for one that nobody asked for by its name."""
    _say(f"{what} cannot be had here: {reason}")
    if option:
        _left_out[option] = LeftOut(option=option, why=why, reason=reason)


def left_out() -> list[LeftOut]:
    """What the latest load of this process went without."""
    return list(_left_out.values())


def attention() -> Attention | None:
    """What the latest load of this process chose; None for a model without a denoiser."""
    return _attention_of.get("latest")


def _say(words: str) -> None:
    print(f"load options: {words}", file=sys.stderr, flush=True)


def _short(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
