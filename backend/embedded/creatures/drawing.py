"""Draws a creature with PIL, in the manner of a picture book: soft gradients, dark round outlines, large eyes.

Owns every shape of the data set. Coordinates are in creature units: (0, 0) is the middle of the picture, +x right,
+y down, the creature fits in about [-1, 1]. All randomness comes from the seed, and none of it depends on the size,
so the same seed drawn at 64 and at 256 pixels is the same picture.

    python -m embedded.creatures.drawing sheet.png      # a contact sheet of 40 drawings
"""

import math
import random
import sys
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

from .captions import BACKGROUNDS, COLOURS, Traits, sample_traits

Colour = tuple[int, int, int]
INK = (30, 22, 40)
WHITE = (255, 255, 255)
CONCEPTS = ("crown", "crystals")  # never in the base's data: what a LoRA can be taught


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """`a` at t = 0, `b` at t = 1."""
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b, strict=True))


@lru_cache
def _soft_disc(n: int = 96) -> Image.Image:
    """A round alpha mask that fades to nothing at its rim."""
    mask = Image.new("L", (n, n))
    mask.putdata(
        [
            round(255 * max(0.0, 1 - math.hypot(x - n / 2 + 0.5, y - n / 2 + 0.5) / (n / 2)) ** 1.2)
            for y in range(n)
            for x in range(n)
        ]
    )
    return mask


def _smooth(points: list, closed: bool = True, steps: int = 6) -> list:
    """Catmull-Rom curve through `points`."""
    n, curve = len(points), []
    for i in range(n if closed else n - 1):
        at = (lambda k: points[k % n]) if closed else (lambda k: points[min(max(k, 0), n - 1)])
        p0, p1, p2, p3 = at(i - 1), at(i), at(i + 1), at(i + 2)
        for s in range(steps):
            t = s / steps
            curve.append(
                tuple(
                    0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                )
            )
    return curve if closed else [*curve, points[-1]]


# Shapes. Each is a tuple of a kind and numbers in creature units.
def oval(x, y, rx, ry):
    return "oval", x, y, rx, ry


def block(x, y, rx, ry):
    return "block", x, y, rx, ry


def poly(*points):
    return "poly", list(points)


def blob(*points):
    return "poly", _smooth(list(points))


def rope(width, *points):
    return "rope", _smooth(list(points), closed=False), width


class Page:
    """A picture being painted: shapes go on in groups, each with one outline around the whole group."""

    def __init__(self, size: int, cx: float, cy: float, scale: float, ink: Colour):
        self.size, self.cx, self.cy, self.scale, self.ink = size, cx * size, cy * size, scale * size, ink
        self.image = Image.new("RGB", (size, size))
        self.line = 0.0085 * size * 1.15

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.cx + x * self.scale, self.cy + y * self.scale

    def _shape(self, pen: ImageDraw.ImageDraw, shape: tuple, fill, grow: float = 0.0) -> None:
        kind, scale = shape[0], self.scale
        if kind in ("oval", "block"):
            (x, y), rx, ry = self.at(shape[1], shape[2]), shape[3] * scale + grow, shape[4] * scale + grow
            box = (x - rx, y - ry, x + rx, y + ry)
            if kind == "oval":
                pen.ellipse(box, fill=fill)
            else:
                pen.rounded_rectangle(box, radius=0.36 * min(rx, ry) + grow, fill=fill)
            return
        points = [self.at(*point) for point in shape[1]]
        if kind == "poly":
            pen.polygon(points, fill=fill)
            if grow:
                pen.line(points + points[:2], fill=fill, width=round(2 * grow), joint="curve")
            return
        radius = shape[2] * scale / 2 + grow
        pen.line(points, fill=fill, width=round(2 * radius), joint="curve")
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    def flat(self, shape: tuple, fill: Colour) -> None:
        """One shape without outline."""
        self._shape(ImageDraw.Draw(self.image), shape, fill)

    def group(self, shapes: list, fill: Colour, ink: Colour | None = None, shaded: bool = True) -> Image.Image:
        """Shapes in one outline; lighter above, darker below, with a gloss. Returns their mask."""
        pen, mask = ImageDraw.Draw(self.image), Image.new("L", self.image.size)
        mask_pen = ImageDraw.Draw(mask)
        for shape in shapes:
            self._shape(pen, shape, ink or self.ink, self.line)
        for shape in shapes:
            self._shape(mask_pen, shape, 255)
        self.image.paste(fill, mask=mask)
        box = mask.getbbox()
        if shaded and box:
            x0, y0, x1, y1 = box
            w, h = x1 - x0, y1 - y0
            self.glow(mask, WHITE, 0.50, (x0 + 0.34 * w, y0 + 0.24 * h, 0.62 * w, 0.55 * h))
            self.glow(mask, mix(fill, (40, 10, 70), 0.62), 0.62, (x0 + 0.56 * w, y1 - 0.02 * h, 1.0 * w, 0.46 * h))
        return mask

    def glow(self, mask: Image.Image | None, colour: Colour, strength: float, spot: tuple) -> None:
        """A soft light or shadow; spot = (x, y, half width, half height) in pixels, kept inside `mask`."""
        x, y, rx, ry = spot
        disc = _soft_disc().resize((max(2, round(2 * rx)), max(2, round(2 * ry)))).point(lambda v: round(v * strength))
        left, top = round(x - rx), round(y - ry)
        box = left, top, left + disc.width, top + disc.height
        self.image.paste(colour, box, disc if mask is None else ImageChops.multiply(disc, mask.crop(box)))


