"""Files of upscalers: which network is it, by the names of its tensors; and how large a picture one may leave. No
tensor is read; standard library only.

`upscaler_keys.json` holds what spandrel looks for, in the order in which it looks: `{"all": […]}` and `{"any": […]}` of
names and of the same again. What spandrel knows beyond upscalers (it mends faces and fills holes, too) is left out.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from engines.safetensors_file import Header

KEYS = Path(__file__).with_name("upscaler_keys.json")
PREFIXES = ("module.", "netG.")
"""What trainers may write before every name, and spandrel takes away."""
SPARE = 16
"""A network of four times leaves so many pixels for each of the picture's; what is larger is thrown away again."""
FEWEST_LEFT, MOST_LEFT = 2**24, 2**27


def pixels_left(pixels: int) -> int:
    """How many pixels a network may leave, at most, for a result of so many."""
    return min(max(SPARE * pixels, FEWEST_LEFT), MOST_LEFT)


def upscaler_architecture(header: Header) -> str | None:
    """The network's name as spandrel has it ("ESRGAN"); None for what is no upscaler."""
    names = frozenset(header.tensors)
    if not any(len(tensor.shape) == 4 for tensor in header.tensors.values()):
        return None  # without a convolution nothing makes pixels
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in names):
            names = frozenset(name.removeprefix(prefix) for name in names)
    return next((name for name, condition in _conditions().items() if _holds(condition, names)), None)


@functools.cache
def _conditions() -> dict[str, Any]:
    return json.loads(KEYS.read_bytes())


def _holds(condition: Any, names: Collection[str]) -> bool:
    if isinstance(condition, str):
        return condition in names
    [(kind, parts)] = condition.items()
    return (all if kind == "all" else any)(_holds(part, names) for part in parts)
