"""Upscalers of a request: which one is meant when it is accepted, and what the engine is told when its job runs.

An upscaler is a model of the type `upscaler`: one safetensors file of a network that makes pictures larger.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from engines import protocol

from atelier.access.actor import Actor
from atelier.errors import BadRequest, ModelNotFound
from atelier.images.schemas import GenerationIn, UpscaleIn
from atelier.models.adapters import existing_file, file_of, names_of, sha256_of
from atelier.models.registry import ModelRegistry
from atelier.said import Said
from atelier.tables import ModelRow

WITHOUT_MODEL = ("latent", "lanczos", "nearest")
"""Ways to enlarge before a second pass that need no model."""


class UpscalerNotFound(BadRequest):
    code = "upscaler_not_found"


async def upscalers_of(actor: Actor, registry: ModelRegistry) -> list[ModelRow]:
    """Those that are here."""
    return [row for row in await registry.rows(actor) if row.type == "upscaler" and row.download_job is None]


async def named(actor: Actor, name: str, registry: ModelRegistry) -> ModelRow | None:
    """By key, name or the file's name, in any case."""
    rows = await upscalers_of(actor, registry)

    def found() -> ModelRow | None:
        plain = name.casefold()
        for row in rows:
            if row.key == name:
                return row
        each = ((row, names_of(row, file_of(registry.path_of(row)))) for row in rows)
        return next((row for row, names in each if plain in (one.casefold() for one in names)), None)

    return await asyncio.to_thread(found)


async def resolve(
    actor: Actor, wanted: GenerationIn, decided: dict[str, Any], registry: ModelRegistry
) -> dict[str, Any]:
    """`decided` with the upscaler that is meant. Raises UpscalerNotFound, and ModelNotFound when its file is gone."""
    if isinstance(wanted, UpscaleIn) and wanted.upscaler != "lanczos":
        return decided | await _chosen(actor, wanted.upscaler, "upscaler", ("lanczos",), registry)
    hires = decided.get("hires")
    if hires is None or hires["upscaler"] in WITHOUT_MODEL:
        return decided
    chosen = await _chosen(actor, hires["upscaler"], "hires.upscaler", WITHOUT_MODEL, registry)
    return decided | {"hires": hires | chosen}


async def _chosen(
    actor: Actor, name: str, field: str, others: tuple[str, ...], registry: ModelRegistry
) -> dict[str, Any]:
    row = await named(actor, name, registry)
    if row is None:
        known = ", ".join([*others, *(one.key for one in await upscalers_of(actor, registry))])
        raise not_found(name, known, field)
    file = await asyncio.to_thread(upscaler_file, row, registry)
    return {"upscaler": row.key, "upscaler_sha256": await asyncio.to_thread(sha256_of, file)}


def not_found(name: str, known: str, field: str) -> UpscalerNotFound:
    words = Said(f"Upscaler {name[:80]!r} not found", "upscaler_not_found", known=known)
    return UpscalerNotFound(words, field=field, hint=f"Take one of {known}.")


def upscaler_file(row: ModelRow, registry: ModelRegistry) -> Path:
    """Raises ModelNotFound."""
    return existing_file(row, registry.path_of(row), "upscaler")


async def use_of(owner: Actor, resolved: dict[str, Any], registry: ModelRegistry) -> protocol.UpscalerUse | None:
    """For a job that runs now. Raises ModelNotFound when it has gone since it was asked for."""
    chosen = resolved if "upscaler_sha256" in resolved else resolved.get("hires", {})
    if "upscaler_sha256" not in chosen:
        return None
    key = chosen["upscaler"]
    row = next((row for row in await upscalers_of(owner, registry) if row.key == key), None)
    if row is None:
        words = Said(f"The model {key!r} was removed.", "model.removed", model=key)
        raise ModelNotFound(words, field="upscaler", hint="Ask for the pictures without it.")
    file = await asyncio.to_thread(upscaler_file, row, registry)
    return protocol.UpscalerUse(key=key, path=str(file), sha256=chosen["upscaler_sha256"])
