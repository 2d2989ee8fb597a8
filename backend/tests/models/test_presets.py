"""Sizes with names: every family's can be made by its models, and a model of another size gets its own."""

from __future__ import annotations

import pytest
from atelier.models.families import DEFAULTS, SIZES, image_defaults, image_limits, size_presets
from atelier.models.schemas import ImageDefaults, ImageLimits


@pytest.mark.parametrize("family", [*DEFAULTS, "some_other"])
def test_they_can_be_made(family: str) -> None:
    defaults, limits = image_defaults(family), image_limits(family)
    presets = size_presets(family, defaults, limits)
    sizes = [(one.width, one.height) for one in presets]
    assert len(sizes) == len(set(sizes)) >= 2
    for preset in presets:
        for side in (preset.width, preset.height):
            assert limits.min_side <= side <= limits.max_side and side % limits.multiple == 0
        assert preset.width * preset.height == pytest.approx(defaults.width * defaults.height, rel=0.15)
    assert {one.id for one in presets} >= {"tall", "wide"}


@pytest.mark.parametrize("family", SIZES)
def test_the_table_is_taken_as_it_stands(family: str) -> None:
    presets = {one.id: (one.width, one.height) for one in size_presets(family, DEFAULTS[family], image_limits(family))}
    for name, size in SIZES[family].items():
        assert presets[name] == size, "a size of the table that the family cannot make"


def test_a_model_of_another_size() -> None:
    small = ImageDefaults(steps=20, guidance_scale=3, width=256, height=256)
    presets = size_presets("sd15", small, ImageLimits(min_side=256, max_side=384, multiple=64))
    assert [(one.id, one.width, one.height) for one in presets] == [
        ("square", 256, 256),
        ("portrait", 256, 320),
        ("landscape", 320, 256),
    ]
