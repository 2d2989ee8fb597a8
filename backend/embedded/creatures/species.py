"""The anatomy of the eight species.

Each function takes the generator of the picture and returns (shapes behind, shapes of the body, a function that paints
the details on top, the places where things attach). Coordinates as in `drawing`.
"""

import random

from .drawing import INK, Body, Page, blob, block, mix, oval, poly, rope

BEAK = (255, 168, 40)


def _near(rng: random.Random, value: float, by: float = 0.05) -> float:
    return value * (1 + rng.uniform(-by, by))


def dragon(rng):
    w = _near(rng, 0.40)
    before = [
        poly((-0.30, -0.52), (-0.30, -0.84), (-0.06, -0.62)),
        poly((-0.13, -0.60), (0.0, -1.0), (0.13, -0.60)),
        poly((0.06, -0.62), (0.30, -0.84), (0.30, -0.52)),
        poly((-0.40, -0.40), (-0.76, -0.46), (-0.48, -0.18)),
        poly((0.40, -0.40), (0.76, -0.46), (0.48, -0.18)),
    ]
    torso = [
        oval(0, 0.46, w, 0.40),
        oval(-0.25, 0.85, 0.19, 0.12),
        oval(0.25, 0.85, 0.19, 0.12),
        oval(-w, 0.34, 0.12, 0.16),
        oval(w, 0.34, 0.12, 0.16),
        oval(0, -0.30, 0.50, 0.38),
        oval(0, -0.06, 0.38, 0.24),
    ]

    def after(page: Page, deep, light):
        page.group([oval(0, -0.01, 0.35, 0.19)], light)
        for side in (-1, 1):
            page.flat(oval(side * 0.13, -0.08, 0.055, 0.05), INK)
            page.flat(poly((side * 0.20, 0.05), (side * 0.10, 0.06), (side * 0.15, 0.17)), (255, 255, 255))
        page.flat(rope(0.04, (-0.22, 0.03), (0, 0.08), (0.22, 0.03)), INK)

    return (
        before,
        torso,
        after,
        Body(
            (0, 0.50, w, 0.36),
            (0, -0.64, 0.27),
            (0, -0.36, 0.25, 0.125),
            (0, 0.27, 0.38),
            (0.34, 0.62),
            (0.40, 0.22),
            0.05,
        ),
    )


def slime(rng):
    w = _near(rng, 0.78)
    torso = [
        blob(
            (-w, 0.62),
            (-w * 0.86, 0.10),
            (-0.42, -0.34),
            (0, -0.56),
            (0.42, -0.34),
            (w * 0.86, 0.10),
            (w, 0.62),
            (w * 0.72, 0.90),
            (0.24, 0.86),
            (0, 0.93),
            (-0.24, 0.86),
            (-w * 0.72, 0.90),
        )
    ]

    def after(page: Page, deep, light):
        page.flat(oval(-0.40, -0.10, 0.10, 0.15), (255, 255, 255))

    return (
        [],
        torso,
        after,
        Body(
            (0, 0.38, w * 0.92, 0.50),
            (0, -0.42, 0.26),
            (0, 0.16, 0.27, 0.14),
            (0, 0.66, w * 0.80),
            (w * 0.72, 0.66),
            (0.48, 0.06),
            0.42,
        ),
    )


def bird(rng):
    w = _near(rng, 0.60)
    before = [
        blob((-0.10, -0.45), (-0.28, -0.80), (0.0, -0.60)),
        blob((-0.06, -0.5), (0.02, -0.95), (0.12, -0.5)),
        blob((0.0, -0.60), (0.30, -0.80), (0.12, -0.45)),
        rope(0.10, (-0.22, 0.7), (-0.22, 0.90)),
        rope(0.10, (0.22, 0.7), (0.22, 0.90)),
    ]
    torso = [oval(0, 0.14, w, 0.64)]

    def after(page: Page, deep, light):
        page.group([blob((-0.20, 0.02), (0, -0.08), (0.20, 0.02), (0, 0.28))], BEAK, (120, 60, 0))
        for side in (-1, 1):
            page.group(
                [rope(0.11, (side * 0.22 - 0.10, 0.92), (side * 0.22 + 0.10, 0.92))], BEAK, (120, 60, 0), shaded=False
            )

    return (
        before,
        torso,
        after,
        Body(
            (0, 0.42, w * 0.82, 0.38),
            (0, -0.44, 0.26),
            (0, -0.10, 0.30, 0.135),
            (0, 0.36, w * 0.92),
            (w * 0.78, 0.48),
            (0.46, 0.16),
            0.20,
        ),
    )


