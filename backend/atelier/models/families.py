"""What is sensible for each family of image models when nobody says otherwise: from the model cards of their makers."""

from __future__ import annotations

from typing import Literal

from atelier.models.schemas import ImageDefaults, ImageLimits, SizePreset

DEFAULTS: dict[str, ImageDefaults] = {
    "sd15": ImageDefaults(steps=25, guidance_scale=7.5, width=512, height=512),
    "sd2": ImageDefaults(steps=25, guidance_scale=7.5, width=768, height=768),
    "sdxl": ImageDefaults(steps=30, guidance_scale=6.0, width=1024, height=1024),
    "sd3": ImageDefaults(steps=28, guidance_scale=4.5, width=1024, height=1024),
    "flux": ImageDefaults(steps=28, guidance_scale=3.5, width=1024, height=1024),
    "svd": ImageDefaults(steps=25, guidance_scale=3.0, width=1024, height=576, frames=14),
}
# What models that were distilled to few steps want otherwise.
DISTILLED: dict[str, dict[str, float]] = {
    "turbo": {"steps": 4, "guidance_scale": 0.0, "width": 512, "height": 512},
    "lcm": {"steps": 4, "guidance_scale": 8.0},
    "schnell": {"steps": 4, "guidance_scale": 0.0},
}
OTHER = ImageDefaults(steps=28, guidance_scale=4.5, width=1024, height=1024)


# What each family was trained on, or the nearest that its decoder can make.
_MEGAPIXEL = {"square": (1024, 1024), "portrait": (896, 1152), "tall": (768, 1344)}
SIZES: dict[str, dict[str, tuple[int, int]]] = {
    "sd15": {"square": (512, 512), "portrait": (448, 576), "tall": (384, 704)},
    "sd2": {"square": (768, 768), "portrait": (640, 832), "tall": (576, 1024)},
    "sdxl": _MEGAPIXEL,
    "sd3": _MEGAPIXEL,
    "flux": _MEGAPIXEL,
    "svd": {"tall": (576, 1024)},
}
SHAPES = {"square": 1.0, "portrait": 3 / 4, "tall": 9 / 16}
LYING = {"portrait": "landscape", "tall": "wide"}


# Families that learn a flow instead of noise: they have schedulers of their own.
FLOW = frozenset({"sd3", "flux", "flux2", "qwen_image", "z_image", "sana", "lumina2", "hidream"})


def sampling(family: str) -> Literal["noise", "flow"]:
    """Which schedulers a family can be run with: those of this `kind` in `engines.schedulers`."""
    return "flow" if family in FLOW else "noise"


def image_defaults(family: str, distilled: str = "") -> ImageDefaults:
    return DEFAULTS.get(family, OTHER).model_copy(update=DISTILLED.get(distilled, {}))


def image_limits(family: str) -> ImageLimits:
    """From a quarter of the model's own side to twice that, in steps that every decoder can make."""
    side = image_defaults(family).width
    return ImageLimits(min_side=side // 4, max_side=2 * side, multiple=64)


def redraw_strength(defaults: ImageDefaults) -> float:
    """How much of an enlarged picture its model may draw anew, 0 to 1. One of small pictures knows its motif at that
    size alone: what is larger it fills with copies, at the least strength that changes anything."""
    return 0.3 if max(defaults.width, defaults.height) >= 512 else 0.0


def size_presets(family: str, defaults: ImageDefaults, limits: ImageLimits) -> list[SizePreset]:
    """Sizes with names, all within the limits: the family's, or for a model of another size than its family's those of
    the same shapes with as many pixels as it makes. Shapes that come out equal are left out."""
    usual = image_defaults(family)
    own = (defaults.width, defaults.height)
    named = SIZES.get(family) if own == (usual.width, usual.height) else None
    if named is None:
        side = (own[0] * own[1]) ** 0.5
        named = {name: (round(side * shape**0.5), round(side / shape**0.5)) for name, shape in SHAPES.items()}
    both = {name: size for upright, (w, h) in named.items() for name, size in _both_ways(upright, w, h)}
    presets, seen = [], set()
    for name in ("square", "portrait", "landscape", "tall", "wide"):
        if name in both and (size := tuple(nearest_side(side, limits) for side in both[name])) not in seen:
            seen.add(size)
            presets.append(SizePreset(id=name, width=size[0], height=size[1]))
    return presets


def _both_ways(name: str, width: int, height: int) -> list[tuple[str, tuple[int, int]]]:
    lying = [(LYING[name], (height, width))] if name in LYING else []
    return [(name, (width, height)), *lying]


def nearest_side(side: float, limits: ImageLimits) -> int:
    """The nearest side that a model with these limits can make."""
    low, high = -(-limits.min_side // limits.multiple), limits.max_side // limits.multiple
    return min(max(round(side / limits.multiple), low), high) * limits.multiple
