"""How a chat or embedding model is loaded: load options, its family's preset and its memory, as an engine's options.

Everything that names a worker (`WorkerSpec.key`) comes from the model's row and options alone, never from a request:
all requests of a model share its worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engines.protocol import LeftOut

from atelier.models.anatomy import Anatomy
from atelier.models.chat_engines import Choice
from atelier.models.chat_loras import ChatLora
from atelier.models.chat_presets import Preset
from atelier.models.estimate import Parts, Work
from atelier.models.schemas import LoadOptions
from atelier.runtime.abilities import ABILITIES
from atelier.runtime.engines import EngineName
from atelier.runtime.gpu import Device

MOST_CONTEXT = 32_768
SHORT_CONTEXT = 2048
"""Nobody is given a shorter one without having asked for it."""

SEQUENCES = 4
NO_PARSER = "none"
STORED = {"BF16": "bfloat16", "F16": "bfloat16"}


@dataclass(frozen=True)
class ChatSetup:
    """How a model is run: `names` are what requests may call it, its key first; `context` in tokens; `usual` and
    `usual_work` what would count if nothing had been chosen."""

    choice: Choice
    names: tuple[str, ...]
    context: int
    sequences: int
    images: int | None
    tool_parser: str | None
    reasoning_parser: str | None
    usual: Preset = Preset()
    usual_work: Work = Work()
    thinks: bool = True
    loras: tuple[ChatLora, ...] = ()

    @property
    def work(self) -> Work:
        return Work(context=self.context, batch=self.sequences)


def setup_of(
    names: Sequence[str],
    anatomy: Anatomy,
    options: LoadOptions,
    preset: Preset,
    choice: Choice,
    loras: tuple[ChatLora, ...] = (),
) -> ChatSetup:
    """Pure: what was chosen for this model, else what its family is like."""
    made_for = anatomy.context or MOST_CONTEXT
    return ChatSetup(
        choice,
        tuple(dict.fromkeys(name for name in names if name)),
        min(options.context or MOST_CONTEXT, made_for),
        options.sequences or SEQUENCES,
        (preset.images if options.images is None else options.images) if anatomy.sees else None,
        _chosen(options.tool_parser, preset.tool_parser),
        _chosen(options.reasoning_parser, preset.reasoning_parser),
        preset,
        thinks=preset.thinks,
        loras=loras,
    )


def that_fits(setup: ChatSetup, options: LoadOptions, fits: Callable[[ChatSetup], bool]) -> ChatSetup:
    """With fewer requests of the whole context at once where it would not fit, then with a shorter context: of what
    nobody chose. As it was where that does not help."""
    sequences = [setup.sequences] if options.sequences else [*_halves(setup.sequences, 1)]
    contexts = [setup.context] if options.context else [*_halves(setup.context, SHORT_CONTEXT)]
    ways = [(count, contexts[0]) for count in sequences] + [(sequences[-1], context) for context in contexts[1:]]
    smaller = (replace(setup, sequences=count, context=context) for count, context in ways)
    return next((one for one in smaller if fits(one)), setup)


def _halves(amount: int, least: int) -> Iterator[int]:
    """The amount, a half of it, a quarter, and so on, as long as it is not under `least`."""
    yield amount
    while (amount := amount // 2) >= least:
        yield amount


def _chosen(named: str | None, usual: str | None) -> str | None:
    return usual if named is None else None if named == NO_PARSER else named


def dtype_of(stored: str, half: str | None, options: LoadOptions) -> str:
    """`stored` in safetensors' words; `half`: a GPU's half precision, None on a processor. Half precision stays half: a
    chat model is read once per token."""
    return options.dtype or half or STORED.get(stored, "float32")


HELD = ("quantization", "kv_cache")
"""What `held_as` says."""


def held_as(engine: EngineName | None, anatomy: Anatomy, options: LoadOptions) -> dict[str, str]:
    """Pure. What takes less memory than usual, as `estimate.parts` says it: of what was asked for, what is possible."""
    able = ABILITIES.get(engine) if engine is not None else None
    able_to = able is not None and able.fp8_weights and not anatomy.quantized_bytes
    eight_bits = able_to and options.quantization == "fp8"
    short_cache = able is not None and able.fp8_cache and options.kv_cache == "fp8"
    return {"quantization": "fp8" if eight_bits else "none", "kv_cache": "fp8" if short_cache else "none"}


def goes_without(engine: EngineName | None, kind: str, anatomy: Anatomy, options: LoadOptions) -> list[LeftOut]:
    """Pure. What was asked for and is not possible, as the engine will say once it has loaded."""
    held, found = held_as(engine, anatomy, options), []
    wanted = options.quantization or "none"
    if wanted != held["quantization"]:
        by_model = wanted == "fp8" and anatomy.quantized_bytes
        why = "model" if by_model else "cpu" if wanted == "fp8" and kind == "cpu" else "engine"
        found.append(LeftOut(option=f"quantization: {wanted}", why=why))
    if options.kv_cache and held["kv_cache"] == "none":
        found.append(LeftOut(option=f"kv_cache: {options.kv_cache}", why="engine"))
    return found


def engine_options(
    setup: ChatSetup, task: str, dtype: str, sized: Parts, options: LoadOptions, devices: Sequence[Device], spread: int
) -> dict[str, Any]:
    """Pure. Of `devices`, those that the worker may run on, the smallest counts. Without what is None."""
    whole = min((device.total_bytes for device in devices if device.kind == "cuda"), default=0)
    chosen: dict[str, Any] = {
        "task": task,
        "served": "|".join(setup.names),
        "max_model_len": setup.context,
        "tool_parser": setup.tool_parser,
        "reasoning_parser": setup.reasoning_parser,
        "thinks": None if setup.thinks else False,
        "images": setup.images,
        "loras": json.dumps({one.name: str(one.path) for one in setup.loras}) if setup.loras else None,
        "lora_rank": max((one.rank for one in setup.loras), default=None),
    }
    if setup.choice.engine is not EngineName.FAKE:
        chosen |= {
            "dtype": dtype,
            "kv_cache_bytes": sized.cache,
            "memory_bytes": sized.total,
            "device_bytes": whole or None,
            "tensor_parallel": spread if spread > 1 else None,
        }
    chosen |= {"quantization": options.quantization, "kv_cache": options.kv_cache}
    return {name: value for name, value in chosen.items() if value is not None}
