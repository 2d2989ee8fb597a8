"""What would make a load or a run smaller, or let it fit: as changes of the question. Pure.

Whoever asks with a change gets the answer that its remedy tells of, since both are sized alike (`planning`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from atelier.models.chat_engines import CHAT_TASKS
from atelier.models.estimate import TYPE_BYTES, Work
from atelier.models.plan_schemas import PlanIn, RemedyId
from atelier.models.schemas import LoadOptions
from atelier.models.sizing import Need
from atelier.runtime.abilities import ABILITIES
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.gpu import Device
from atelier.said import Said

GRID = 64
"""Every family makes pictures whose sides are multiples of it."""

LEAST_TOKENS = 1024
OTHERS = 3
"""So many other devices are named at most."""


@dataclass(frozen=True)
class Idea:
    """`change`: fields of the question, with what they would be instead. `of`: what it is a combination of."""

    id: RemedyId
    words: str
    change: dict[str, Any]
    of: tuple[Idea, ...] = ()


TOGETHER = (2, 3)
"""So many ideas are combined where none is enough alone."""


def changed(wanted: PlanIn, change: dict[str, Any]) -> PlanIn:
    """The question with a change; load options that it does not name stay."""
    asked = wanted.model_dump(exclude_unset=True)
    options = {**(asked.get("options") or {}), **change.get("options", {})}
    return PlanIn(**{**asked, **change, **({"options": options} if options else {})})


def combinations_of(ladders: Sequence[Sequence[Idea]], is_enough: Callable[[Idea], bool]) -> list[Idea]:
    """Pairs that are enough, else threes: of each the gentlest steps. For ladders of which no step is enough alone."""
    for count in TOGETHER:
        found = []
        for chosen in combinations(ladders, count):
            steps = [one for one in _steps_together(chosen) if not _at_odds(one)]
            if steps and is_enough(_combined(steps[-1])):
                found.append(next(idea for idea in map(_combined, steps) if is_enough(idea)))
        if found:
            return found
    return []


def _steps_together(ladders: Sequence[Sequence[Idea]]) -> list[tuple[Idea, ...]]:
    """Every choice of a step of each, the gentlest first, the furthest of all last."""
    places = product(*[range(len(ladder)) for ladder in ladders])
    return [
        tuple(ladder[place] for ladder, place in zip(ladders, at, strict=True))
        for at in sorted(places, key=lambda at: (sum(at), max(at)))
    ]


def _at_odds(ideas: Sequence[Idea]) -> bool:
    """Whether two want the same to be different."""
    touched = [name for one in ideas for name in {**one.change, **one.change.get("options", {})} if name != "options"]
    return len(touched) != len(set(touched))


def _combined(ideas: Sequence[Idea]) -> Idea:
    change: dict[str, Any] = {}
    for one in ideas:
        options = {**change.get("options", {}), **one.change.get("options", {})}
        change |= one.change | ({"options": options} if options else {})
    return Idea("combination", " ".join(one.words for one in ideas), change, tuple(ideas))


def saves(need: Need, smaller: Need) -> int:
    """Bytes on each device: by what was measured where that says something of both, else by the formulas."""
    if smaller.subject == need.subject:
        return round(need.bytes.expected - smaller.bytes.expected)
    return need.parts.total - smaller.parts.total


def ideas(
    need: Need, options: LoadOptions, devices: Sequence[Device], least_side: int = GRID, can_offload: bool = True
) -> list[list[Idea]]:
    """Each as a ladder of ever larger changes, of which the first that is enough will do. `least_side`: of the
    pictures that the model makes, in pixels; `can_offload`: the machine's memory holds the model."""
    found: list[list[Idea]] = []
    if TYPE_BYTES[need.dtype] > 2 and not need.anatomy.quantized_bytes:
        words = Said("Load it in half precision.", "remedy.half_precision")
        found.append([Idea("half_precision", words, {"options": {"dtype": "bfloat16"}})])
    if need.anatomy.task in ("image", "video"):
        found += _of_pictures(need, options, least_side, can_offload)
    elif need.anatomy.task in CHAT_TASKS and need.spec.engine:
        found += _of_chat(need, [device.index for device in devices if device.kind == "cuda"])
    return [ladder for ladder in found if ladder] + _elsewhere(need, options, devices)


