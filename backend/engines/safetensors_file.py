"""The header of a safetensors file: checked against the file, and read without touching a tensor.

A file is an 8-byte little-endian length, that many bytes of JSON, then the tensors one after another without gaps
(https://github.com/huggingface/safetensors, "Format"). Standard library only; used by the engines and by the server.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

MAX_HEADER_BYTES = 100 * 1024 * 1024
"""The format's own limit."""

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the header describes it; `begin` and `end` in bytes from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """The header. Raises ValueError unless it is well formed and describes exactly the bytes of the file."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise ValueError("it is too short for a header")
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER_BYTES or 8 + length > size:
            raise ValueError("its header is longer than the file; it is no safetensors file, or cut short")
        entries = _json_object(file.read(length))
    metadata = entries.pop("__metadata__", {})
    tensors = {name: _tensor(name, entry) for name, entry in entries.items()}
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        needed = -(-tensor.elements * DTYPE_BITS[tensor.dtype] // 8)
        if tensor.begin != end or tensor.end - tensor.begin != needed:
            raise ValueError(f"tensor {name[:80]!r} does not lie where its shape says")
        end = tensor.end
    if 8 + length + end != size:
        raise ValueError(f"the header describes {8 + length + end} bytes, the file has {size}")
    return Header(tensors, _texts(metadata))


def _json_object(raw: bytes) -> dict:
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("its header is no JSON") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header


def _tensor(name: str, entry: object) -> Tensor:
    try:
        (begin, end), shape, dtype = entry["data_offsets"], entry["shape"], entry["dtype"]  # type: ignore[index]
        numbers = [begin, end, *shape]
        known = dtype in DTYPE_BITS
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"tensor {name[:80]!r} is not described as the format demands") from error
    if not known:
        raise ValueError(f"tensor {name[:80]!r} is not described as the format demands")
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers):
        raise ValueError(f"tensor {name[:80]!r} has a size that is no size")
    return Tensor(dtype, tuple(shape), begin, end)


def _texts(metadata: object) -> dict[str, str]:
    """What the format allows as metadata: texts by name. Anything else is dropped, it is only a remark."""
    if not isinstance(metadata, dict):
        return {}
    return {name: value for name, value in metadata.items() if isinstance(value, str)}
