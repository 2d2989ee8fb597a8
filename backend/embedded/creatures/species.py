"""The anatomy of the eight species.

Each function takes the generator of the picture and returns (shapes behind, shapes of the body, a function that paints
the details on top, the places where things attach). Coordinates as in `drawing`.
"""

import random

from .drawing import INK, Body, Page, blob, block, mix, oval, poly, rope

BEAK = (255, 168, 40)


def _near(rng: random.Random, value: float, by: float = .05) -> float:
    return value * (1 + rng.uniform(-by, by))


def dragon(rng):
    w = _near(rng, .40)
    before = [poly((-.30, -.52), (-.30, -.84), (-.06, -.62)), poly((-.13, -.60), (.0, -1.0), (.13, -.60)),
              poly((.06, -.62), (.30, -.84), (.30, -.52)),
              poly((-.40, -.40), (-.76, -.46), (-.48, -.18)), poly((.40, -.40), (.76, -.46), (.48, -.18))]
    torso = [oval(0, .46, w, .40), oval(-.25, .85, .19, .12), oval(.25, .85, .19, .12),
             oval(-w, .34, .12, .16), oval(w, .34, .12, .16), oval(0, -.30, .50, .38), oval(0, -.06, .38, .24)]

    def after(page: Page, deep, light):
        page.group([oval(0, -.01, .35, .19)], light)
        for side in (-1, 1):
            page.flat(oval(side * .13, -.08, .055, .05), INK)
            page.flat(poly((side * .20, .05), (side * .10, .06), (side * .15, .17)), (255, 255, 255))
        page.flat(rope(.04, (-.22, .03), (0, .08), (.22, .03)), INK)

    return before, torso, after, Body((0, .50, w, .36), (0, -.64, .27), (0, -.36, .25, .125), (0, .27, .38),
                                      (.34, .62), (.40, .22), .05)


def slime(rng):
    w = _near(rng, .78)
    torso = [blob((-w, .62), (-w * .86, .10), (-.42, -.34), (0, -.56), (.42, -.34), (w * .86, .10), (w, .62),
                  (w * .72, .90), (.24, .86), (0, .93), (-.24, .86), (-w * .72, .90))]

    def after(page: Page, deep, light):
        page.flat(oval(-.40, -.10, .10, .15), (255, 255, 255))

    return [], torso, after, Body((0, .38, w * .92, .50), (0, -.42, .26), (0, .16, .27, .14), (0, .66, w * .80),
                                  (w * .72, .66), (.48, .06), .42)


def bird(rng):
    w = _near(rng, .60)
    before = [blob((-.10, -.45), (-.28, -.80), (.0, -.60)), blob((-.06, -.5), (.02, -.95), (.12, -.5)),
              blob((.0, -.60), (.30, -.80), (.12, -.45)), rope(.10, (-.22, .7), (-.22, .90)), rope(.10, (.22, .7), (.22, .90))]
    torso = [oval(0, .14, w, .64)]

    def after(page: Page, deep, light):
        page.group([blob((-.20, .02), (0, -.08), (.20, .02), (0, .28))], BEAK, (120, 60, 0))
        for side in (-1, 1):
            page.group([rope(.11, (side * .22 - .10, .92), (side * .22 + .10, .92))], BEAK, (120, 60, 0), shaded=False)

    return before, torso, after, Body((0, .42, w * .82, .38), (0, -.44, .26), (0, -.10, .30, .135), (0, .36, w * .92),
                                      (w * .78, .48), (.46, .16), .20)


