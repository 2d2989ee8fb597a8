"""From the name in a request to the worker that answers: keys, repositories of the hub, aliases.

What was found is remembered until a model changes (`ModelsChanged`), so that a request looks at no table and no disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from atelier.access.actor import Actor
from atelier.errors import ModelNotFound
from atelier.events import Envelope, EventBus
from atelier.models.registry import ModelRegistry
from atelier.models.sizing import Need, Sizing
from atelier.runtime.spec import WorkerSpec
from atelier.tables import ModelRow

CHAT_TASKS = frozenset({"chat", "embed"})
SECONDS = 30.0
"""What a model needs is learned from its runs, and nobody announces that."""
MOST_REMEMBERED = 1024
FAKE_PICTURES = 16
"""The fake engine counts pictures, whatever its model is."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A model as `/v1` sees it. `name` is what its engine calls it; `reasons`: its answers may have reasoning apart;
    `pictures`: so many of them in one request."""

    name: str
    task: str
    need: Need
    spec: WorkerSpec
    reasons: bool
    pictures: int

    @property
    def context(self) -> int:
        """Tokens of one request, its answer included."""
        return self.need.work.context


class Targets:
    """Finds targets for actors. `aliases`: further names for a model's key or repository."""

    def __init__(
        self, registry: ModelRegistry, sizing: Sizing, bus: EventBus, aliases: Mapping[str, str] | None = None
    ) -> None:
        self._registry, self._sizing = registry, sizing
        self.aliases = dict(aliases or {})
        self._known: dict[tuple[str, str], tuple[Target, float]] = {}
        bus.listen(self._hear)

    def known(self, actor: Actor, name: str) -> Target | None:
        """Without looking anywhere; None where somebody has to."""
        found = self._known.get((actor.id, name))
        return found[0] if found is not None and found[1] > time.monotonic() else None

    async def find(self, actor: Actor, name: str) -> Target:
        """Raises ModelNotFound, also for somebody else's model and one that a key may not use."""
        if found := self.known(actor, name):
            return found
        row, called = await self._row(actor, self.aliases.get(name, name))
        target = await asyncio.to_thread(self._target, row, called)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[actor.id, name] = (target, time.monotonic() + SECONDS)
        return target

    async def _row(self, actor: Actor, name: str) -> tuple[ModelRow, str]:
        """The model that answers to this name, and what its engine calls it: a LoRA is answered for by its base."""
        try:
            row = await self._registry.named(actor, name, CHAT_TASKS)
        except ModelNotFound:
            for lora, base in await self._registry.adapted(actor):
                if name in (lora.key, lora.repo):
                    return base, lora.key
            raise
        return row, row.key

    def _target(self, row: ModelRow, called: str) -> Target:
        need = self._sizing.need(row)
        options = dict(need.spec.options)
        pictures = int(options.get("images", FAKE_PICTURES if need.spec.engine == "fake" else 0))
        return Target(called, row.task, need, need.spec, bool(options.get("reasoning_parser")), pictures)

    def forget(self) -> None:
        """Look again: what an engine needs, or which one it is, may have changed."""
        self._known.clear()

    def _hear(self, envelope: Envelope) -> None:
        if envelope.key == "models":
            self.forget()
