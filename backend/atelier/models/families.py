"""What is sensible for each family of image models when nobody says otherwise: from the model cards of their makers."""

from __future__ import annotations

from typing import Literal

from atelier.models.schemas import ImageDefaults, ImageLimits

DEFAULTS: dict[str, ImageDefaults] = {
    "sd15": ImageDefaults(steps=25, guidance_scale=7.5, width=512, height=512),
    "sd2": ImageDefaults(steps=25, guidance_scale=7.5, width=768, height=768),
    "sdxl": ImageDefaults(steps=30, guidance_scale=6.0, width=1024, height=1024),
    "sd3": ImageDefaults(steps=28, guidance_scale=4.5, width=1024, height=1024),
    "flux": ImageDefaults(steps=28, guidance_scale=3.5, width=1024, height=1024),
}
OTHER = ImageDefaults(steps=28, guidance_scale=4.5, width=1024, height=1024)


# Families that learn a flow instead of noise: they have schedulers of their own.
FLOW = frozenset({"sd3", "flux", "flux2", "qwen_image", "z_image", "sana", "lumina2", "hidream"})


def sampling(family: str) -> Literal["noise", "flow"]:
    """Which schedulers a family can be run with: those of this `kind` in `engines.schedulers`."""
    return "flow" if family in FLOW else "noise"


def image_defaults(family: str) -> ImageDefaults:
    return DEFAULTS.get(family, OTHER)


def image_limits(family: str) -> ImageLimits:
    """From a quarter of the model's own side to twice that, in steps that every decoder can make."""
    side = image_defaults(family).width
    return ImageLimits(min_side=side // 4, max_side=2 * side, multiple=64)
