"""LoRAs of chat models: which fit a model, and where they lie.

vLLM loads them beside their base and answers for each by its name. One fits when every matrix that it changes is in the
base with the shape that it was made for: told from the headers of both, since the name that a LoRA gives for its base
is often a folder of whoever trained it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engines.safetensors_file import read_header

from atelier.config import BACKEND
from atelier.said import Said
from atelier.tables import ModelRow

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM sets aside for one; the smallest that is enough counts."""

_CHANGED = re.compile(r"^base_model\.model\.(?P<matrix>.+)\.lora_(?P<side>[AB])(?:\.\w+)?\.weight$")
_LAYER = re.compile(r"(?:^|\.)(layers\.\d+\..+)$")


@dataclass(frozen=True)
class ChatLora:
    """`name` is what requests call it; `rank` one of `RANKS`."""

    name: str
    path: Path
    rank: int
    size_bytes: int


class DoesNotFit(Exception):
    """`words`: why."""

    def __init__(self, words: Said) -> None:
        super().__init__(words)
        self.words = words


class ChatLoras:
    """Those that exist, as far as the server has been told: it tells at its start and at every change."""

    def __init__(self) -> None:
        self._rows: tuple[ModelRow, ...] = ()

    def learn(self, rows: Iterable[ModelRow]) -> None:
        self._rows = tuple(row for row in rows if is_chat_lora(row))

    def of(self, base: ModelRow, names: Iterable[str]) -> tuple[ChatLora, ...]:
        """Those of these names that fit `base`. One that has gone meanwhile is left out. Looks at the disk."""
        found = []
        for name in dict.fromkeys(names):
            own = [row for row in self._rows if row.key == name and (row.shared or row.owner_id == base.owner_id)]
            for row in own[:1]:
                try:
                    found.append(fitting(row, base))
                except DoesNotFit:
                    continue
        return tuple(found)


def is_chat_lora(row: ModelRow) -> bool:
    return row.type == "lora" and row.task == "chat" and row.download_job is None


def fitting(lora: ModelRow, base: ModelRow) -> ChatLora:
    """`lora`, to be loaded with `base`. Raises DoesNotFit."""
    names = {"lora": lora.key, "model": base.key}
    path, of_base = (BACKEND / lora.path).resolve(), (BACKEND / base.path).resolve()
    try:
        made_for, rank = _read(path, _changed(path))
    except (OSError, ValueError) as error:
        text = f"The LoRA {lora.key} cannot be used: {error}."
        raise DoesNotFit(Said(text, "lora.unusable", **names, reason=str(error))) from error
    if rank > RANKS[-1]:
        text = f"The LoRA {lora.key} has the rank {rank}; {RANKS[-1]} is the most."
        raise DoesNotFit(Said(text, "lora.rank", **names, rank=rank, most=RANKS[-1]))
    there = _shapes(of_base, _changed(of_base))
    if any(there.get(_place(matrix)) != shape for matrix, shape in made_for.items()):
        says = f" It says that it is for {lora.base[:200]}." if lora.base else ""
        text = f"The LoRA {lora.key} was not made for {base.key}: their matrices differ.{says}"
        raise DoesNotFit(Said(text, "lora.other_base", **names, base=(lora.base or "?")[:200]))
    return ChatLora(lora.key, path, next(one for one in RANKS if one >= rank), lora.size_bytes)


def _place(matrix: str) -> str:
    """Where a matrix is, whatever stands before the layers: libraries differ in that."""
    found = _LAYER.search(matrix)
    return found[1] if found else matrix


@lru_cache(maxsize=256)
def _read(folder: Path, _changed_at: int) -> tuple[Mapping[str, tuple[int, ...]], int]:
    """Rows and columns of each matrix that it changes, and its rank. Raises ValueError for what vLLM does not load."""
    config = json.loads((folder / "adapter_config.json").read_bytes())
    if not isinstance(config, dict) or config.get("peft_type", "LORA") != "LORA":
        raise ValueError("it is no LoRA")
    for field, plain in (("use_dora", (None, False)), ("modules_to_save", (None, [])), ("bias", (None, "none"))):
        if config.get(field) not in plain:
            raise ValueError(f"it uses {field}, which vLLM does not load")
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in read_header(folder / "adapter_model.safetensors").tensors.items():
        found = _CHANGED.match(name)
        if found is None or len(tensor.shape) != 2:
            raise ValueError(f"it changes {name[:100]}, which vLLM does not load")
        sides.setdefault(found["matrix"], {})[found["side"]] = tensor.shape
    if not sides or any(set(pair) != {"A", "B"} or pair["A"][0] != pair["B"][1] for pair in sides.values()):
        raise ValueError("its matrices do not come in pairs")
    shapes = {matrix: (pair["B"][0], pair["A"][1]) for matrix, pair in sides.items()}
    return shapes, max(pair["A"][0] for pair in sides.values())


@lru_cache(maxsize=64)
def _shapes(folder: Path, _changed_at: int) -> Mapping[str, tuple[int, ...]]:
    """The matrices of a base, by where they are."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            tensors: dict[str, Any] = read_header(file).tensors
        except (OSError, ValueError):
            continue  # whoever loads it will say what is wrong
        for name, tensor in tensors.items():
            if len(tensor.shape) == 2 and name.endswith(".weight"):
                shapes[_place(name.removesuffix(".weight"))] = tensor.shape
    return shapes


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
