"""What somebody typed, where it is not what is drawn: before styles, `<lora:…>` and a translation came into it.

It stands in a picture's recipe, in its row as in its file, under `asked`. `as_typed` brings it back, where it comes to
the same words today: a style may have been changed since, or be somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atelier.errors import AtelierError
from atelier.images.additions import take_tags
from atelier.images.prompt_schemas import StyleOut
from atelier.images.prompts import with_style
from atelier.images.schemas import MOST_STYLES, GenerationIn

WORDS = ("prompt", "negative_prompt")


def typed(wanted: GenerationIn, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a request that its decided form does not show any more; mostly none."""
    told: dict[str, Any] = {
        name: text for name in WORDS if (text := getattr(wanted, name)).strip() and text != resolved[name]
    }
    if wanted.styles:
        told["styles"] = wanted.styles
    if wanted.typed_prompt:
        told["typed_prompt"] = wanted.typed_prompt
    if len(resolved.get("loras", [])) != len(wanted.loras):
        told["loras"] = [lora.model_dump(exclude_none=True) for lora in wanted.loras]
    return told


def as_typed(recipe: Mapping[str, Any], styles: Mapping[str, StyleOut]) -> dict[str, Any]:
    """The recipe with what was typed in place of what was drawn, if that comes to the same; else as it is. `recipe` may
    be a stranger's: nothing about its `asked` is certain."""
    asked = recipe.get("asked")
    if not isinstance(asked, dict):
        return dict(recipe)
    drawn = {name: str(recipe.get(name) or "") for name in WORDS}
    words = {name: str(asked.get(name, drawn[name])) for name in WORDS}
    names = asked.get("styles", [])
    if not isinstance(names, list) or len(names) > MOST_STYLES:
        return dict(recipe)
    if not all(isinstance(name, str) and name in styles for name in names):
        return dict(recipe)
    prompt, negative = words["prompt"], words["negative_prompt"]
    try:
        for name in names:
            prompt, negative = with_style(styles[name], prompt, negative)
        prompt, _ = take_tags(prompt)
    except AtelierError:
        return dict(recipe)
    if {"prompt": prompt, "negative_prompt": negative} != drawn:
        return dict(recipe)
    told = {name: asked[name] for name in ("styles", "typed_prompt", "loras") if asked.get(name) is not None}
    return {**recipe, **words, **told}