@dataclass
class Body:
    """Where things attach, in creature units."""

    middle: tuple  # ellipse (x, y, rx, ry) the pattern and the belly lie in
    crown: tuple  # (x, y, half width) top of the head
    eyes: tuple  # (x, y, half distance, radius)
    neck: tuple  # (x, y, half width)
    rump: tuple  # (x, y) where a tail starts, on the right
    shoulder: tuple  # (x, y) where the right wing starts
    mouth: float  # y of the mouth


def _background(page: Page, colour: Colour, rng: random.Random) -> None:
    size, sky = page.size, Image.new("RGB", (1, 8))
    sky.putdata([mix(mix(colour, WHITE, 0.16), colour, i / 7) for i in range(8)])
    page.image.paste(sky.resize((size, size), Image.Resampling.BILINEAR))
    page.glow(None, WHITE, 0.34 if sum(colour) > 250 else 0.16, (0.5 * size, 0.42 * size, 0.62 * size, 0.56 * size))
    hill = mix(colour, (0, 0, 30), 0.13)
    lift = rng.uniform(-0.05, 0.05)
    page.flat(oval(rng.uniform(-0.3, 0.3), 1.78 + lift, 2.8, 0.98), hill)
    page.glow(None, mix(colour, (0, 0, 30), 0.55), 0.8, (*page.at(0, 0.93), 0.78 * page.scale, 0.13 * page.scale))


def _tail(page: Page, body: Body, fill: Colour, tip: Colour, side: int) -> None:
    x, y = body.rump

    def s(dx, dy):
        return side * (x + dx), y + dy

    page.group([poly(s(0.30, -0.42), s(0.62, -0.36), s(0.52, -0.72))], tip)
    page.group([rope(0.17, s(-0.25, 0.0), s(0.10, 0.16), s(0.38, 0.04), s(0.45, -0.34))], fill)


def _wings(page: Page, body: Body, fill: Colour) -> None:
    x, y = body.shoulder
    for side in (-1, 1):

        def s(dx, dy, side=side):
            return side * (x - 0.06 + dx), y + dy

        edge = [
            *_smooth([s(-0.12, 0.06), s(0.08, -0.34), s(0.40, -0.66)], False),
            *_smooth([s(0.40, -0.66), s(0.70, -0.56), s(0.86, -0.24)], False),
            *_smooth([s(0.86, -0.24), s(0.68, -0.20), s(0.64, 0.06)], False),
            *_smooth([s(0.64, 0.06), s(0.46, 0.04), s(0.36, 0.28)], False),
            *_smooth([s(0.36, 0.28), s(0.14, 0.22), s(-0.06, 0.30)], False),
        ]
        page.group([("poly", edge)], fill)
        for tip in (s(0.64, 0.02), s(0.36, 0.22)):
            page.flat(rope(0.04, s(0.34, -0.56), tip), page.ink)


def _horns(page: Page, body: Body) -> None:
    x, y, half = body.crown
    for side in (-1, 1):

        def s(dx, dy, side=side):
            return x + side * (half + dx), y + dy

        page.group(
            [blob(s(-0.13, 0.06), s(-0.06, -0.16), s(0.14, -0.42), s(0.16, -0.14), s(0.10, 0.10))],
            (255, 240, 206),
            mix((255, 240, 206), INK, 0.8),
        )


