"""From the name in a request to the worker that answers: keys, repositories of the hub, aliases.

What was found is remembered until a model changes (`ModelsChanged`), so that a request looks at no table and no disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from atelier.access.actor import Actor
from atelier.events import Envelope, EventBus
from atelier.models.registry import ModelRegistry
from atelier.models.sizing import Need, Sizing
from atelier.runtime.spec import WorkerSpec
from atelier.tables import ModelRow

CHAT_TASKS = frozenset({"chat", "embed"})
SECONDS = 30.0
"""What a model needs is learned from its runs, and nobody announces that."""
MOST_REMEMBERED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A model as `/v1` sees it. `name` is what its engine calls it."""

    name: str
    task: str
    need: Need
    spec: WorkerSpec
    """`reasons`: its answers may have reasoning apart; `sees`: it takes pictures."""

    reasons: bool
    sees: bool

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
        row = await self._registry.named(actor, self.aliases.get(name, name), CHAT_TASKS)
        target = await asyncio.to_thread(self._target, row)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[actor.id, name] = (target, time.monotonic() + SECONDS)
        return target

    def _target(self, row: ModelRow) -> Target:
        need = self._sizing.need(row)
        options = dict(need.spec.options)
        sees = "images" in options or need.spec.engine == "fake"
        return Target(row.key, row.task, need, need.spec, bool(options.get("reasoning_parser")), sees)

    def forget(self) -> None:
        """Look again: what an engine needs, or which one it is, may have changed."""
        self._known.clear()

    def _hear(self, envelope: Envelope) -> None:
        if envelope.key == "models":
            self.forget()
