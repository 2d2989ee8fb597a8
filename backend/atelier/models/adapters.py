"""The one file of a LoRA, an embedding or an upscaler: where it is, its hash, the names it goes by, the words that call
it."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from pathlib import Path

from engines.safetensors_file import read_header

from atelier.errors import ModelNotFound
from atelier.said import Said
from atelier.tables import ModelRow

ADDED_TYPES = ("lora", "embedding", "upscaler")
"""Types of models that are no model of their own: they are added to one, the first two to one of the same family."""

MAX_WORDS = 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def file_of(path: Path) -> Path | None:
    """The safetensors file of an adapter that is registered as `path`, a file or the folder around it. Looks at the
    disk; None when there is no file, or more than one to choose from."""
    if path.is_file():
        return path
    adapter = path / "adapter_model.safetensors"
    if adapter.is_file():
        return adapter
    files = sorted(path.glob("*.safetensors"))
    return files[0] if len(files) == 1 else None


def existing_file(row: ModelRow, path: Path, field: str) -> Path:
    """The file of `row`, which is registered as `path`. Raises ModelNotFound for the `field` that named it."""
    file = file_of(path)
    if file is None:
        raise ModelNotFound(
            Said(f"The files of the model {row.key!r} are missing.", "model.files_missing", model=row.key),
            field=field,
            hint="Download or import it again.",
        )
    return file


def sha256_of(file: Path) -> str:
    """Hash of a file, hex. Reads it all the first time; the Hugging Face cache names its files by it."""
    real = file.resolve()
    if real.parent.name == "blobs" and _SHA256.fullmatch(real.name):
        return real.name
    status = real.stat()
    return _hashed(real, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _hashed(file: Path, _size: int, _written: int) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def names_of(row: ModelRow, file: Path | None) -> list[str]:
    """What people call it: its key, its name, the file's name, and what its maker's trainer called it."""
    names = [row.key, row.name]
    if file is not None:
        names += [file.stem, _metadata(file).get("ss_output_name", "")]
    return list(dict.fromkeys(name for name in names if name))


def trigger_words(file: Path) -> list[str]:
    """Words that a LoRA was taught to answer to: as its file says, else the tags that most of its pictures had."""
    metadata = _metadata(file)
    phrase = metadata.get("modelspec.trigger_phrase", "").strip()
    if phrase:
        return [word.strip()[:100] for word in phrase.split(",") if word.strip()][:MAX_WORDS]
    counts: dict[str, int] = {}
    try:
        folders = json.loads(metadata.get("ss_tag_frequency", "{}"))
        for tags in folders.values():
            for tag, count in tags.items():
                counts[tag.strip()] = counts.get(tag.strip(), 0) + int(count)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return []
    return [tag[:100] for tag in sorted(counts, key=lambda tag: -counts[tag]) if tag][:MAX_WORDS]


def _metadata(file: Path) -> dict[str, str]:
    try:
        status = file.stat()
        return _read_metadata(file, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError):
        return {}


@functools.lru_cache(maxsize=512)
def _read_metadata(file: Path, _size: int, _written: int) -> dict[str, str]:
    kept = ("ss_output_name", "modelspec.trigger_phrase", "ss_tag_frequency")
    return {name: value for name, value in read_header(file).metadata.items() if name in kept and len(value) < 1 << 20}
