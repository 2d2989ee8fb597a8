"""Prompts side by side (A1111's `AND`): the denoiser looks at each, and guidance leads away from nothing towards all.

    ε = ε(∅) + g · Σ wᵢ · (ε(cᵢ) - ε(∅))

(Liu et al. 2022, "Compositional visual generation with composable diffusion models", equation 11.) A pipeline makes
ε(∅) and ε(c₁) in one call and guides by itself, so what it is handed in the place of ε(c₁) is the whole sum:
ε(∅) + Σ wᵢ · (ε(cᵢ) - ε(∅)).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from engines.image_prompts import Reading


@contextlib.contextmanager
def side_by_side(pipe: Any, reading: Reading | None, pictures: int) -> Iterator[None]:
    """Around a pipeline's call whose first prompt is `reading`'s: the others are looked at as well."""
    if reading is None or not reading.others:
        yield
        return
    handle = pipe.unet.register_forward_hook(_Others(pipe, reading, pictures), with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


class _Others:
    """A hook behind the UNet. Its calls are the steps of the pass: one for each of the scheduler's timesteps."""

    def __init__(self, pipe: Any, reading: Reading, pictures: int) -> None:
        self._pipe, self._reading, self._pictures = pipe, reading, pictures
        self._step = 0

    def __call__(self, unet: Any, given: tuple, named: dict[str, Any], answer: tuple) -> tuple:
        nothing, first = answer[0].chunk(2)
        towards = self._reading.weight * (first - nothing)
        sample, *rest = given
        for other in self._reading.others:
            words = {
                name: tensor.repeat_interleave(self._pictures, dim=0)
                for name, tensor in other.at(self._step, self._pipe.num_timesteps).items()
            }
            seen = unet.forward(sample.chunk(2)[1], *rest, **_looking_at(words, named))[0]
            towards = towards + other.weight * (seen - nothing)
        self._step += 1
        return (torch.cat([nothing, nothing + towards]),)


def _looking_at(words: dict[str, torch.Tensor], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the UNet for these words alone: the half that is guided, with other embeddings."""
    changed = {**named, "encoder_hidden_states": words["prompt_embeds"]}
    if added := named.get("added_cond_kwargs"):
        halves = {name: tensor.chunk(2)[1] for name, tensor in added.items()}
        if "pooled_prompt_embeds" in words:
            halves["text_embeds"] = words["pooled_prompt_embeds"]
        changed["added_cond_kwargs"] = halves
    return changed
