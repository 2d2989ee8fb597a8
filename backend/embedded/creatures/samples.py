"""Writes the drawings that ship: a small data set with captions, and a folder of pictures.

python -m embedded.creatures.samples --data-set embedded/sample-images --pictures ../pokemon
"""

import argparse
import json
import random
from pathlib import Path

from .captions import BACKGROUNDS, COLOURS, HELD_OUT, SPECIES, Traits, caption, plain_caption, sample_traits
from .drawing import draw

COUNT, SIZE, SEED = 48, 256, 2026

SHOWN = (  # the six of the picture folder
    Traits("dragon", "red", "blue", wings=True),
    Traits("cat", "orange", "green", tail=True, accessory="scarf"),
    Traits("octopus", "purple", "yellow", accessory="hat"),
    Traits("ghost", "white", "black", accessory="bow"),
    Traits("slime", "green", "pink", horns=True, pattern="spotted"),
    Traits("bird", "yellow", "grey", wings=True, accessory="glasses"),
)

CARD = """---
license: mit
pretty_name: Creatures
size_categories: [n<1K]
task_categories: [text-to-image]
---

# Sample images

{count} drawings of creatures, {size} × {size} pixels, each with a caption: six of each of eight species. Code drew them
(`embedded/creatures/drawing.py`), so nobody's work or likeness is in them. They are meant for trying out a fine-tuning:
small, clean, and easy to judge by eye. Draw them again, byte for byte with the same version of Pillow:

    cd backend && python -m embedded.creatures.samples --data-set embedded/sample-images --pictures ../pokemon

`metadata.jsonl` follows Hugging Face's imagefolder convention: `file_name` and `text`. Licence: MIT.
"""


def chosen(index: int) -> Traits:
    """Species in turn, colours and backgrounds spread evenly, everything else by chance. No held-out pair, so that
    the shipped pictures could all have been in the base model's training set."""
    species = SPECIES[index % len(SPECIES)]
    colours = [colour for colour in COLOURS if (species, colour) not in HELD_OUT]
    rng = random.Random(SEED + index)
    traits = sample_traits(rng)
    while traits.species != species or traits.colour != colours[(index // 8 + index) % 7]:
        traits = sample_traits(rng)
    return Traits(**{**traits.__dict__, "background": tuple(BACKGROUNDS)[(index // 8 + index % 8) % 6]})


def write_data_set(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(COUNT):
        traits, name = chosen(index), f"creature_{index:02}.png"
        draw(traits, SEED + index, SIZE).save(folder / name, optimize=True)
        rng = random.Random(SEED + index)
        lines.append(
            json.dumps({"file_name": name, "text": plain_caption(traits) if index % 2 else caption(traits, rng)})
        )
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "README.md").write_text(CARD.format(count=COUNT, size=SIZE))


def write_pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, traits in enumerate(SHOWN):
        draw(traits, SEED + 1000 + index, 512).save(folder / f"image_{index:02}.png", optimize=True)


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--data-set", type=Path)
    args.add_argument("--pictures", type=Path)
    given = args.parse_args()
    if given.data_set:
        write_data_set(given.data_set)
    if given.pictures:
        write_pictures(given.pictures)


if __name__ == "__main__":
    main()
