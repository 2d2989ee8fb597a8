"""The upscalers that there are, in A1111's words, and which of ours a name means."""

from __future__ import annotations

import re

from atelier.images.schemas import HiresIn
from atelier.sdapi.schemas import SdTextToImageIn

DENOISING = 0.75
UPSCALERS = ("None", "Lanczos", "Nearest")
LATENT_MODES = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)


MOST_SCALE = 4.0


def scale_of(name: str) -> float:
    """By how much an upscaler enlarges, as far as its name says ("4x-UltraSharp", "RealESRGAN_x2plus"); else 4."""
    told = re.search(r"(?<![0-9a-z])(?:x([1248])|([1248])x)(?![0-9])", name.casefold().replace("_", " "))
    return float(told[1] or told[2]) if told else 4.0


def second_pass(wanted: SdTextToImageIn, width: int, notes: list[str], model: str | None) -> HiresIn | None:
    """A1111's "hires fix" in our words; what is done otherwise joins the `notes`. `width`: of the first pass; `model`:
    the key of the upscaler that it names, if it is one of ours."""
    if not wanted.enable_hr:
        return None
    scale = wanted.hr_scale
    if wanted.hr_resize_x or wanted.hr_resize_y:
        first = (wanted.width or width, wanted.height or wanted.width or width)
        scale = max(wanted.hr_resize_x / first[0], wanted.hr_resize_y / first[1])
    strength = DENOISING if wanted.denoising_strength is None else wanted.denoising_strength
    if scale <= 1 or strength == 0:
        notes.append("enable_hr was ignored: nothing is enlarged, or nothing may change.")
        return None
    if scale > MOST_SCALE:
        notes.append(f"The second pass enlarges {MOST_SCALE:g} times at most.")
    upscaler, exact = (model, True) if model else _enlarger(wanted.hr_upscaler)
    if not exact:
        notes.append(f"The upscaler {wanted.hr_upscaler} was replaced by {upscaler}.")
    steps = wanted.hr_second_pass_steps or None
    return HiresIn(scale=min(scale, MOST_SCALE), steps=steps, strength=strength, upscaler=upscaler)


def _enlarger(name: str | None) -> tuple[str, bool]:
    """What enlarges before a second pass, and whether it is what was asked for."""
    plain = (name or "Latent").casefold()
    if plain.startswith("latent"):
        return "latent", plain == "latent"
    if plain in {"lanczos", "nearest"}:
        return plain, True
    return "lanczos", plain in {"none", ""}