def _of_pictures(need: Need, options: LoadOptions, least_side: int, can_offload: bool) -> Iterator[list[Idea]]:
    work = need.work
    if options.weights == "none":
        for name, words in (
            ("fp8", Said("Load its denoiser in 8 bits (fp8).", "remedy.fp8")),
            ("int8", Said("Load its denoiser in 8 bits (int8).", "remedy.int8")),
        ):
            yield [Idea(name, words, {"options": {"quantization": name}})]
    if work.batch > 1 and need.held.get("slicing") == "none":
        words = Said("Decode one picture after another.", "remedy.slicing")
        yield [Idea("slicing", words, {"options": {"vae_slicing": True}})]
    if 0 < need.anatomy.tile_side < max(work.width, work.height) and need.held.get("tiling") == "none":
        words = Said("Decode in tiles, which changes a picture a little.", "remedy.tiling")
        yield [Idea("tiling", words, {"options": {"vae_tiling": True}})]
    if need.subject.device_kind == "cuda" and can_offload:
        yield list(_offloads(need.held["offload"]))
    yield [_smaller_batch(half, work.batch) for half in _halves(work.batch, 1)]
    yield [_smaller_picture(*size) for size in _smaller_sizes(work, least_side)]


def _offloads(now: str) -> Iterator[Idea]:
    if now == "none":
        text = "Keep its parts in the machine's memory and move each to the device when it is needed; slower."
        yield Idea("offload", Said(text, "remedy.offload"), {"options": {"offload": "model"}})
    if now != "group":
        text = "Keep it in the machine's memory and move it to the device block by block; a good deal slower."
        yield Idea("offload", Said(text, "remedy.offload_blocks"), {"options": {"offload": "group"}})


def _smaller_batch(batch: int, now: int) -> Idea:
    words = Said(f"Make {batch} at once instead of {now}.", "remedy.smaller_batch", batch=batch, now=now)
    return Idea("smaller_batch", words, {"options": {"batch": batch}})


def _smaller_picture(width: int, height: int) -> Idea:
    words = Said(f"Make it {width} × {height} pixels.", "remedy.smaller_picture", width=width, height=height)
    return Idea("smaller_picture", words, {"width": width, "height": height})


def _of_chat(need: Need, gpus: list[int]) -> Iterator[list[Idea]]:
    work, engine = need.work, EngineName(need.spec.engine)
    able, over = ABILITIES[engine], need.spec.spread
    if able.fp8_weights and need.anatomy.linear and need.held["quantization"] == "none":
        words = Said("Load its weights in 8 bits (fp8).", "remedy.fp8_weights")
        yield [Idea("fp8", words, {"options": {"quantization": "fp8"}})]
    if able.fp8_cache and need.held["kv_cache"] == "none":
        words = Said("Keep keys and values in 8 bits (fp8).", "remedy.fp8_cache")
        yield [Idea("fp8_cache", words, {"options": {"kv_cache": "fp8"}})]
    if ENGINES[engine].spreads:
        yield [_more_devices(gpus[: over * 2**step]) for step in (1, 2, 3) if len(gpus) >= over * 2**step]
    yield [_fewer_requests(half, work.batch) for half in _halves(work.batch, 1)]
    yield [_shorter_context(half) for half in _halves(work.context, LEAST_TOKENS)]


def _more_devices(indices: list[int]) -> Idea:
    count = len(indices)
    words = Said(f"Spread it over {count} devices.", "remedy.more_devices", count=count)
    return Idea("more_devices", words, {"gpu_device_ids": indices})


def _fewer_requests(count: int, now: int) -> Idea:
    text = f"Allow {count} request{'s' * (count > 1)} of the whole context at once instead of {now}."
    return Idea("smaller_batch", Said(text, "remedy.fewer_requests", count=count, now=now), {"batch": count})


def _shorter_context(tokens: int) -> Idea:
    words = Said(f"Allow {tokens} tokens of context.", "remedy.shorter_context", context=tokens)
    return Idea("shorter_context", words, {"context": tokens})


def _halves(amount: int, least: int) -> list[int]:
    """A half, a quarter, and so on, down to `least`."""
    found = []
    while (amount := amount // 2) >= least:
        found.append(amount)
    return found


def _smaller_sizes(work: Work, least: int) -> list[tuple[int, int]]:
    """In steps of three quarters and multiples of 64, no side shorter than `least`."""
    least, sizes = -(-least // GRID) * GRID, []
    width, height = work.width, work.height
    while min(width, height) >= least and max(width, height) > least:
        width, height = (max(least, side * 3 // 4 // GRID * GRID) for side in (width, height))
        sizes.append((width, height))
    return sizes


def _elsewhere(need: Need, options: LoadOptions, devices: Sequence[Device]) -> list[list[Idea]]:
    """Other devices that would hold it when empty, where it is tied to some."""
    tied = options.gpu_device_ids
    others = [one for one in devices if tied and one.index not in tied and one.budget_bytes >= need.bytes.high]
    return [[_another_device(one)] for one in others[:OTHERS]]


def _another_device(device: Device) -> Idea:
    index, name = device.index, device.name
    words = Said(f"Use device {index} ({name}).", "remedy.another_device", device=index, name=name)
    return Idea("another_device", words, {"gpu_device_ids": [index]})
