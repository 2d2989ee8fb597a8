"""The training set: pictures by `drawing`, captions by `captions`, and doodles for the autoencoder.

Picture i of a set is a pure function of (set seed, i), so any slice of it can be drawn again, and the captions can be
had without the pictures. Arrays are uint8, (n, size, size, 3), saved as .npy.

    python -m embedded.creatures.dataset --out /tmp/creatures --part 64      # pictures of 64 pixels (24,000)
    python -m embedded.creatures.dataset --out /tmp/creatures --part 256     # the first 3,000 of them at 256
"""

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .captions import Traits, caption, sample_traits
from .drawing import draw

PICTURES = 24_000
LARGE = 3_000
CAPTIONS_EACH = 4
DOODLES = {64: 3_000, 256: 400}


def traits_of(index: int, seed: int = 1) -> Traits:
    return sample_traits(random.Random(seed * 1_000_003 + index))


def picture(index: int, size: int, seed: int = 1) -> Image.Image:
    return draw(traits_of(index, seed), seed * 7_000_003 + index, size)


def captions_of(index: int, seed: int = 1) -> list[str]:
    """The CAPTIONS_EACH captions picture `index` is trained with."""
    rng = random.Random(seed * 5_000_011 + index)
    return [caption(traits_of(index, seed), rng) for _ in range(CAPTIONS_EACH)]


def doodle(index: int, size: int) -> Image.Image:
    """Random ovals and polygons, so that the autoencoder is no specialist in creatures."""
    rng = random.Random(90_000_049 + index)

    def colour():
        return tuple(rng.randint(0, 255) for _ in range(3))

    image = Image.new("RGB", (512, 512), colour())
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(4, 14)):
        x, y, r = rng.randint(0, 511), rng.randint(0, 511), rng.randint(16, 180)
        line = {"fill": colour(), "outline": colour(), "width": rng.choice((0, 8, 10))}
        if rng.random() < 0.5:
            pen.ellipse((x - r, y - r * rng.uniform(0.5, 1), x + r, y + r * 0.8), **line)
        else:
            corners = [(x + rng.randint(-r, r), y + rng.randint(-r, r)) for _ in range(rng.randint(3, 6))]
            pen.polygon(corners, **line)
    return image.resize((size, size), Image.Resampling.BOX)


def draw_set(size: int, indices: range) -> np.ndarray:
    return np.stack([np.asarray(picture(i, size)) for i in indices])


def doodle_set(size: int) -> np.ndarray:
    return np.stack([np.asarray(doodle(i, size)) for i in range(DOODLES[size])])


def write(out: Path, size: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / f"pictures{size}.npy", draw_set(size, range(PICTURES if size == 64 else LARGE)))
    np.save(out / f"doodles{size}.npy", doodle_set(size))


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--part", type=int, choices=(64, 256), required=True)
    given = args.parse_args()
    write(given.out, given.part)


if __name__ == "__main__":
    main()
