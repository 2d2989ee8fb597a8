"""Textual inversions of one loaded model: words of the prompt that stand for vectors of their own.

In the tokenizer such a word has a name that no vocabulary holds (`<emb1>`), so that an embedding may be called "fox":
`spelled` puts the names into a prompt. What a run does not use is taken out again, and the text encoders are then what
they were.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from engines.engine import RunFailed
from engines.protocol import EmbeddingUse
from engines.safetensors_file import read_header

MAX_VECTORS = 75


@dataclass(frozen=True)
class Loaded:
    """`name`: what the tokenizers call it. `readers`: which of the pipeline's encoders know it ("", "_2")."""

    use: EmbeddingUse
    name: str
    readers: tuple[str, ...]


class Embeddings:
    def __init__(self) -> None:
        self._loaded: dict[str, Loaded] = {}
        self._made = 0

    def forget(self) -> None:
        """The model's parts are gone; new ones know no embedding."""
        self._loaded.clear()

    def use(self, pipe: Any, uses: list[EmbeddingUse]) -> None:
        """Let the text encoders know exactly these. Raises RunFailed naming the one that does not fit."""
        wanted = {use.token.casefold(): use for use in uses}
        for token, loaded in list(self._loaded.items()):
            if wanted.get(token) != loaded.use:
                del self._loaded[token]
                _take_out(pipe, loaded)
        for token, use in wanted.items():
            if token not in self._loaded:
                self._loaded[token] = self._put_in(pipe, use)

    def spelled(self, text: str) -> str:
        """The text with the tokenizers' names for embeddings, whole words in any case."""
        if not self._loaded:
            return text
        words = "|".join(re.escape(token) for token in sorted(self._loaded, key=len, reverse=True))
        return re.sub(
            rf"(?<!\w)({words})(?!\w)", lambda found: self._loaded[found[1].casefold()].name, text, flags=re.IGNORECASE
        )

    def _put_in(self, pipe: Any, use: EmbeddingUse) -> Loaded:
        vectors = _vectors(use)
        readers = _readers(pipe, vectors)
        if not readers or not hasattr(pipe, "load_textual_inversion"):
            raise RunFailed(
                "invalid_embeddings",
                f"the embedding {use.token!r} was made for another family of models",
                "Take the word out of the prompt, or take a model that it was made for.",
                sentence="embedding_unfit",
                token=use.token,
            )
        self._made += 1
        loaded = Loaded(use, f"<emb{self._made}>", tuple(readers))
        for reader, tensor in readers.items():
            pipe.load_textual_inversion(
                tensor,
                token=loaded.name,
                tokenizer=getattr(pipe, f"tokenizer{reader}"),
                text_encoder=getattr(pipe, f"text_encoder{reader}"),
            )
        return loaded


def _take_out(pipe: Any, loaded: Loaded) -> None:
    for reader in loaded.readers:
        tokenizer = getattr(pipe, f"tokenizer{reader}")
        own = re.compile(re.escape(loaded.name) + r"(_\d+)?")
        pipe.unload_textual_inversion(
            [token for token in tokenizer.added_tokens_encoder if own.fullmatch(token)],
            tokenizer=tokenizer,
            text_encoder=getattr(pipe, f"text_encoder{reader}"),
        )


def _readers(pipe: Any, vectors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Which encoder takes which vectors: those of its width. Nothing unless every vector is taken."""
    found = {}
    encoders = {end: getattr(pipe, f"text_encoder{end}", None) for end in ("", "_2")}
    for end, name in (("", "clip_l"), ("_2", "clip_g")):
        if len(vectors) == 1 and encoders["_2"] is not None:
            break  # one set of vectors where two encoders read: made for a model with one
        tensor = vectors.get(name if len(vectors) > 1 else next(iter(vectors)))
        encoder = encoders[end]
        if tensor is not None and encoder is not None:
            if encoder.get_input_embeddings().weight.shape[-1] == tensor.shape[-1]:
                found[end] = tensor
    return found if len(found) == len(vectors) else {}


def _vectors(use: EmbeddingUse) -> dict[str, torch.Tensor]:
    """The vectors [n, width] of a file: `clip_l` and `clip_g` of SDXL's, else one set whatever its name."""
    path = Path(use.path)
    try:
        if path.suffix != ".safetensors":
            raise ValueError("it is no safetensors file")
        header = read_header(path)
        names = {"clip_l", "clip_g"} if {"clip_l", "clip_g"} <= set(header.tensors) else set(header.tensors)
        if len(names) not in (1, 2) or (len(names) == 2 and names != {"clip_l", "clip_g"}):
            raise ValueError("it holds other things than an embedding")
        shapes = [header.tensors[name].shape for name in names]
        if any(len(shape) not in (1, 2) or (len(shape) == 2 and not 1 <= shape[0] <= MAX_VECTORS) for shape in shapes):
            raise ValueError("its shape is not that of an embedding")
        tensors = load_file(path)
    except (ValueError, OSError) as error:
        raise RunFailed(
            "invalid_embeddings",
            f"the embedding {use.token!r} cannot be read: {error}",
            "Download it again, as safetensors.",
            sentence="embedding_damaged",
            token=use.token,
        ) from error
    return {name: torch.atleast_2d(tensors[name]) for name in sorted(names)}


def text_state(uses: list[EmbeddingUse]) -> tuple:
    """What of these embeddings the text encoders notice."""
    return tuple(sorted((use.token, use.path, use.sha256) for use in uses))
