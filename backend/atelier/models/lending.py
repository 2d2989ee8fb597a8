"""Checkpoints in one file that hold a part of a model, and the models that lend them the rest.

FLUX is published as one file of its denoiser alone, SD 3.5 without its text encoders, some SD 1.5 without its
autoencoder. What is missing is the same in every model of the family, so any whole one lends it: the one that is named
in the load options, else the first that the file's owner may use.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from engines.checkpoint_files import RUN_FROM_ONE_FILE, layout_of
from engines.safetensors_file import read_header

from atelier.config import BACKEND
from atelier.tables import ModelRow

SINGLE_FILE = "single_file"
"""`ModelRow.pipeline` of a checkpoint in one file."""


class Lending:
    """The models that there are, as far as the server has been told: it tells whenever it reads them."""

    def __init__(self) -> None:
        self._rows: tuple[ModelRow, ...] = ()

    def learn(self, rows: Iterable[ModelRow]) -> None:
        self._rows = tuple(
            row for row in rows if row.type == "base_model" and row.task == "image" and row.download_job is None
        )

    def lenders(self, row: ModelRow) -> list[ModelRow]:
        """The models that can lend `row` what its file lacks, oldest first. Looks at the disk."""
        wanted = lacking(row)
        if not wanted:
            return []
        return [
            other
            for other in self._rows
            if other.family == row.family
            and other.id != row.id
            and (other.shared or other.owner_id == row.owner_id)
            and _lends(_path(other), _changed(_path(other)), wanted)
        ]

    def lender(self, row: ModelRow, wanted: str | None) -> ModelRow | None:
        """The one that does: `wanted`, by its key, where it can."""
        there = self.lenders(row)
        return next((one for one in there if one.key == wanted), there[0] if there else None)


def lacking(row: ModelRow) -> tuple[str, ...]:
    """The components that a checkpoint's file does not hold: none for whole ones, and for anything else."""
    if row.pipeline != SINGLE_FILE or row.family not in RUN_FROM_ONE_FILE:
        return ()
    return _lacking(_path(row), _changed(_path(row)))


def lent_parameters(lender: ModelRow, wanted: Iterable[str]) -> int:
    """How many parameters `wanted` of its components have."""
    path = _path(lender)
    return _parameters(path, _changed(path), tuple(wanted))


def _path(row: ModelRow) -> Path:
    return (BACKEND / row.path).resolve()


def _changed(path: Path) -> int:
    try:
        return (path / "model_index.json" if path.is_dir() else path).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=256)
def _lacking(file: Path, _changed_at: int) -> tuple[str, ...]:
    try:
        layout = layout_of(read_header(file))
    except (OSError, ValueError):
        return ()  # whoever loads it will say what is wrong
    return layout.lent if layout is not None else ()


@lru_cache(maxsize=256)
def _lends(path: Path, changed_at: int, wanted: tuple[str, ...]) -> bool:
    """A whole file lends all that it holds; a folder what its index names."""
    if path.is_file():
        return path.suffix == ".safetensors" and not _lacking(path, changed_at)
    try:
        index = json.loads((path / "model_index.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    named = index if isinstance(index, dict) else {}
    return all(isinstance(one := named.get(name), list) and None not in one for name in wanted)


@lru_cache(maxsize=256)
def _parameters(path: Path, _changed_at: int, wanted: tuple[str, ...]) -> int:
    total = 0
    for name in wanted:
        for file in sorted((path / name).glob("*.safetensors")):
            try:
                total += sum(tensor.elements for tensor in read_header(file).tensors.values())
            except (OSError, ValueError):
                continue
    return total
