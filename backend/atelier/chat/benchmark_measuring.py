"""How fast a model answers: one request, measured; many at once, measured; and the figures of those.

Times are taken where `vllm bench serve` and guidellm take them, and are called as they call them:

    TTFT   time to first token: from sending the request to the first piece of an answer (its reasoning counts)
    ICL    inter-chunk latency: between one arrival and the next, whatever came with it
    ITL    inter-token latency: the same, spread evenly over the tokens that came together; a server that sends several
           at once, or a network that holds them back, would have zeros for all but the first
    TPOT   time per output token after the first: (E2EL - TTFT) / (tokens - 1)
    E2EL   end-to-end latency: from sending the request to the end of its answer

Pure but for the clock: who asks is handed in, as a function from a request's body to the bytes of its event stream.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

Ask = Callable[[dict[str, Any]], AsyncIterator[bytes]]
"""Raises for a request that is refused."""

WORDS = (
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother "
    "area money story fact month lot right study book eye job word business issue side kind head house service friend"
).split()
PERCENTILES = (50, 90, 99)
FEW_WORDS = 8


@dataclass(frozen=True)
class Sizes:
    """Of every request of a stage: words of its prompt, tokens of its answer. `extra` goes into its body."""

    words: int
    output_tokens: int
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Sample:
    """What one request took, in seconds; `error` says why it has no answer."""

    ttft: float = 0.0
    itl: list[float] = field(default_factory=list)
    icl: list[float] = field(default_factory=list)
    e2el: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    error: str | None = None

    @property
    def tpot(self) -> float | None:
        return (self.e2el - self.ttft) / (self.output_tokens - 1) if self.output_tokens > 1 else None

    def keeps(self, goals: Goals) -> bool:
        if self.error is not None or (goals.ttft is not None and self.ttft > goals.ttft):
            return False
        return goals.tpot is None or self.tpot is None or self.tpot <= goals.tpot


@dataclass(frozen=True)
class Goals:
    """What counts as a good answer: seconds at most, None where it does not matter."""

    ttft: float | None = None
    tpot: float | None = None

    @classmethod
    def of(cls, ttft_ms: float | None, tpot_ms: float | None) -> Goals:
        return cls(*(None if ms is None else ms / 1000 for ms in (ttft_ms, tpot_ms)))


def prompt_of(words: int, seed: int) -> str:
    """So many words, other ones for every seed: nothing of it can be remembered from a request before."""
    chosen = random.Random(seed)  # noqa: S311 - words for a measurement, no secret
    return " ".join(chosen.choices(WORDS, k=max(1, words)))


def body_of(model: str, sizes: Sizes, seed: int) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": prompt_of(sizes.words, seed)}],
        "max_tokens": sizes.output_tokens,
        "temperature": 1.0,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
        **sizes.extra,
    }


async def measure(ask: Ask, body: dict[str, Any]) -> Sample:
    """One request. What goes wrong is its error, and raises nothing."""
    sample, begun, last, tokens, rest = Sample(), time.perf_counter(), 0.0, 0, b""
    try:
        async for piece in ask(body):
            moment, came = time.perf_counter(), 0
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if not line.startswith(b"data:") or b"[DONE]" in line[:14]:
                    continue
                event = orjson.loads(line[5:])
                if error := event.get("error"):
                    sample.error = str(error.get("message", error))[:500]
                if usage := event.get("usage"):
                    sample.input_tokens = usage.get("prompt_tokens") or 0
                    sample.output_tokens = usage.get("completion_tokens") or 0
                came += _says(event)
            if came:
                if last:
                    sample.icl.append(moment - last)
                    sample.itl += [(moment - last) / came] * came
                else:
                    sample.ttft = moment - begun
                tokens, last = tokens + came, moment
    except asyncio.CancelledError:
        raise
    except Exception as error:  # loop edge: whatever a request died of, it is counted and the others go on
        sample.error = str(error)[:500] or type(error).__name__
    sample.e2el = (last or time.perf_counter()) - begun
    if not last and sample.error is None:
        sample.error = "The answer holds nothing."
    if not sample.output_tokens:  # a server that gives no figures
        sample.output_tokens = tokens
    return sample


def _says(event: dict[str, Any]) -> bool:
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        if delta.get("content") or delta.get("reasoning") or delta.get("reasoning_content") or delta.get("tool_calls"):
            return True
    return False


async def stage(
    ask: Ask, model: str, sizes: Sizes, *, concurrency: int, requests: int, seed: int, done: Callable[[Sample], None]
) -> tuple[list[Sample], float]:
    """`requests` requests, of which `concurrency` are under way at any time, and the seconds they took together."""
    samples: list[Sample] = []
    numbers = iter(range(requests))

    async def one_after_another() -> None:
        for number in numbers:
            sample = await measure(ask, body_of(model, sizes, seed + number))
            samples.append(sample)
            done(sample)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, requests)):
            group.create_task(one_after_another())
    return samples, time.perf_counter() - begun


async def warm_up(ask: Ask, model: str, prompt_tokens: int, output_tokens: int, seed: int) -> Sizes:
    """Load the model, and find how many words make a prompt of so many tokens. Answers of a fixed length are asked for
    (`ignore_eos`) where the server takes that. Raises NoAnswer."""
    extra: dict[str, Any] = {"ignore_eos": True}
    few = await measure(ask, body_of(model, Sizes(FEW_WORDS, min(8, output_tokens), extra), seed))
    if few.error is not None:
        extra = {}
        few = await measure(ask, body_of(model, Sizes(FEW_WORDS, min(8, output_tokens)), seed))
    if few.error is not None:
        raise NoAnswer(few.error)
    more = max(2 * FEW_WORDS, prompt_tokens // 2)
    many = await measure(ask, body_of(model, Sizes(more, min(8, output_tokens), extra), seed + 1))
    if many.error is not None or many.input_tokens <= few.input_tokens:
        return Sizes(prompt_tokens, output_tokens, extra)
    a_word = (many.input_tokens - few.input_tokens) / (more - FEW_WORDS)
    around = few.input_tokens - a_word * FEW_WORDS
    return Sizes(max(1, round((prompt_tokens - around) / a_word)), output_tokens, extra)


class NoAnswer(Exception):
    """A model gives no answer at all; the words are its server's."""


