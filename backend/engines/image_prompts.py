"""From words to embeddings: what the text encoders read, kept for the latest prompts."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any

import torch

from engines.image_families import Family
from engines.protocol import TextToImage

PROMPTS_KEPT = 64


class Prompts:
    """Encodes the prompts of one model, whatever the task. Forgets the oldest beyond `PROMPTS_KEPT`."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._kept: OrderedDict[tuple, dict[str, torch.Tensor]] = OrderedDict()

    def clear(self) -> None:
        self._kept.clear()

    def arguments(self, pipe: Any, task: TextToImage) -> dict[str, Any]:
        """The prompt as arguments of the pipeline's call: embeddings where the family says how they are called."""
        if not self._family.embeddings:
            return {"prompt": task.prompt, "negative_prompt": task.negative_prompt or None}
        guided = self._family.guides(pipe, task.guidance_scale)
        key = (task.prompt, task.negative_prompt, guided, task.clip_skip)
        if key not in self._kept:
            self._kept[key] = self._encode(pipe, task, guided)
            if len(self._kept) > PROMPTS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    @torch.no_grad()
    def _encode(self, pipe: Any, task: TextToImage, guided: bool) -> dict[str, torch.Tensor]:
        wanted = {
            "prompt": task.prompt,
            "prompt_2": None,
            "prompt_3": None,
            "negative_prompt": task.negative_prompt or None,
            "device": pipe._execution_device,
            "num_images_per_prompt": 1,
            "do_classifier_free_guidance": guided,
            "clip_skip": task.clip_skip or None,
        }
        known = inspect.signature(type(pipe).encode_prompt).parameters
        encoded = pipe.encode_prompt(**{name: value for name, value in wanted.items() if name in known})
        named = zip(self._family.embeddings, encoded[: len(self._family.embeddings)], strict=True)
        return {name: tensor for name, tensor in named if name and tensor is not None}
