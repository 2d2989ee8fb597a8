"""What the memory formulas need to know of a model, read from its small configuration files.

Nothing here opens a tensor: parameters and types come from the safetensors headers that `probe` read, the rest from
`config.json` and its like. What a folder does not say is taken from what its family usually is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isqrt, prod
from pathlib import Path
from typing import Any

from engines.checkpoint_files import LAYOUTS, RUN_FROM_ONE_FILE, layout_of
from engines.safetensors_file import read_header

from atelier.models.probe import MAX_JSON_BYTES

DENOISERS = ("unet", "transformer")
"""Folders of a picture model's parts."""


@dataclass(frozen=True)
class Anatomy:
    """Channels and widths are elements. `decoder_channels` are those of the autoencoder's two last stages;
    `latent_side` is the pixels that one latent stands for; `layers` to `context` are of language models; `linear` of
    the parameters are in matrices that can be quantised (a denoiser's, or all of a language model but its embeddings);
    `quantized_bytes`: of weights that came quantised, by their files; `sees`: a language model takes pictures.
    Of models for pictures: `tile_side` is of the squares that the decoder may go through one after another (0: it
    cannot); `denoiser` and `other_part` are the parameters of the denoiser and of the largest part beside it (0: not
    known)."""

    task: str
    parameters: int
    stored_bits: int
    decoder_channels: int = 256
    upcasts_decoder: bool = False
    latent_side: int = 8
    unet_channels: tuple[int, ...] = ()
    unet_layers: int = 2
    hidden: int = 0
    patch: int = 2
    layers: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    vocabulary: int = 0
    context: int = 0
    linear: int = 0
    quantized_bytes: int = 0
    sees: bool = False
    tile_side: int = 0
    denoiser: int = 0
    other_part: int = 0


def read_anatomy(path: Path, *, task: str, parameters: int, stored_bits: int) -> Anatomy:
    """Of the model that lies at `path`. Blocking; remembered until one of its files changes."""
    marks = tuple(_changed(path / name) for name in _FILES)
    return _read(path, task, parameters, stored_bits, marks)


def anatomy_told(
    configs: Mapping[str, Any],
    *,
    task: str,
    family: str,
    parameters: int,
    stored_bits: int,
    weights_bytes: int,
    linear: int = 0,
    denoiser: int = 0,
    other_part: int = 0,
) -> Anatomy:
    """Of a model that is not here, by what is known of its configs: name in the repository -> object. What they do not
    say is taken from the configs that are shipped for its family. The last three are of models for pictures."""
    anatomy = Anatomy(task, parameters, stored_bits)
    if task not in ("image", "video"):
        return _of_language(configs.get("config.json", {}), anatomy, lambda: weights_bytes)
    is_shipped = family in RUN_FROM_ONE_FILE

    def config(name: str) -> dict[str, Any]:
        return configs.get(name) or (_json(LAYOUTS / family / name) if is_shipped else {})

    return replace(_of_pictures(config, anatomy), linear=linear, denoiser=denoiser, other_part=other_part)


