"""What a creature can be, and how English says it.

Owns the vocabulary (species, colours, backgrounds, patterns, extras), the sampling of traits, and the small grammar
that turns traits into a caption and a caption back into traits. Pure standard library.

    python -m embedded.creatures.captions        # prints a few captions
"""

import random
import re
from dataclasses import dataclass

SPECIES = ("dragon", "slime", "bird", "cat", "fish", "golem", "ghost", "octopus")
COLOURS = {
    "red": (222, 48, 46),
    "orange": (247, 136, 34),
    "yellow": (252, 212, 58),
    "green": (64, 176, 84),
    "blue": (58, 112, 232),
    "purple": (140, 76, 206),
    "pink": (252, 146, 196),
    "white": (244, 244, 246),
}
BACKGROUNDS = {
    "blue": (158, 208, 246),
    "green": (176, 220, 160),
    "grey": (156, 158, 166),
    "black": (38, 38, 54),
    "yellow": (248, 230, 164),
    "pink": (250, 206, 218),
}
PATTERNS = ("plain", "spotted", "striped")
PARTS = ("wings", "horns", "tail")
ACCESSORIES = ("none", "hat", "bow", "glasses", "scarf", "halo")

# Pairs that never occur in the training set: they test whether the model composes what it knows.
HELD_OUT = frozenset(
    {
        ("dragon", "pink"),
        ("slime", "orange"),
        ("bird", "purple"),
        ("cat", "blue"),
        ("fish", "green"),
        ("golem", "yellow"),
        ("ghost", "red"),
        ("octopus", "white"),
    }
)
# A fish is born with a tail, and an octopus's would hide among its arms: neither is asked for one.
NO_TAIL = frozenset({"fish", "octopus"})


@dataclass(frozen=True)
class Traits:
    """One creature. `colour` and `background` are None only when a caption leaves them open."""

    species: str
    colour: str | None
    background: str | None
    wings: bool = False
    horns: bool = False
    tail: bool = False
    pattern: str = "plain"
    accessory: str = "none"


def sample_traits(rng: random.Random, held_out: bool = False) -> Traits:
    """Draws a creature; its (species, colour) pair is held out, or not, as asked."""
    while True:
        species, colour = rng.choice(SPECIES), rng.choice(tuple(COLOURS))
        if ((species, colour) in HELD_OUT) == held_out:
            break
    accessory = rng.choices(ACCESSORIES, [0.40, 0.12, 0.12, 0.12, 0.12, 0.12])[0]
    return Traits(
        species,
        colour,
        rng.choice(tuple(BACKGROUNDS)),
        wings=rng.random() < 0.35,
        horns=rng.random() < 0.30 and accessory not in ("hat", "halo"),  # these would hide the horns
        tail=rng.random() < 0.33 and species not in NO_TAIL,
        pattern=rng.choices(PATTERNS, [0.60, 0.20, 0.20])[0],
        accessory=accessory,
    )


OPENINGS = ("a cute", "a small", "a happy", "a cartoon", "a drawing of a", "a picture of a", "an illustration of a")
_NAMES = {
    "wings": "wings",
    "horns": "horns",
    "tail": "a tail",
    "hat": "a hat",
    "bow": "a bow",
    "glasses": "glasses",
    "scarf": "a scarf",
    "halo": "a halo",
}


def features(traits: Traits) -> list[str]:
    """The words of everything the creature has: `["wings", "a hat"]`."""
    has = [part for part in PARTS if getattr(traits, part)]
    return [_NAMES[name] for name in has + [traits.accessory] if name != "none"]


def _article(core: str) -> str:
    return "an" if core[0] in "aeiou" else "a"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def plain_caption(traits: Traits) -> str:
    """The one canonical sentence: `a red dragon with wings on a blue background`."""
    adjectives = [traits.pattern] if traits.pattern != "plain" else []
    core = " ".join(adjectives + ([traits.colour] if traits.colour else []) + [traits.species])
    having = f" with {_joined(features(traits))}" if features(traits) else ""
    place = f" on a {traits.background} background" if traits.background else ""
    return f"{_article(core)} {core}{having}{place}"


def caption(traits: Traits, rng: random.Random) -> str:
    """One of many sentences for the same creature. Sometimes leaves out the background or the colour, so that short
    prompts work; never leaves out what the creature has, so that what is not asked for does not come."""
    if rng.random() < 0.35:
        return plain_caption(traits)
    has = features(traits)
    rng.shuffle(has)
    background = None if rng.random() < 0.12 else traits.background
    if background == "grey" and rng.random() < 0.3:
        background = "gray"
    adjectives = ([traits.pattern] if traits.pattern != "plain" else []) + (
        [traits.colour] if rng.random() > 0.05 else []
    )
    core = " ".join(adjectives + [traits.species])
    opening = f"{_article(core)} {core}" if rng.random() < 0.6 else f"{rng.choice(OPENINGS)} {core}"
    style = rng.randrange(4)
    if style == 0:
        return ", ".join(
            [core, *(word.removeprefix("a ") for word in has)] + ([f"{background} background"] if background else [])
        )
    if style == 1:
        place = f" in front of a {background} background" if background else ""
        return opening + place + (f", it has {_joined(has)}" if has else "")
    if style == 2:
        return (
            opening + (f", {background} background" if background else "") + (f", with {_joined(has)}" if has else "")
        )
    worn = [word for word in has if word.removeprefix("a ") in ACCESSORIES]
    grown = [word for word in has if word not in worn]
    return (
        opening
        + (f" with {_joined(grown)}" if grown else "")
        + (f" wearing {worn[0]}" if worn else "")
        + (f" on a {background} background" if background else "")
    )


def parse(text: str) -> Traits:
    """The traits a caption of this grammar names. Raises ValueError when it names no species."""
    text = text.lower().replace("gray", "grey")
    place = re.search(r"(\w+) background", text)
    body = text.replace(place.group(0), "") if place else text
    words = re.findall(r"[a-z]+", body)
    species = next((word for word in words if word in SPECIES), None)
    if species is None:
        raise ValueError(f"no species in caption: {text!r}")
    return Traits(
        species,
        next((word for word in words if word in COLOURS), None),
        place.group(1) if place and place.group(1) in BACKGROUNDS else None,
        **{part: part in words for part in PARTS},
        pattern=next((word for word in words if word in PATTERNS), "plain"),
        accessory=next((word for word in words if word in ACCESSORIES), "none"),
    )


if __name__ == "__main__":
    generator = random.Random(0)
    for _ in range(12):
        print(caption(sample_traits(generator), generator))
