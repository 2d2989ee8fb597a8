"""From words to embeddings: what the text encoders read, kept for the latest prompts.

A prompt without syntax that CLIP reads at once is encoded by the pipeline itself. Weights, BREAK, long prompts and
skipped layers are `clip_prompts`' work for models that have no other encoder than CLIP. Models with T5 (SD 3, FLUX) are
told the words alone, and the recipe says so.
"""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import torch

from engines import clip_prompts, image_embeddings, image_loras
from engines.image_embeddings import Embeddings
from engines.image_families import Family
from engines.prompt_syntax import Prompt, Segment, side_by_side
from engines.protocol import TextToImage

PROMPTS_KEPT = 64
MOST_SIDE_BY_SIDE = 8
"""Prompts between `AND`s: each takes half as long again as a whole guided picture of one."""

T5_TOKENS = (256, 512)
"""SD 3 reads 256 tokens unless asked for more, and never more than 512."""


@dataclass(frozen=True)
class Reading:
    """What one task's words became: a few sets of arguments of the pipeline's call, and which of them each step takes
    (one number: the same for all). `others`: the prompts beside the first, each with its `weight`."""

    variants: tuple[dict[str, torch.Tensor], ...]
    by_step: tuple[int, ...] = (0,)
    weight: float = 1.0
    others: tuple[Reading, ...] = ()

    def at(self, step: int, of: int) -> dict[str, torch.Tensor]:
        """What `step` (from 0) of `of` is told of the words that are wanted."""
        variant = self.variants[self.by_step[min(step, of - 1) * len(self.by_step) // of]]
        return {name: tensor for name, tensor in variant.items() if not name.startswith("negative")}

    def changes(self, step: int, of: int, pictures: int) -> dict[str, torch.Tensor]:
        """What the pipeline's loop is to go on with after `step` (from 0) of `of`; nothing if nothing changes."""
        if len(self.by_step) == 1 or step + 1 >= of:
            return {}
        now, then = (self.by_step[at * len(self.by_step) // of] for at in (step, step + 1))
        if now == then:
            return {}
        variant = self.variants[then]

        def both(positive: str, negative: str) -> torch.Tensor:
            found = [
                variant[name].repeat_interleave(pictures, dim=0) for name in (negative, positive) if name in variant
            ]
            return torch.cat(found)

        changed = {"prompt_embeds": both("prompt_embeds", "negative_prompt_embeds")}
        if "pooled_prompt_embeds" in variant:
            changed["add_text_embeds"] = both("pooled_prompt_embeds", "negative_pooled_prompt_embeds")
        return changed


class Prompts:
    """Encodes the prompts of one model, whatever the task. Forgets the oldest beyond `PROMPTS_KEPT`. `device`: where
    the model computes; a pipeline that is asked looks through all of its modules to say so, which takes as long as a
    few layers of its text encoders do."""

    def __init__(self, family: Family, embeddings: Embeddings | None = None, device: str = "cpu") -> None:
        self._family, self._device = family, torch.device(device)
        self._embeddings = embeddings or Embeddings()
        self._kept: OrderedDict[tuple, Reading] = OrderedDict()

    def clear(self) -> None:
        self._kept.clear()

    def arguments(self, pipe: Any, task: TextToImage) -> dict[str, Any]:
        """The prompt as arguments of the pipeline's call: embeddings where the family says how they are called."""
        if not self._family.embeddings:
            # Without words to avoid they are none, not absent: PixArt fails over that, Qwen-Image would not be guided.
            words = {"prompt": _words(task.prompt), "negative_prompt": _words(task.negative_prompt)}
            return {**words, "true_cfg_scale": task.guidance_scale}  # what Qwen-Image calls the guidance scale
        return self.reading(pipe, task).variants[0]

    def reading(self, pipe: Any, task: TextToImage) -> Reading:
        """Everything that the task's steps are told. The model's LoRAs and embeddings are those of the task by now."""
        guided = self._family.guides(pipe, task.guidance_scale)
        key = (
            task.prompt,
            task.negative_prompt,
            guided,
            task.clip_skip,
            task.steps if changes_by_step(task) else 0,
            image_loras.text_state(task.loras),
            image_embeddings.text_state(task.embeddings),
        )
        if key not in self._kept:
            self._kept[key] = self._read(pipe, task, guided)
            if len(self._kept) > PROMPTS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    @torch.no_grad()
    def _read(self, pipe: Any, task: TextToImage, guided: bool) -> Reading:
        if not _only_clip(pipe):
            return Reading((self._encode(pipe, _words(task.prompt), _words(task.negative_prompt), guided),))
        if guided and _composed(task.prompt):
            first, *others = (
                replace(self._read_one(pipe, msgspec.structs.replace(task, prompt=text), guided), weight=weight)
                for text, weight in side_by_side(task.prompt)
            )
            return replace(first, others=tuple(others))
        return self._read_one(pipe, task, guided)

    def _read_one(self, pipe: Any, task: TextToImage, guided: bool) -> Reading:
        both = (task.prompt, task.negative_prompt) if guided else (task.prompt,)
        if not task.clip_skip and all(self._as_it_is(pipe, text) for text in both):
            return Reading((self._encode(pipe, task.prompt, task.negative_prompt, guided),))
        return self._read_clip(pipe, task, guided)

    def _as_it_is(self, pipe: Any, text: str) -> bool:
        return self._embeddings.spelled(text) == text and Prompt(text).plain and clip_prompts.fits(pipe, text)

    def _encode(self, pipe: Any, prompt: str, negative: str, guided: bool) -> dict[str, torch.Tensor]:
        """By the pipeline's own means."""
        known = inspect.signature(type(pipe).encode_prompt).parameters
        wanted = {
            "prompt": prompt,
            "prompt_2": None,
            "prompt_3": None,
            "negative_prompt": negative or None,
            "device": self._device,
            "num_images_per_prompt": 1,
            "do_classifier_free_guidance": guided,
        }
        if "prompt_3" in known and getattr(pipe, "tokenizer_3", None) is not None:
            longest = max(len(pipe.tokenizer_3(text).input_ids) for text in (prompt, negative))
            wanted["max_sequence_length"] = T5_TOKENS[longest > T5_TOKENS[0]]
        encoded = pipe.encode_prompt(**{name: value for name, value in wanted.items() if name in known})
        named = zip(self._family.embeddings, encoded[: len(self._family.embeddings)], strict=True)
        return {name: tensor for name, tensor in named if name and tensor is not None}

    def _read_clip(self, pipe: Any, task: TextToImage, guided: bool) -> Reading:
        positive, negative = Prompt(task.prompt), Prompt(task.negative_prompt)
        steps = task.steps if changes_by_step(task) else 1
        said = [
            (self._segments(positive, step, steps), self._segments(negative, step, steps) if guided else ())
            for step in range(steps)
        ]
        distinct = list(dict.fromkeys(said))
        parts = max(clip_prompts.parts_of(pipe, segments) for pair in distinct for segments in pair)
        empty = guided and not task.negative_prompt and getattr(pipe.config, "force_zeros_for_empty_prompt", False)

        @functools.cache
        def encoded(segments: tuple[Segment, ...]) -> tuple[torch.Tensor, torch.Tensor | None]:
            return clip_prompts.encode(pipe, self._device, segments, task.clip_skip, parts)

        variants = []
        for words, unwanted in distinct:
            states, pooled = encoded(words)
            variant = {"prompt_embeds": states, "pooled_prompt_embeds": pooled}
            if guided:
                other, other_pooled = (
                    (torch.zeros_like(states), None if pooled is None else torch.zeros_like(pooled))
                    if empty
                    else encoded(unwanted)
                )
                variant |= {"negative_prompt_embeds": other, "negative_pooled_prompt_embeds": other_pooled}
            variants.append({name: tensor for name, tensor in variant.items() if tensor is not None})
        if len(distinct) == 1:
            return Reading(tuple(variants))
        return Reading(tuple(variants), tuple(distinct.index(pair) for pair in said))

    def _segments(self, prompt: Prompt, step: int, steps: int) -> tuple[Segment, ...]:
        return tuple(
            replace(segment, text=self._embeddings.spelled(segment.text)) for segment in prompt.segments(step, steps)
        )

    def notes(self, pipe: Any, task: TextToImage) -> list[str]:
        """What the recipe is to say of how the words were read, by codes."""
        guided = self._family.guides(pipe, task.guidance_scale)
        heard = _only_clip(pipe) and guided and _composed(task.prompt)
        notes = ["prompt_and_ignored"] if len(side_by_side(task.prompt)) > 1 and not heard else []
        if _only_clip(pipe):
            return notes
        prompts = [Prompt(text) for text in (task.prompt, task.negative_prompt)]
        return ["prompt_syntax_ignored"] * any(prompt.words() != prompt.text for prompt in prompts) + notes


@functools.lru_cache(maxsize=8)
def _changing(prompt: str, negative: str) -> bool:
    return Prompt(prompt).scheduled or Prompt(negative).scheduled


def changes_by_step(task: TextToImage) -> bool:
    """Whether the words change while the picture is made."""
    return _changing(task.prompt, task.negative_prompt)


def goes_alone(task: TextToImage) -> bool:
    """Whether a task's steps are told more than one set of words, so that it shares no batch with others."""
    return changes_by_step(task) or _composed(task.prompt)


@functools.lru_cache(maxsize=8)
def _composed(prompt: str) -> bool:
    return 1 < len(side_by_side(prompt)) <= MOST_SIDE_BY_SIDE


def _words(text: str) -> str:
    return Prompt(text).words()


def _only_clip(pipe: Any) -> bool:
    return getattr(pipe, "unet", None) is not None and getattr(pipe, "tokenizer", None) is not None
