"""What is added to a model for a request. LoRAs and embeddings are named in its fields, by `<lora:name:weight>` in its
prompt, or by a word of it; upscalers in its fields (`upscalers`).

`resolve` finds them when the request is accepted and says what is wrong with the words of it; `uses_of` turns what it
decided into what the engine is told, when the job runs.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines import protocol

from atelier.access.actor import Actor
from atelier.errors import BadRequest, Complaints, ModelNotFound
from atelier.images import upscalers
from atelier.images.schemas import MAX_LORA_WEIGHT, GenerationIn
from atelier.models.adapters import existing_file, file_of, names_of, sha256_of
from atelier.models.registry import ModelRegistry
from atelier.said import Said
from atelier.tables import ModelRow

MAX_LORAS = 32
_TAG = re.compile(r"<(?:lora|lyco):([^:<>]+)((?::[^:<>]*)*)>", re.IGNORECASE)
_WITH_EMBEDDINGS = frozenset({"sd15", "sd2", "sdxl"})


@dataclass(frozen=True)
class Asked:
    """A LoRA as somebody named it. `field` is where."""

    name: str
    weight: float
    text_weight: float | None
    field: str


async def resolve(
    actor: Actor, wanted: GenerationIn, decided: dict[str, Any], model: ModelRow, registry: ModelRegistry
) -> dict[str, Any]:
    """`decided` with its prompt without tags, and those of `loras`, `embeddings` and `clip_skip` that there are. Raises
    ModelNotFound for a name that nobody knows, BadRequest for one that does not fit the model."""
    prompt, asked = take_tags(decided["prompt"])
    named = [
        Asked(lora.model, lora.weight, lora.text_weight, f"loras.{index}.model")
        for index, lora in enumerate(wanted.loras)
    ]
    if len(named) + len(asked) > MAX_LORAS:
        words = Said(f"A request may have {MAX_LORAS} LoRAs.", "request.too_many_loras", max=MAX_LORAS)
        raise BadRequest(words, field="loras", hint="Leave some out.")
    rows = [row for row in await registry.rows(actor) if row.download_job is None]
    loras = [row for row in rows if row.type == "lora"]
    complaints, found = Complaints(), []
    for lora in [*named, *asked]:
        with complaints.heard():
            found.append(await _find(lora, loras, model, registry))
    complaints.raise_any()
    embeddings = [row for row in rows if row.type == "embedding" and row.family == model.family]
    spoken = await _spoken(embeddings, f"{prompt}\n{decided['negative_prompt']}", model, registry)
    added = {"loras": found, "embeddings": spoken, "clip_skip": wanted.clip_skip}
    return {**decided, "prompt": prompt, **{name: value for name, value in added.items() if value}}


def take_tags(prompt: str) -> tuple[str, list[Asked]]:
    """The prompt without `<lora:name:weight>` and `<lora:name:weight:text weight>`, and what they asked for. Raises
    BadRequest for a weight that is no number or too large."""
    asked = []
    for tag in _TAG.finditer(prompt):
        weights = [_weight(tag, text) for text in tag[2].split(":")[1:3]]
        weight, text_weight = weights[0] if weights else 1.0, weights[1] if len(weights) > 1 else None
        asked.append(Asked(tag[1].strip(), weight, text_weight, "prompt"))
    if not asked:
        return prompt, []
    return re.sub(r"[ \t]{2,}", " ", _TAG.sub("", prompt)).strip(), asked


def _weight(tag: re.Match[str], text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = float("nan")
    if not -MAX_LORA_WEIGHT <= weight <= MAX_LORA_WEIGHT:
        raise BadRequest(
            Said(
                f"The weight in {tag[0][:100]!r} is no number from -{MAX_LORA_WEIGHT} to {MAX_LORA_WEIGHT}.",
                "request.lora_weight",
                tag=tag[0][:100],
                max=MAX_LORA_WEIGHT,
            ),
            field="prompt",
            hint="Write <lora:name:0.8>.",
        )
    return weight


async def _find(asked: Asked, rows: list[ModelRow], model: ModelRow, registry: ModelRegistry) -> dict[str, Any]:
    row = next((row for row in rows if row.key == asked.name), None)
    files = {} if row is not None else await asyncio.to_thread(_files, rows, registry)
    if row is None:
        plain = asked.name.casefold()
        named = [row for row in rows if plain in (name.casefold() for name in names_of(row, files.get(row.id)))]
        # Of several with one name, that which fits.
        row = next((row for row in named if row.family == model.family), named[0] if named else None)
    if row is None:
        raise _unknown(asked, rows, files)
    if row.family != model.family:
        raise BadRequest(
            Said(
                f"The LoRA {row.key!r} was made for {row.family} and does not fit {model.key!r}, which is "
                f"{model.family}.",
                "request.lora_unfit",
                lora=row.key,
                base=row.family,
                model=model.key,
                family=model.family,
            ),
            field=asked.field,
            hint=f"Take a LoRA that was made for {model.family}, or a model of {row.family}.",
        )
    file = await asyncio.to_thread(_file, row, registry)
    return {
        "model": row.key,
        "name": file.stem,
        "weight": asked.weight,
        "text_weight": asked.text_weight,
        "sha256": await asyncio.to_thread(sha256_of, file),
    }


def _files(rows: Iterable[ModelRow], registry: ModelRegistry) -> dict[str, Path | None]:
    return {row.id: file_of(registry.path_of(row)) for row in rows}


def _file(row: ModelRow, registry: ModelRegistry) -> Path:
    return existing_file(row, registry.path_of(row), "loras")


def _unknown(asked: Asked, rows: list[ModelRow], files: dict[str, Path | None]) -> ModelNotFound:
    names = {name.casefold(): row.key for row in rows for name in names_of(row, files.get(row.id))}
    near = difflib.get_close_matches(asked.name.casefold(), names, n=5, cutoff=0.4)
    known = ", ".join(dict.fromkeys(names[name] for name in near)) or ", ".join(sorted(row.key for row in rows)[:5])
    if not known:
        words = Said(
            f"There is no LoRA {asked.name[:80]!r}; there are none yet.", "model.no_lora", lora=asked.name[:80]
        )
        return ModelNotFound(words, field=asked.field, hint="Download or import one on the page Models.")
    words = Said(f"There is no LoRA {asked.name[:80]!r}.", "model.no_such_lora", lora=asked.name[:80], known=known)
    return ModelNotFound(words, field=asked.field, hint=f"Is it one of these: {known}?")


async def _spoken(rows: list[ModelRow], words: str, model: ModelRow, registry: ModelRegistry) -> list[dict[str, Any]]:
    """The embeddings whose names stand in the prompts, as whole words in any case."""
    if not rows or model.family not in _WITH_EMBEDDINGS:
        return []
    files = await asyncio.to_thread(_files, rows, registry)
    found = []
    for row in rows:
        file = files[row.id]
        for name in dict.fromkeys((file.stem if file else row.key, row.key)):
            if file is not None and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words, re.IGNORECASE):
                digest = await asyncio.to_thread(sha256_of, file)
                found.append({"model": row.key, "token": name, "sha256": digest})
                break
    return found


@dataclass(frozen=True)
class Uses:
    """What the engine is told."""

    loras: list[protocol.LoraUse]
    embeddings: list[protocol.EmbeddingUse]
    upscaler: protocol.UpscalerUse | None = None


async def uses_of(owner: Actor, resolved: dict[str, Any], registry: ModelRegistry) -> Uses:
    """For a job that runs now. Raises ModelNotFound when one has gone since it was asked for."""
    loras, embeddings = resolved.get("loras", []), resolved.get("embeddings", [])
    upscaler = await upscalers.use_of(owner, resolved, registry)
    if not loras and not embeddings:
        return Uses([], [], upscaler)
    rows = {row.key: row for row in await registry.rows(owner)}

    def path(key: str) -> str:
        if key not in rows:
            words = Said(f"The model {key!r} was removed.", "model.removed", model=key)
            raise ModelNotFound(words, field="loras", hint="Ask for the pictures without it.")
        return str(_file(rows[key], registry))

    def found() -> Uses:
        return Uses(
            [
                protocol.LoraUse(
                    key=lora["model"],
                    path=path(lora["model"]),
                    sha256=lora["sha256"],
                    weight=lora["weight"],
                    text_weight=lora["text_weight"],
                )
                for lora in loras
            ],
            [
                protocol.EmbeddingUse(
                    token=one["token"], path=path(one["model"]), sha256=one["sha256"], key=one["model"]
                )
                for one in embeddings
            ],
            upscaler,
        )

    return await asyncio.to_thread(found)
