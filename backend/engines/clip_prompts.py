"""Prompts for models whose only text encoders are CLIP's (SD 1.x, 2.x, SDXL): weights, parts, and any length.

CLIP reads 77 tokens: a begin, 75 words, an end. A longer prompt is cut into parts of 75, at a comma where one is near,
each part is read alone and what comes out is laid end to end. A weight multiplies what its token became, then the part
is scaled back to the mean that it had, as A1111 does.
"""

from __future__ import annotations

from typing import Any

import torch

from engines.prompt_syntax import BREAK, Segment

COMMA_REACH = 20  # tokens: how far back a comma may lie for a part to end there
SMALLEST_MEAN = 1e-3  # of the standard deviation: below it a mean is rounding, and says nothing about a scale

Part = list[tuple[int, float]]
"""Up to 75 tokens with their weights."""


def fits(pipe: Any, text: str) -> bool:
    """Whether CLIP reads the whole text at once."""
    return all(
        len(tokenizer(pipe.maybe_convert_prompt(text, tokenizer), truncation=False).input_ids)
        <= tokenizer.model_max_length
        for tokenizer, _ in _readers(pipe)
    )


def encode(
    pipe: Any, device: torch.device, segments: tuple[Segment, ...], clip_skip: int, parts_wanted: int = 1
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The embeddings [1, 77 · parts, width] and, of SDXL, the pooled ones [1, width] of the first part. At least
    `parts_wanted` parts, since a prompt and its negative must be of one length."""
    found, pooled = [], None
    wide = hasattr(pipe, "text_encoder_2")
    cut = {id(tokenizer): _parts(pipe, tokenizer, segments) for tokenizer, _ in _readers(pipe)}
    count = max(parts_wanted, *(len(parts) for parts in cut.values()))
    for tokenizer, encoder in _readers(pipe):
        parts = cut[id(tokenizer)]
        parts = [*parts, *([[]] * (count - len(parts)))]
        states, projected = _read(device, tokenizer, encoder, parts, clip_skip, wide)
        found.append(states)
        pooled = projected if projected is not None else pooled
    return torch.cat(found, dim=-1), pooled


def parts_of(pipe: Any, segments: tuple[Segment, ...]) -> int:
    """How many parts of 75 tokens a prompt becomes, at least one."""
    return max(len(_parts(pipe, tokenizer, segments)) for tokenizer, _ in _readers(pipe))


def _readers(pipe: Any) -> list[tuple[Any, Any]]:
    pairs = [(pipe.tokenizer, pipe.text_encoder)]
    if hasattr(pipe, "text_encoder_2"):
        pairs.append((pipe.tokenizer_2, pipe.text_encoder_2))
    return [(tokenizer, encoder) for tokenizer, encoder in pairs if encoder is not None]


def _parts(pipe: Any, tokenizer: Any, segments: tuple[Segment, ...]) -> list[Part]:
    room = tokenizer.model_max_length - 2
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    parts: list[Part] = [[]]
    for segment in segments:
        if segment.text == BREAK:
            parts.append([])
            continue
        words = pipe.maybe_convert_prompt(segment.text, tokenizer)
        for token in tokenizer(words, add_special_tokens=False, truncation=False).input_ids:
            if len(parts[-1]) == room:
                parts.append(_after_comma(parts[-1], comma))
            parts[-1].append((token, segment.weight))
    return parts


def _after_comma(part: Part, comma: int) -> Part:
    """Take what follows the last comma out of a full part, when that is near its end."""
    for back in range(1, min(COMMA_REACH, len(part) - 1) + 1):
        if part[-back][0] == comma:
            kept = len(part) - back + 1
            rest = part[kept:]
            del part[kept:]
            return rest
    return []


def _read(
    device: torch.device, tokenizer: Any, encoder: Any, parts: list[Part], clip_skip: int, wide: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    length = tokenizer.model_max_length
    rows, weights = [], []
    for part in parts:
        row = [tokenizer.bos_token_id, *(token for token, _ in part), tokenizer.eos_token_id]
        rows.append(row + [tokenizer.pad_token_id] * (length - len(row)))
        weights.append([1.0, *(weight for _, weight in part), *([1.0] * (length - 1 - len(part)))])
    answer = encoder(torch.tensor(rows, device=device), output_hidden_states=True)
    if wide:  # SDXL's denoiser was trained on the layer before the last, without the norm at the end
        states = answer.hidden_states[-(clip_skip + 2)]
    elif clip_skip:
        states = getattr(encoder, "text_model", encoder).final_layer_norm(answer.hidden_states[-(clip_skip + 1)])
    else:
        states = answer.last_hidden_state
    scaled = [_weighted(state, row) for state, row in zip(states, weights, strict=True)]
    pooled = answer[0][:1] if answer[0].ndim == 2 else None
    return torch.cat(scaled, dim=0)[None].to(encoder.dtype), pooled


def _weighted(states: torch.Tensor, weights: list[float]) -> torch.Tensor:
    """One part, [77, width]."""
    if all(weight == 1.0 for weight in weights):
        return states
    exact = states.float()
    scaled = exact * torch.tensor(weights, device=states.device)[:, None]
    before, after = exact.mean(), scaled.mean()
    if min(before.abs(), after.abs()) > SMALLEST_MEAN * exact.std():
        scaled = scaled * (before / after)
    return scaled.to(states.dtype)