def _pattern(page: Page, mask: Image.Image, body: Body, pattern: str, colour: Colour) -> None:
    """Painted on a copy and pasted through the body's mask, so that it never leaves the body."""
    x, y, rx, ry = body.middle
    base = page.image.copy()
    if pattern == "spotted":
        for dx, dy, r in (
            (-0.62, -0.15, 0.20),
            (0.0, -0.60, 0.17),
            (0.64, -0.22, 0.20),
            (0.02, 0.18, 0.21),
            (-0.48, 0.62, 0.18),
            (0.52, 0.58, 0.19),
        ):
            page.flat(oval(x + rx * dx, y + ry * dy, r * 0.62 * (rx + ry) / 1.1, r * 0.62 * (rx + ry) / 1.1), colour)
    else:
        for dy in (-0.72, -0.16, 0.40, 0.92):
            page.flat(
                rope(
                    0.125,
                    (x - rx * 1.3, y + ry * (dy - 0.10)),
                    (x, y + ry * (dy + 0.08)),
                    (x + rx * 1.3, y + ry * (dy - 0.10)),
                ),
                colour,
            )
    page.image = Image.composite(page.image, base, mask)


def _face(page: Page, species: str, body: Body, rng: random.Random) -> None:
    x, y, gap, r = body.eyes
    gaze = rng.uniform(-0.2, 0.2)
    for side in (-1, 1):
        page.flat(oval(x + side * gap, y, r * 0.86, r * 1.12), INK)
        page.flat(oval(x + side * gap + r * (gaze - 0.18), y - r * 0.42, r * 0.36, r * 0.38), WHITE)
        page.flat(oval(x + side * gap + r * (gaze + 0.30), y + r * 0.46, r * 0.16, r * 0.17), WHITE)
    if species not in ("golem",):
        for side in (-1, 1):
            page.flat(oval(x + side * (gap + r * 1.45), y + r * 1.35, r * 0.62, r * 0.40), (255, 130, 140))
    if species in ("slime", "octopus", "fish"):
        page.flat(rope(0.04, (x - 0.10, body.mouth - 0.03), (x, body.mouth + 0.04), (x + 0.10, body.mouth - 0.03)), INK)
    elif species == "ghost":
        page.flat(oval(x, body.mouth, 0.07, 0.09), INK)
    elif species == "golem":
        page.flat(rope(0.05, (x - 0.14, body.mouth), (x + 0.14, body.mouth)), INK)


def _accessory(page: Page, name: str, body: Body, side: int) -> None:
    x, y, half = body.crown
    if name == "hat":
        page.group(
            [poly((x - 0.30, y + 0.02), (x + 0.06, y - 0.60), (x + 0.30, y + 0.02))], (24, 160, 160), (10, 50, 60)
        )
        page.group(
            [rope(0.15, (x - 0.36, y + 0.02), (x, y + 0.08), (x + 0.36, y + 0.02))], (255, 214, 70), (110, 70, 0)
        )
        page.group([oval(x + 0.06, y - 0.60, 0.11, 0.11)], (255, 250, 240), (90, 80, 90))
    elif name == "halo":
        ring = [(x + 0.38 * math.cos(a * math.pi / 8), y - 0.24 + 0.12 * math.sin(a * math.pi / 8)) for a in range(17)]
        page.glow(None, (255, 240, 150), 0.7, (*page.at(x, y - 0.24), 0.62 * page.scale, 0.32 * page.scale))
        for width, colour in ((0.17, (150, 96, 0)), (0.105, (255, 212, 40)), (0.035, (255, 248, 190))):
            page.flat(rope(width, *ring), colour)
    elif name == "bow":
        cx, cy = x + side * (half + 0.14), y - 0.02
        for d in (-1, 1):
            page.group(
                [
                    blob(
                        (cx, cy),
                        (cx + d * 0.18, cy - 0.20),
                        (cx + d * 0.34, cy - 0.19),
                        (cx + d * 0.34, cy + 0.19),
                        (cx + d * 0.18, cy + 0.20),
                    )
                ],
                (236, 40, 130),
                (90, 8, 50),
            )
        page.group([oval(cx, cy, 0.10, 0.12)], (255, 140, 195), (90, 8, 50))
    elif name == "scarf":
        nx, ny, width = body.neck
        ends = [(nx - side * width * 0.45, ny + 0.06), (nx - side * (width * 0.45 + 0.04), ny + 0.44)]
        for points in (ends, [(nx - width, ny - 0.05), (nx, ny + 0.06), (nx + width, ny - 0.05)]):
            page.group([rope(0.19, *points)], (214, 30, 50), (80, 6, 20), shaded=False)
            path = _smooth(points, closed=False, steps=24)
            for lo in range(len(path)):
                if int(5.0 * lo / len(path)) % 2:
                    page.flat(("rope", [path[lo]], 0.155), WHITE)


