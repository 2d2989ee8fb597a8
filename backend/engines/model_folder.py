"""Is a diffusers model folder safe to load? Looked at by content, before any library opens it.

Refused: code (`*.py`, custom classes in `model_index.json`, `auto_map` in a component's config), weights that exist as
pickles only, folders behind links, and safetensors files whose header does not fit the file (a renamed pickle, a cut
download, offsets that point elsewhere). Standard library only; nothing is executed and no tensor is read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from engines.engine import LoadFailed
from engines.remote_code import code_in
from engines.safetensors_file import read_header

MAX_JSON_BYTES = 4 * 1024 * 1024
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
CONFIG_NAMES = {"config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"}

_PICKLE_HINT = "Convert the model to safetensors, or take one that is published so."


def check_model_folder(folder: Path) -> dict:
    """Return the parsed `model_index.json` of a folder that is safe to load; raise LoadFailed for any other."""
    if not folder.is_dir():
        raise LoadFailed("model_missing", "the model's folder does not exist", "Download or register the model again.")
    index = _read_json(folder / "model_index.json", "model_index.json")
    _refuse_code("model_index.json", index)
    files = _walk(folder)
    for path in files:
        if path.name in CONFIG_NAMES:
            _refuse_code(_shown(path, folder), _read_json(path, _shown(path, folder)))
    _check_weights(folder, files)
    return index


def weight_files(folder: Path, component: str) -> list[Path]:
    """A component's safetensors files, in order of name."""
    return sorted((folder / component).glob("*.safetensors"))


def _refuse_code(name: str, content: dict) -> None:
    if why := code_in(name, content):
        raise LoadFailed("unsafe_model", why.text, "Such models are not run.", sentence=why.sentence, **why.params)


def _walk(folder: Path) -> list[Path]:
    files = []
    for directory, subdirectories, names in os.walk(folder):
        for name in subdirectories:
            if (Path(directory) / name).is_symlink():
                raise LoadFailed(
                    "unsafe_model",
                    f"{name} is a link to a folder elsewhere",
                    "Copy the folder instead.",
                    sentence="unsafe_link",
                    name=name,
                )
        files += [Path(directory) / name for name in names]
    for path in files:
        if path.suffix.lower() in {".py", ".pyc", ".so"}:
            raise LoadFailed(
                "unsafe_model",
                f"the folder holds code: {_shown(path, folder)}",
                "Models that bring code are not run.",
                sentence="unsafe_code",
                file=_shown(path, folder),
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
                sentence="unsafe_pickle",
                file=_shown(path, folder),
            )
    if not safe:
        raise LoadFailed(
            "model_incomplete",
            "the folder has no safetensors weights",
            "Download the model again.",
            sentence="no_weights",
        )
    for path in safe:
        try:
            read_header(path)
        except (ValueError, OSError) as error:
            raise LoadFailed(
                "model_damaged",
                f"{_shown(path, folder)}: {error}",
                "Download the model again.",
                file=_shown(path, folder),
            ) from error


def _read_json(path: Path, shown: str) -> dict:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise LoadFailed(
                "unsafe_model",
                f"{shown} is larger than {MAX_JSON_BYTES} bytes",
                sentence="unsafe_size",
                file=shown,
                bytes=MAX_JSON_BYTES,
            )
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise LoadFailed(
            "model_incomplete",
            f"the folder has no {shown}",
            "It is not a diffusers model, or the download did not end.",
            file=shown,
        ) from error
    except (ValueError, OSError, RecursionError) as error:
        raise LoadFailed(
            "model_damaged", f"{shown} cannot be read as JSON", "Download the model again.", file=shown
        ) from error
    if not isinstance(content, dict):
        raise LoadFailed("model_damaged", f"{shown} is no JSON object", "Download the model again.", file=shown)
    return content


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
