"""Sizes that clients of A1111 ask for, brought to what a model can make.

A1111 draws any size, and its clients send 512 × 512 when nobody chose one, so a size that does not fit is no mistake of
theirs: the picture is made at the nearest that fits, and the answer says so.
"""

from __future__ import annotations

from atelier.models.schemas import ImageDefaults, ImageLimits


def fitted(width: int | None, height: int | None, defaults: ImageDefaults, limits: ImageLimits) -> tuple[int, int]:
    """Width and height in pixels: as asked where the model can, to its multiple where only that is wrong, else of the
    same shape with as many pixels as the model was made for."""
    wide, high = width or defaults.width, height or defaults.height
    scale = 1.0
    if not all(limits.min_side <= side <= limits.max_side for side in (wide, high)):
        scale = (defaults.width * defaults.height / (wide * high)) ** 0.5
    return _near(wide * scale, limits), _near(high * scale, limits)


def _near(side: float, limits: ImageLimits) -> int:
    least, most = -(-limits.min_side // limits.multiple), limits.max_side // limits.multiple
    return min(max(round(side / limits.multiple), least), most) * limits.multiple
