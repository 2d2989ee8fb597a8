"""What no model could do is refused before any work. The server has its own limits; these keep the worker sane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from engines.engine import RunFailed

MAX_SEED = 2**32 - 1
MAX_STEPS = 1000


def check_sampling(seeds: Sequence[int], steps: int, guidance_scale: float) -> None:
    """Raises RunFailed."""
    if not seeds or not all(0 <= seed <= MAX_SEED for seed in seeds):
        raise RunFailed("invalid_seeds", f"seeds must be one or more numbers from 0 to {MAX_SEED}", max=MAX_SEED)
    if not 1 <= steps <= MAX_STEPS:
        raise RunFailed("invalid_steps", f"steps must be 1 to {MAX_STEPS}", max=MAX_STEPS)
    if not (math.isfinite(guidance_scale) and guidance_scale >= 0):
        raise RunFailed("invalid_guidance_scale", "guidance_scale must be 0 or more")


def check_size(width: int, height: int, multiple: int) -> None:
    """Raises RunFailed for a side that is no multiple of `multiple` pixels."""
    for field, value in (("width", width), ("height", height)):
        if value < multiple or value % multiple:
            nearest = max(multiple, round(value / multiple) * multiple)
            raise RunFailed(
                f"invalid_{field}",
                f"{field} must be a multiple of {multiple} for this model",
                f"{nearest} would do.",
                sentence="invalid_side",
                side=field,
                multiple=multiple,
                nearest=nearest,
            )


def check_files(format: str, formats: Sequence[str], directory: str) -> None:
    """Raises RunFailed for a format that is none of `formats`, and for a folder that is not there."""
    if format not in formats:
        known = ", ".join(formats)
        raise RunFailed("invalid_format", f"format must be one of {known}", known=known)
    if not Path(directory).is_dir():
        raise RunFailed("invalid_output_dir", "the folder for the pictures does not exist")