class Rounds:
    """Puts together what was measured in several rounds: a stage's figures are there after its last one."""

    def __init__(self, count: int, goals: Goals) -> None:
        self._count, self._goals = count, goals
        self._so_far: dict[tuple[str, int], tuple[int, list[Sample], float]] = {}

    def seed(self, model: str, concurrency: int, seed: int) -> int:
        """Of the next round's prompts: no engine knows them from an earlier one."""
        return seed + 1000 * concurrency + 1_000_000 * self._so_far.get((model, concurrency), (0,))[0]

    def add(self, model: str, concurrency: int, samples: list[Sample], seconds: float) -> dict[str, Any] | None:
        rounds, before, spent = self._so_far.get((model, concurrency), (0, [], 0.0))
        self._so_far[model, concurrency] = together = (rounds + 1, before + samples, spent + seconds)
        return figures(*together[1:], self._goals) if together[0] >= self._count else None


def figures(samples: list[Sample], seconds: float, goals: Goals = Goals()) -> dict[str, Any]:
    """Of one stage: counts, tokens and requests per second, latencies in milliseconds."""
    good = [one for one in samples if one.error is None]
    failed = [one for one in samples if one.error is not None]
    given, made = sum(one.input_tokens for one in good), sum(one.output_tokens for one in good)
    pace = 1 / seconds if seconds > 0 else 0.0
    return {
        "completed": len(good),
        "failed": len(failed),
        "error": failed[0].error if failed else None,
        "duration_seconds": round(seconds, 6),
        "input_tokens": given,
        "output_tokens": made,
        "request_throughput": round(len(good) * pace, 4),
        "output_throughput": round(made * pace, 3),
        "total_token_throughput": round((given + made) * pace, 3),
        "ttft_ms": spread([one.ttft for one in good]),
        "tpot_ms": spread([one.tpot for one in good if one.tpot is not None]),
        "itl_ms": spread([gap for one in good for gap in one.itl]),
        "icl_ms": spread([gap for one in good for gap in one.icl]),
        "e2el_ms": spread([one.e2el for one in good]),
        "goodput": None if goals == Goals() else round(sum(one.keeps(goals) for one in samples) / len(samples), 4),
    }


def spread(seconds: list[float]) -> dict[str, float] | None:
    """Mean and percentiles in milliseconds, as numpy's linear interpolation has them; None of nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    found = {"mean": sum(ordered) / len(ordered)}
    for share in PERCENTILES:
        at = (len(ordered) - 1) * share / 100
        low, part = int(at), at - int(at)
        high = ordered[min(low + 1, len(ordered) - 1)]
        found[f"p{share}"] = ordered[low] + (high - ordered[low]) * part
    return {name: round(1000 * value, 3) for name, value in found.items()}


def plan(models: list[str], concurrency: list[int], seed: int, rounds: int = 1) -> list[tuple[str, int]]:
    """Every model at every level, in each round: the models in a new random order, so that none is always first on a
    cool machine, the levels of one model together, so that it is loaded once a round."""
    order, levels = random.Random(seed), sorted(set(concurrency))  # noqa: S311 - an order, no secret
    return [(model, level) for _ in range(rounds) for model in order.sample(models, len(models)) for level in levels]
