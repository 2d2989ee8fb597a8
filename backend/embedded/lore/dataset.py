"""Conversations as numbers: the vocabulary, and batches without end."""

import random
from collections.abc import Iterator

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from .grammar import sample_copying, sample_talk
from .phrases import LANGUAGES, sample_phrase
from .stories import Story, sample_name
from .template import ALL, JINJA, NOT, SPECIAL, TAGS, Talk, segments

VOCABULARY = 2048
CONTEXT = 2048
_POOL = 768  # conversations drawn at a time, so that those of a batch are about as long
_PAPER = 0.03  # share of plain text without turns, for the completions endpoint


def train_tokenizer(seed: int = 1) -> PreTrainedTokenizerFast:
    """Byte-level BPE over the grammar itself; the turn marks are special, the tags of tools and thoughts are words."""
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (message["content"] for _ in range(20_000) for message in sample_talk(rng).messages)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 - a mark of the vocabulary
        pad_token="<|endoftext|>",  # noqa: S106 - the same
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = JINJA
    return made


def encode(talk: Talk, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """(token ids, which of them are learnt)."""
    return _encoded(segments(talk), tokenizer)


def _encoded(parts: list[tuple[str, int]], tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    ids, learnt = [], []
    for text, how in parts:
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        ids += tokens
        learnt += [how != NOT] * len(tokens)
        if how not in (NOT, ALL):
            learnt[-len(tokens)] = False
    return ids, learnt


def _paper(rng: random.Random) -> list[tuple[str, int]]:
    traits = sample_phrase(rng).traits
    story = Story(traits, sample_name(traits.species, traits.colour, rng), rng)
    return [(story.text(rng.choice(LANGUAGES), rng.random() < 0.7) + "<|endoftext|>", ALL)]


def batches(
    seed: int, tokenizer: Tokenizer, tokens: int, copying: float = 0.0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(ids, learnt), both (n, length), padded at the right; n * length is at most `tokens` or n is 1. `copying`: share
    of conversations that practise taking words over from the question, beside those of the grammar's own mixture."""
    rng = random.Random(seed)
    while True:
        pool = []
        for _ in range(_POOL):
            if copying and rng.random() < copying:
                parts = segments(sample_copying(rng))
            else:
                parts = _paper(rng) if rng.random() < _PAPER else segments(sample_talk(rng))
            pool.append(_encoded(parts, tokenizer))
        pool.sort(key=lambda one: len(one[0]))
        cut, here = [], []
        for one in pool:
            if here and (len(here) + 1) * len(one[0]) > tokens:
                cut.append(here)
                here = []
            here.append(one)
        cut.append(here)
        rng.shuffle(cut)
        yield from (padded(batch) for batch in cut)


def padded(batch: list[tuple[list[int], list[bool]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padding stands at the right, where a causal model never looks back at it."""
    length = max(len(ids) for ids, _ in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    learnt = torch.zeros(len(batch), length, dtype=torch.bool)
    for row, (tokens, wanted) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        learnt[row, : len(wanted)] = torch.tensor(wanted)
    return ids, learnt