def cat(rng):
    w = _near(rng, .38)
    torso = [oval(0, .56, w, .38), oval(-.23, .86, .17, .11), oval(.23, .86, .17, .11), oval(0, -.14, .60, .46),
             poly((-.58, -.18), (-.56, -.82), (-.14, -.48)), poly((.58, -.18), (.56, -.82), (.14, -.48))]

    def after(page: Page, deep, light):
        for side in (-1, 1):
            page.flat(poly((side * .48, -.42), (side * .48, -.66), (side * .30, -.50)), (255, 170, 180))
            for dy in (-.04, .06):
                page.flat(rope(.025, (side * .34, .06 + dy), (side * .72, .04 + 2.2 * dy)), INK)
        page.flat(poly((-.07, .0), (.07, .0), (0, .08)), (255, 120, 140))
        page.flat(rope(.03, (-.12, .12), (-.06, .15), (0, .09), (.06, .15), (.12, .12)), INK)

    return [], torso, after, Body((0, .58, w, .36), (0, -.54, .20), (0, -.13, .28, .135), (0, .28, .38),
                                  (.28, .70), (.28, .36), .1)


def fish(rng):
    w, h = _near(rng, .66), _near(rng, .50)
    before = [blob((-.40, .12), (-.92, -.42), (-1.0, -.16), (-.84, .12), (-1.0, .40), (-.92, .66)),
              blob((-.30, -.24), (-.18, -.70), (.26, -.62), (.36, -.24)),
              blob((-.20, .50), (-.26, .86), (.0, .84), (.20, .52))]
    torso = [oval(.12, .12, w, h)]

    def after(page: Page, deep, light):
        page.group([blob((-.10, .18), (-.42, .08), (-.46, .30), (-.28, .44), (-.06, .34))], deep)

    return before, torso, after, Body((-.08, .14, w * .74, h * .92), (.30, .12 - h * .86, .22), (.42, .02, .20, .125),
                                      (.08, .44, w * .66), (.5, .2), (.40, .02), .30)


def golem(rng):
    w = _near(rng, .46)
    before = [block(-.72, .28, .19, .40), block(.72, .28, .19, .40)]
    torso = [block(0, .26, w, .40), block(0, -.40, .42, .32), block(-.25, .80, .20, .17), block(.25, .80, .20, .17)]

    def after(page: Page, deep, light):
        page.flat(rope(.04, (.18, -.70), (.24, -.60), (.20, -.54)), page.ink)
        page.flat(rope(.04, (-w + .04, .10), (-w + .16, .16), (-w + .14, .28)), page.ink)
        page.flat(rope(.04, (w - .04, .42), (w - .16, .46)), page.ink)

    return before, torso, after, Body((0, .28, w, .38), (0, -.68, .26), (0, -.44, .20, .12), (0, -.02, .44),
                                      (.60, .66), (.42, -.06), -.20)


def ghost(rng):
    w = _near(rng, .56)
    hem = [(w - 2 * w * i / 6, .94 if i % 2 == 0 else .74) for i in range(7)]
    torso = [blob((-w, -.10), (-w * .74, -.52), (0, -.72), (w * .74, -.52), (w, -.10), (w, .40), *hem, (-w, .40)),
             oval(-w - .02, .26, .17, .12), oval(w + .02, .26, .17, .12)]
    return [], torso, lambda page, deep, light: None, Body((0, .36, w * .92, .44), (0, -.62, .26), (0, -.16, .24, .135),
                                                    (0, .34, w * .86), (w * .70, .60), (.46, .10), .14)


def octopus(rng):
    w = _near(rng, .58)
    curl = rng.uniform(-.04, .04)
    arms = [rope(.22, (-.36 + .18 * i, .25), (-.58 + .29 * i, .60), (-.78 + .39 * i, .84 + curl * (-1) ** i))
            for i in range(5)]
    torso = [*arms, oval(0, -.16, w, .54)]

    def after(page: Page, deep, light):
        for i in range(5):
            page.flat(oval(-.74 + .37 * i, .80, .05, .05), mix(deep, (255, 255, 255), .62))

    return [], torso, after, Body((0, -.30, w * .90, .36), (0, -.62, .26), (0, -.02, .25, .135), (0, .30, w * .84),
                                  (.4, .3), (.46, -.02), .20)


SHAPES = {"dragon": dragon, "slime": slime, "bird": bird, "cat": cat, "fish": fish, "golem": golem, "ghost": ghost,
          "octopus": octopus}
