"""How rare a creature is: a weighted draw."""

from __future__ import annotations

from random import Random
from typing import Literal

Rarity = Literal["F", "E", "D", "C", "B", "A", "S", "S+"]

# Of a thousand creatures. Each step is rarer than the one before.
WEIGHTS: dict[Rarity, int] = {"F": 400, "E": 250, "D": 150, "C": 100, "B": 60, "A": 25, "S": 12, "S+": 3}


def draw_rarity(random: Random) -> Rarity:
    return random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