def cat(rng):
    w = _near(rng, 0.38)
    torso = [
        oval(0, 0.56, w, 0.38),
        oval(-0.23, 0.86, 0.17, 0.11),
        oval(0.23, 0.86, 0.17, 0.11),
        oval(0, -0.14, 0.60, 0.46),
        poly((-0.58, -0.18), (-0.56, -0.82), (-0.14, -0.48)),
        poly((0.58, -0.18), (0.56, -0.82), (0.14, -0.48)),
    ]

    def after(page: Page, deep, light):
        for side in (-1, 1):
            page.flat(poly((side * 0.48, -0.42), (side * 0.48, -0.66), (side * 0.30, -0.50)), (255, 170, 180))
            for dy in (-0.04, 0.06):
                page.flat(rope(0.025, (side * 0.34, 0.06 + dy), (side * 0.72, 0.04 + 2.2 * dy)), INK)
        page.flat(poly((-0.07, 0.0), (0.07, 0.0), (0, 0.08)), (255, 120, 140))
        page.flat(rope(0.03, (-0.12, 0.12), (-0.06, 0.15), (0, 0.09), (0.06, 0.15), (0.12, 0.12)), INK)

    return (
        [],
        torso,
        after,
        Body(
            (0, 0.58, w, 0.36),
            (0, -0.54, 0.20),
            (0, -0.13, 0.28, 0.135),
            (0, 0.28, 0.38),
            (0.28, 0.70),
            (0.28, 0.36),
            0.1,
        ),
    )


def fish(rng):
    w, h = _near(rng, 0.66), _near(rng, 0.50)
    before = [
        blob((-0.40, 0.12), (-0.92, -0.42), (-1.0, -0.16), (-0.84, 0.12), (-1.0, 0.40), (-0.92, 0.66)),
        blob((-0.30, -0.24), (-0.18, -0.70), (0.26, -0.62), (0.36, -0.24)),
        blob((-0.20, 0.50), (-0.26, 0.86), (0.0, 0.84), (0.20, 0.52)),
    ]
    torso = [oval(0.12, 0.12, w, h)]

    def after(page: Page, deep, light):
        page.group([blob((-0.10, 0.18), (-0.42, 0.08), (-0.46, 0.30), (-0.28, 0.44), (-0.06, 0.34))], deep)

    return (
        before,
        torso,
        after,
        Body(
            (-0.08, 0.14, w * 0.74, h * 0.92),
            (0.30, 0.12 - h * 0.86, 0.22),
            (0.42, 0.02, 0.20, 0.125),
            (0.08, 0.44, w * 0.66),
            (0.5, 0.2),
            (0.40, 0.02),
            0.30,
        ),
    )


def golem(rng):
    w = _near(rng, 0.46)
    before = [block(-0.72, 0.28, 0.19, 0.40), block(0.72, 0.28, 0.19, 0.40)]
    torso = [
        block(0, 0.26, w, 0.40),
        block(0, -0.40, 0.42, 0.32),
        block(-0.25, 0.80, 0.20, 0.17),
        block(0.25, 0.80, 0.20, 0.17),
    ]

    def after(page: Page, deep, light):
        page.flat(rope(0.04, (0.18, -0.70), (0.24, -0.60), (0.20, -0.54)), page.ink)
        page.flat(rope(0.04, (-w + 0.04, 0.10), (-w + 0.16, 0.16), (-w + 0.14, 0.28)), page.ink)
        page.flat(rope(0.04, (w - 0.04, 0.42), (w - 0.16, 0.46)), page.ink)

    return (
        before,
        torso,
        after,
        Body(
            (0, 0.28, w, 0.38),
            (0, -0.68, 0.26),
            (0, -0.44, 0.20, 0.12),
            (0, -0.02, 0.44),
            (0.60, 0.66),
            (0.42, -0.06),
            -0.20,
        ),
    )


def ghost(rng):
    w = _near(rng, 0.56)
    hem = [(w - 2 * w * i / 6, 0.94 if i % 2 == 0 else 0.74) for i in range(7)]
    torso = [
        blob((-w, -0.10), (-w * 0.74, -0.52), (0, -0.72), (w * 0.74, -0.52), (w, -0.10), (w, 0.40), *hem, (-w, 0.40)),
        oval(-w - 0.02, 0.26, 0.17, 0.12),
        oval(w + 0.02, 0.26, 0.17, 0.12),
    ]
    return (
        [],
        torso,
        lambda page, deep, light: None,
        Body(
            (0, 0.36, w * 0.92, 0.44),
            (0, -0.62, 0.26),
            (0, -0.16, 0.24, 0.135),
            (0, 0.34, w * 0.86),
            (w * 0.70, 0.60),
            (0.46, 0.10),
            0.14,
        ),
    )


def octopus(rng):
    w = _near(rng, 0.58)
    curl = rng.uniform(-0.04, 0.04)
    arms = [
        rope(0.22, (-0.36 + 0.18 * i, 0.25), (-0.58 + 0.29 * i, 0.60), (-0.78 + 0.39 * i, 0.84 + curl * (-1) ** i))
        for i in range(5)
    ]
    torso = [*arms, oval(0, -0.16, w, 0.54)]

    def after(page: Page, deep, light):
        for i in range(5):
            page.flat(oval(-0.74 + 0.37 * i, 0.80, 0.05, 0.05), mix(deep, (255, 255, 255), 0.62))

    return (
        [],
        torso,
        after,
        Body(
            (0, -0.30, w * 0.90, 0.36),
            (0, -0.62, 0.26),
            (0, -0.02, 0.25, 0.135),
            (0, 0.30, w * 0.84),
            (0.4, 0.3),
            (0.46, -0.02),
            0.20,
        ),
    )


SHAPES = {
    "dragon": dragon,
    "slime": slime,
    "bird": bird,
    "cat": cat,
    "fish": fish,
    "golem": golem,
    "ghost": ghost,
    "octopus": octopus,
}
