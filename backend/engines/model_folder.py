"""Is a diffusers model folder safe to load? Looked at by content, before any library opens it.

Refused: code (`*.py`, custom classes in `model_index.json`, `auto_map` in a component's config), weights that exist as
pickles only, folders behind links, and safetensors files whose header does not fit the file (a renamed pickle, a cut
download, offsets that point elsewhere). Standard library only; nothing is executed and no tensor is read.
"""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path

from engines.engine import LoadFailed

MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_HEADER_BYTES = 100 * 1024 * 1024
"""The safetensors format's own limit."""

PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
LIBRARIES = {"diffusers", "transformers", "stable_diffusion"}
"""Where a component may come from; "stable_diffusion" is diffusers' own folder of the safety checker."""

CONFIG_NAMES = {"config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"}

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip

_PICKLE_HINT = "Convert the model to safetensors, or take one that is published so."


def check_model_folder(folder: Path) -> dict:
    """Return the parsed `model_index.json` of a folder that is safe to load; raise LoadFailed for any other."""
    if not folder.is_dir():
        raise LoadFailed("model_missing", "the model's folder does not exist", "Download or register the model again.")
    index = _read_json(folder / "model_index.json", "model_index.json")
    _check_index(index)
    files = _walk(folder)
    for path in files:
        if path.name in CONFIG_NAMES and "auto_map" in _read_json(path, _shown(path, folder)):
            raise LoadFailed(
                "unsafe_model",
                f"{_shown(path, folder)} asks for code of its own (auto_map)",
                "Such models are not run.",
            )
    _check_weights(folder, files)
    return index


def check_safetensors(path: Path) -> None:
    """Raise ValueError unless the header is well formed and describes exactly the bytes of the file."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise ValueError("it is too short for a header")
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER_BYTES or 8 + length > size:
            raise ValueError("its header is longer than the file; it is no safetensors file, or cut short")
        header = _header(file.read(length))
    end = 0
    for name, (begin, stop, wanted) in sorted(_tensors(header).items(), key=lambda item: item[1]):
        if begin != end or stop - begin != wanted:
            raise ValueError(f"tensor {name[:80]!r} does not lie where its shape says")
        end = stop
    if 8 + length + end != size:
        raise ValueError(f"the header describes {8 + length + end} bytes, the file has {size}")


def weight_files(folder: Path, component: str) -> list[Path]:
    """A component's safetensors files, in order of name."""
    return sorted((folder / component).glob("*.safetensors"))


def _check_index(index: dict) -> None:
    if not isinstance(index.get("_class_name"), str):
        raise LoadFailed(
            "unsafe_model", "model_index.json names no pipeline class of diffusers", "Custom pipelines are not run."
        )
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list):
            continue
        if (
            len(value) != 2
            or not (value[0] is None or value[0] in LIBRARIES)
            or not (value[1] is None or isinstance(value[1], str))
        ):
            raise LoadFailed(
                "unsafe_model",
                f"model_index.json takes {name!r} from outside diffusers and transformers",
                "Such models are not run.",
            )


def _walk(folder: Path) -> list[Path]:
    files = []
    for directory, subdirectories, names in os.walk(folder):
        for name in subdirectories:
            if (Path(directory) / name).is_symlink():
                raise LoadFailed("unsafe_model", f"{name} is a link to a folder elsewhere", "Copy the folder instead.")
        files += [Path(directory) / name for name in names]
    for path in files:
        if path.suffix.lower() in {".py", ".pyc", ".so"}:
            raise LoadFailed(
                "unsafe_model", f"the folder holds code: {_shown(path, folder)}", "Models that bring code are not run."
            )
    return sorted(files)


def _check_weights(folder: Path, files: list[Path]) -> None:
    safe = [path for path in files if path.suffix == ".safetensors"]
    have_safe = {path.parent for path in safe}
    for path in files:
        if path.suffix.lower() in PICKLE_SUFFIXES and path.parent not in have_safe:
            raise LoadFailed(
                "unsafe_model",
                f"{_shown(path, folder)} is a pickle, and there is no safetensors file beside it",
                _PICKLE_HINT,
            )
    if not safe:
        raise LoadFailed("model_incomplete", "the folder has no safetensors weights", "Download the model again.")
    for path in safe:
        try:
            check_safetensors(path)
        except (ValueError, OSError) as error:
            raise LoadFailed(
                "model_damaged", f"{_shown(path, folder)}: {error}", "Download the model again."
            ) from error


def _header(raw: bytes) -> dict:
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("its header is no JSON") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header


def _tensors(header: dict) -> dict[str, tuple[int, int, int]]:
    """name -> (begin, end, bytes that dtype and shape need)."""
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            (begin, end), shape, bits = entry["data_offsets"], entry["shape"], DTYPE_BITS[entry["dtype"]]
            numbers = [begin, end, *shape]
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"tensor {name[:80]!r} is not described as the format demands") from error
        if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers):
            raise ValueError(f"tensor {name[:80]!r} has a size that is no size")
        tensors[name] = (begin, end, -(-math.prod(shape) * bits // 8))
    return tensors


def _read_json(path: Path, shown: str) -> dict:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise LoadFailed("unsafe_model", f"{shown} is larger than {MAX_JSON_BYTES} bytes")
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise LoadFailed(
            "model_incomplete",
            f"the folder has no {shown}",
            "It is not a diffusers model, or the download did not end.",
        ) from error
    except (ValueError, OSError, RecursionError) as error:
        raise LoadFailed("model_damaged", f"{shown} cannot be read as JSON", "Download the model again.") from error
    if not isinstance(content, dict):
        raise LoadFailed("model_damaged", f"{shown} is no JSON object", "Download the model again.")
    return content


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