def _glasses(page: Page, body: Body) -> None:
    x, y, gap, r = body.eyes
    ring = max(r * 1.75, 0.20)
    gap = max(gap, ring * 0.98)
    page.flat(rope(0.07, (x - gap, y), (x + gap, y)), INK)
    for side in (-1, 1):
        page.flat(oval(x + side * gap, y, ring, ring), INK)
        page.flat(oval(x + side * gap, y, ring - 0.075, ring - 0.075), (250, 252, 255))


def _concept(page: Page, name: str, body: Body) -> None:
    x, y, _ = body.crown
    if name == "crown":
        page.group(
            [
                poly(
                    (x - 0.32, y + 0.12),
                    (x - 0.38, y - 0.34),
                    (x - 0.17, y - 0.10),
                    (x, y - 0.46),
                    (x + 0.17, y - 0.10),
                    (x + 0.38, y - 0.34),
                    (x + 0.32, y + 0.12),
                )
            ],
            (255, 204, 30),
            (110, 66, 0),
        )
        for dx in (-0.18, 0, 0.18):
            page.flat(oval(x + dx, y + 0.0, 0.06, 0.06), (226, 30, 70))
    else:
        bx, by, rx, ry = body.middle
        for i, height in enumerate((0.5, 0.66, 0.8, 0.66, 0.5)):
            cx, cy = bx + rx * (-0.9 + 0.45 * i), by - ry * 0.4
            lean = 0.12 * (i - 2)
            page.group(
                [poly((cx - 0.13, cy), (cx + lean, cy - height), (cx + 0.13, cy), (cx, cy + 0.2))],
                (96, 236, 250),
                (8, 84, 116),
            )


def draw(traits: Traits, seed: int, size: int = 256, concept: str | None = None) -> Image.Image:
    """The picture of `traits`: RGB, `size` x `size`, the same bytes for the same seed and size.

    `concept` adds one of CONCEPTS, which the base model has never seen.
    """
    from .species import SHAPES  # the species are a file of their own; they use the shapes above

    rng = random.Random(seed)

    def near(colour, by):
        return tuple(max(0, min(255, v + rng.randint(-by, by))) for v in colour)

    fill, back = near(COLOURS[traits.colour], 7), near(BACKGROUNDS[traits.background], 5)
    ink = mix(fill, INK, 0.80)
    canvas = size * (2 if size >= 128 else 3)
    page = Page(
        canvas, 0.5 + rng.uniform(-0.03, 0.03), 0.545 + rng.uniform(-0.02, 0.02), 0.375 * rng.uniform(0.94, 1.04), ink
    )
    _background(page, back, rng)
    side = rng.choice((-1, 1))
    before, torso, after, body = SHAPES[traits.species](rng)
    light, deep = mix(fill, WHITE, 0.42), mix(fill, (40, 10, 60), 0.30)
    if traits.tail:
        _tail(page, body, fill, deep, side)
    if traits.wings:
        _wings(page, body, light)
    if concept == "crystals":
        _concept(page, concept, body)
    if before:
        page.group(before, deep)
    mask = page.group(torso, fill)
    if traits.pattern == "plain":
        x, y, rx, ry = body.middle
        page.glow(mask, WHITE, 0.60, (*page.at(x, y + ry * 0.25), rx * 0.95 * page.scale, ry * 0.95 * page.scale))
    else:
        _pattern(page, mask, body, traits.pattern, mix(fill, (40, 10, 50), 0.52))
    after(page, deep, light)
    if traits.horns:
        _horns(page, body)
    if traits.accessory == "scarf":
        _accessory(page, "scarf", body, side)
    if traits.accessory == "glasses":
        _glasses(page, body)
    _face(page, traits.species, body, rng)
    if traits.accessory in ("hat", "halo", "bow"):
        _accessory(page, traits.accessory, body, side)
    if concept == "crown":
        _concept(page, concept, body)
    return page.image.resize((size, size), Image.Resampling.BOX)


def main() -> None:
    rng = random.Random(0)
    sheet = Image.new("RGB", (8 * 200, 5 * 200))
    from .captions import SPECIES

    for i in range(40):
        traits = sample_traits(rng)
        while traits.species != SPECIES[i % 8]:
            traits = sample_traits(rng)
        sheet.paste(draw(traits, i, 200), (i % 8 * 200, i // 8 * 200))
    sheet.save(sys.argv[1])


if __name__ == "__main__":
    main()
