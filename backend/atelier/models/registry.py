"""Which models exist. The shipped ones announce themselves: `backend/embedded/models/<key>/atelier.json`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import structlog

from atelier.access.actor import LOCAL_USER_ID, Actor
from atelier.clock import new_id, now
from atelier.config import BACKEND
from atelier.db import Database
from atelier.errors import ModelNotFound
from atelier.models import store
from atelier.models.schemas import ImageDefaults, ImageLimits, ModelOut
from atelier.tables import ModelRow

log = structlog.get_logger("atelier.models")

EMBEDDED = BACKEND / "embedded" / "models"
MIB = 1024**2
# A worker without a model: Python, torch and diffusers, measured as the resident size of a forked worker.
WORKER_BYTES = 400 * MIB


class ModelRegistry:
    """Finds models for actors; seeds the embedded ones at start."""

    def __init__(self, database: Database, embedded: Path = EMBEDDED) -> None:
        self._database, self._embedded = database, embedded

    async def start(self) -> None:
        cards = await asyncio.to_thread(_read_cards, self._embedded)
        async with self._database.write() as session:
            known = await store.embedded(session)
            for card in cards:
                values = _columns(card)
                row = known.get(card["key"])
                if row is None:
                    session.add(ModelRow(id=new_id("model"), owner_id=LOCAL_USER_ID, created_at=now(), **values))
                else:
                    for name, value in values.items():
                        setattr(row, name, value)
        log.info("ModelRegistry configured", models=[card["key"] for card in cards])

    async def list(self, actor: Actor) -> list[ModelOut]:
        async with self._database.read() as session:
            return [self.present(row) for row in await store.visible(session, actor)]

    async def require(self, actor: Actor, key: str, category: str) -> ModelRow:
        """The model `key`. Raises ModelNotFound for an unknown one, somebody else's, or one of another category."""
        async with self._database.read() as session:
            rows = [row for row in await store.visible(session, actor) if row.category == category]
        for row in rows:
            if row.key == key:
                return row
        names = ", ".join(row.key for row in rows) or "none"
        raise ModelNotFound(
            f"There is no {category} model {key[:80]!r}.",
            field="model",
            hint=f"These exist: {names}. See GET /api/models/.",
        )

    def path_of(self, row: ModelRow) -> Path:
        """Where the model's files lie; embedded ones are named relative to the backend folder."""
        return (BACKEND / row.path).resolve()

    def present(self, row: ModelRow) -> ModelOut:
        return ModelOut(
            key=row.key,
            name=row.name,
            category=row.category,
            type=row.type,
            family=row.family,
            source=row.source,
            description=row.description,
            license=row.license,
            size_bytes=row.size_bytes,
            bytes_needed=row.bytes_needed,
            defaults=ImageDefaults(**row.defaults),
            limits=ImageLimits(**row.limits),
            tags=row.tags,
            available=(self.path_of(row) / "model_index.json").is_file(),
        )


def _read_cards(folder: Path) -> list[dict[str, Any]]:
    cards = []
    for path in sorted(folder.glob("*/atelier.json")):
        card = json.loads(path.read_text())
        card["path"] = str(path.parent.relative_to(BACKEND)) if path.is_relative_to(BACKEND) else str(path.parent)
        card["size_bytes"] = sum(file.stat().st_size for file in path.parent.rglob("*.safetensors"))
        cards.append(card)
    return cards


def _columns(card: dict[str, Any]) -> dict[str, Any]:
    """A card as columns. Half-precision files are loaded as float32 on a CPU; generating needs as much again."""
    size = card["size_bytes"]
    return {
        "key": card["key"],
        "name": card["name"],
        "category": card["category"],
        "type": "base_model",
        "family": card["family"],
        "engine": card["engine"],
        "source": "embedded",
        "path": card["path"],
        "description": card["description"],
        "license": card["license"],
        "size_bytes": size,
        "bytes_needed": WORKER_BYTES + 4 * size,
        "shared": True,
        "defaults": ImageDefaults(**card["defaults"]).model_dump(),
        "limits": ImageLimits(**card["limits"]).model_dump(),
        "tags": card.get("tags", []),
    }
