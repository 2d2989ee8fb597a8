"""Pictures that come in: brought to the size of the result, masked, and laid under what the model made. Pixels only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from engines.engine import RunFailed
from engines.protocol import ImageStart, Inpaint, InputImage

FITS = ("crop", "pad", "stretch")
FILLS = ("original", "blur", "noise", "nothing")
CELL = 8
"""Pixels that an autoencoder makes one of: finer noise would be averaged away."""

Larger = Callable[[Image.Image], Image.Image]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class Canvas:
    """What a picture starts from. `whole` has the result's size. The model works on `image`, where `mask` (L, white or
    black; None: everywhere) is white: the whole, or its part `box` enlarged to the same size. `edge` (L) says how much
    of the new picture each pixel of the result takes: nothing where the mask was black."""

    whole: Image.Image
    image: Image.Image
    mask: Image.Image | None = None
    edge: Image.Image | None = None
    box: Box | None = None

    def put_back(self, made: Image.Image) -> Image.Image:
        """The result: what was made, under the mask; every pixel outside as it was."""
        if self.edge is None:
            return made
        placed = self.whole
        if self.box is None:
            placed = made
        else:
            left, top, right, bottom = self.box
            placed = self.whole.copy()
            placed.paste(made.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
        return Image.composite(placed, self.whole, self.edge)


def canvas(
    start: ImageStart, inpaint: Inpaint | None, width: int, height: int, enlarge: Larger | None = None
) -> Canvas:
    """`enlarge`: how the picture is made larger before it comes to the size. Raises RunFailed for a file that is no
    picture, an unknown word, and a mask without a white pixel."""
    picture = opened(start.image, "RGB")
    if enlarge is not None:
        picture = enlarge(picture)
    whole = fitted(picture, width, height, start.fit)
    if inpaint is None:
        return Canvas(whole, whole)
    mask = opened(inpaint.mask, "L").resize(picture.size, Image.Resampling.BILINEAR)
    mask = fitted(mask, width, height, start.fit, outside=0)
    painted = mask.point(lambda value: 255 * (value > 127))
    where = painted.getbbox()
    if where is None:
        raise RunFailed("mask_empty", "the mask has no white pixel", "Paint where the picture is to change.")
    image = filled(whole, painted, inpaint.fill)
    edge = faded(mask, inpaint.blur)
    if not inpaint.only_masked:
        return Canvas(whole, image, painted, edge)
    box = grown(where, inpaint.padding, width, height)
    part = image.crop(box).resize((width, height), Image.Resampling.LANCZOS)
    return Canvas(whole, part, painted.crop(box).resize((width, height), Image.Resampling.NEAREST), edge, box)


def opened(given: InputImage, mode: str) -> Image.Image:
    """Raises RunFailed for a file that is gone or no picture."""
    try:
        with Image.open(Path(given.path)) as image:
            return image.convert(mode)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise RunFailed("input_unreadable", "the picture to start from cannot be read", "Upload it again.") from error


def fitted(image: Image.Image, width: int, height: int, fit: str, outside: int | None = None) -> Image.Image:
    """At exactly this size. "crop" fills and cuts the rest off, "pad" shows all of it and goes on with its edge's
    colours (or with `outside`), "stretch" changes its shape. Raises RunFailed for any other word."""
    size = (width, height)
    if image.size == size:
        return image
    match fit:
        case "stretch":
            return image.resize(size, Image.Resampling.LANCZOS)
        case "crop":
            return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        case "pad":
            return _padded(ImageOps.contain(image, size, Image.Resampling.LANCZOS), size, outside)
    known = ", ".join(FITS)
    raise RunFailed("invalid_fit", f"fit must be one of {known}", known=known)


def _padded(image: Image.Image, size: tuple[int, int], outside: int | None) -> Image.Image:
    across, down = size[0] - image.width, size[1] - image.height
    margins = [(down // 2, down - down // 2), (across // 2, across - across // 2)]
    pixels = np.asarray(image)
    margins += [(0, 0)] * (pixels.ndim - 2)
    if outside is None:
        return Image.fromarray(np.pad(pixels, margins, mode="edge"))
    return Image.fromarray(np.pad(pixels, margins, constant_values=outside))


def faded(mask: Image.Image, blur: int) -> Image.Image:
    """The mask with an edge that rises within `blur` pixels, all of it inside: nothing outside is ever touched."""
    levels = [np.asarray(mask, np.float32)]
    shrunk = mask
    for _ in range(blur):
        shrunk = shrunk.filter(ImageFilter.MinFilter(3))
        levels.append(np.asarray(shrunk, np.float32))
    return Image.fromarray(np.mean(levels, axis=0).round().astype(np.uint8))


def filled(image: Image.Image, mask: Image.Image, fill: str) -> Image.Image:
    """What stands under the mask at the start. Raises RunFailed for a word that is none of `FILLS`."""
    match fill:
        case "original":
            return image
        case "blur":
            return Image.composite(_surroundings(image, mask), image, mask)
        case "noise":
            small = (-(-image.height // CELL), -(-image.width // CELL), 3)
            cells = np.random.default_rng(0).integers(0, 256, small, np.uint8)  # every picture's own noise comes on top
            noise = Image.fromarray(cells).resize((small[1] * CELL, small[0] * CELL), Image.Resampling.NEAREST)
            return Image.composite(noise.crop((0, 0, *image.size)), image, mask)
        case "nothing":
            return Image.composite(Image.new("RGB", image.size, (127, 127, 127)), image, mask)
    known = ", ".join(FILLS)
    raise RunFailed("invalid_fill", f"fill must be one of {known}", known=known)


def _surroundings(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The colours around the mask, carried inwards: averages of what is known, the nearest that there are."""
    known = np.asarray(mask) == 0
    colours = np.where(known[..., None], np.asarray(image), 0).astype(np.uint8)
    result = np.full(colours.shape, 127.0) if not known.any() else np.tile(colours[known].mean(0), (*known.shape, 1))
    for radius in (128, 64, 32, 16, 8):
        weights = np.asarray(Image.fromarray((known * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(radius)), float)
        sums = np.asarray(Image.fromarray(colours).filter(ImageFilter.BoxBlur(radius)), float)
        near = weights > 8
        result[near] = np.minimum(255, 255 * sums[near] / weights[near][:, None])
    return Image.fromarray(result.round().astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))


def grown(box: Box, padding: int, width: int, height: int) -> Box:
    """The box with `padding` pixels around it and the shape of width × height, moved and cut to lie within them."""
    left, top, right, bottom = box
    across, down = right - left + 2 * padding, bottom - top + 2 * padding
    scale = min(1.0, max(across / width, down / height))
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    left = min(max(0, (left + right - across) // 2), width - across)
    top = min(max(0, (top + bottom - down) // 2), height - down)
    return left, top, left + across, top + down