def telling(configs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of a repository's configs what `anatomy_told` reads."""
    return {name: _telling(configs[name], fields) for name, fields in _READ.items() if name in configs}


def _telling(config: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    kept = {name: config[name] for name in fields if name in config}
    for name in ("vision_config", "quantization_config"):  # that it is there says enough
        if isinstance(kept.get(name), dict):
            kept[name] = {}
    if isinstance(kept.get("text_config"), dict):
        kept["text_config"] = _telling(kept["text_config"], fields)
    return kept


TILES = "AutoencoderKL"
"""The decoder that can go through a picture in tiles."""

_READ = {
    "config.json": (
        *("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_size", "vocab_size"),
        *("max_position_embeddings", "tie_word_embeddings", "vision_config", "quantization_config", "text_config"),
    ),
    "unet/config.json": ("block_out_channels", "layers_per_block"),
    "transformer/config.json": ("num_attention_heads", "attention_head_dim", "patch_size", "in_channels"),
    "vae/config.json": ("block_out_channels", "force_upcast", "sample_size", "latent_channels", "_class_name"),
}

_FILES = (".", "config.json", "vae/config.json", "unet/config.json", "transformer/config.json")


@lru_cache(maxsize=256)
def _read(path: Path, task: str, parameters: int, stored_bits: int, marks: tuple[int, ...]) -> Anatomy:
    anatomy = Anatomy(task, parameters, stored_bits)
    if task in ("image", "video"):
        return _of_folder(path, anatomy) if path.is_dir() else _of_checkpoint(path, anatomy)
    return _of_language(_json(path / "config.json"), anatomy, lambda: _weights(path))


def _of_folder(path: Path, anatomy: Anatomy) -> Anatomy:
    by_part: Counter[str] = Counter()
    for file in path.glob("*/*.safetensors"):
        by_part[file.parent.name] += file.stat().st_size
    denoiser, other_part = shares(anatomy.parameters, by_part)
    anatomy = replace(anatomy, linear=_matrices(path), denoiser=denoiser, other_part=other_part)
    return _of_pictures(lambda name: _json(path / name), anatomy)


def shares(parameters: int, weights: Mapping[str, int]) -> tuple[int, int]:
    """Of a picture model's parameters those of the denoiser and of the largest part beside it, by the bytes of each
    part's files."""
    total = sum(weights.values())
    if not total:
        return 0, 0
    others = [size for name, size in weights.items() if name not in DENOISERS]
    denoiser = sum(size for name, size in weights.items() if name in DENOISERS)
    return parameters * denoiser // total, parameters * max(others, default=0) // total


def _matrices(path: Path) -> int:
    """How many parameters are in the denoiser's matrices, by the headers of its files."""
    total = 0
    for name in DENOISERS:
        for file in sorted((path / name).glob("*.safetensors")):
            try:
                tensors = read_header(file).tensors
            except (OSError, ValueError):
                continue  # whoever loads it will say what is wrong
            total += sum(
                prod(one.shape) for key, one in tensors.items() if len(one.shape) == 2 and key.endswith("weight")
            )
    return total


def _of_checkpoint(file: Path, anatomy: Anatomy) -> Anatomy:
    """Of a model in one file: what it does not say is shipped."""
    try:
        header = read_header(file)
    except (OSError, ValueError):
        return anatomy  # whoever loads it will say what is wrong
    layout = layout_of(header)
    if layout is None:
        return anatomy
    denoiser = {name: prod(one.shape) for name, one in header.tensors.items() if name.startswith(layout.prefix)}
    matrices = [n for name, n in denoiser.items() if name.endswith("weight") and len(header.tensors[name].shape) == 2]
    anatomy = _of_pictures(lambda name: _json(layout.folder / name), anatomy)
    told = layout.denoiser
    heads = told.get("num_attention_heads", 0) * told.get("attention_head_dim", 0)
    hidden = told.get("caption_projection_dim") or heads or anatomy.hidden
    return replace(anatomy, hidden=hidden, linear=sum(matrices), denoiser=sum(denoiser.values()))


def _of_pictures(config: Callable[[str], dict[str, Any]], anatomy: Anatomy) -> Anatomy:
    vae, unet = config("vae/config.json"), config("unet/config.json")
    channels = _numbers(vae.get("block_out_channels")) or (128, 256)
    anatomy = replace(
        anatomy,
        decoder_channels=max(channels[:2]),
        upcasts_decoder=bool(vae.get("force_upcast")),
        latent_side=2 ** (len(channels) - 1) if vae else 8,
        tile_side=_number(vae.get("sample_size"), 0) if vae.get("_class_name", TILES) == TILES else 0,
    )
    if unet:
        return replace(
            anatomy,
            unet_channels=_numbers(unet.get("block_out_channels")) or (320, 640, 1280, 1280),
            unet_layers=_number(unet.get("layers_per_block"), 2),
        )
    transformer = config("transformer/config.json")
    heads, width = _number(transformer.get("num_attention_heads"), 24), transformer.get("attention_head_dim")
    patch, taken = _number(transformer.get("patch_size"), 2), _number(transformer.get("in_channels"), 0)
    # FLUX packs squares of latents into channels before its transformer, whose own patches are of one.
    packed = max(1, isqrt(taken // _number(vae.get("latent_channels"), 16)))
    return replace(anatomy, hidden=heads * _number(width, 128), patch=max(patch, patch * packed))


def _of_language(config: dict[str, Any], anatomy: Anatomy, weights_bytes: Callable[[], int]) -> Anatomy:
    sees = isinstance(config.get("vision_config"), dict)
    is_quantized = isinstance(config.get("quantization_config"), dict)
    whole, config = config, config.get("text_config") if isinstance(config.get("text_config"), dict) else config
    shared = any(one.get("tie_word_embeddings") is True for one in (whole, config))
    heads, hidden = _number(config.get("num_attention_heads"), 32), _number(config.get("hidden_size"), 4096)
    vocabulary = _number(config.get("vocab_size"), 32000)
    return replace(
        anatomy,
        linear=0 if is_quantized else max(0, anatomy.parameters - vocabulary * hidden * (1 if shared else 2)),
        quantized_bytes=weights_bytes() if is_quantized else 0,
        hidden=hidden,
        layers=_number(config.get("num_hidden_layers"), 32),
        kv_heads=_number(config.get("num_key_value_heads"), heads),
        head_dim=_number(config.get("head_dim"), max(1, hidden // max(1, heads))),
        vocabulary=vocabulary,
        context=_number(config.get("max_position_embeddings"), 4096),
        sees=sees,
    )


def _weights(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("*.safetensors"))


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; empty for anything that is none. A wrong estimate is no reason to refuse a model."""
    try:
        content = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_JSON_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**7 else default


def _numbers(values: Any) -> tuple[int, ...]:
    """Positive whole numbers of a list; a list of anything else is empty."""
    if not isinstance(values, list) or not all(isinstance(v, int) and 0 < v < 10**6 for v in values):
        return ()
    return tuple(values)
