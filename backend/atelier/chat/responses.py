"""Answers of /v1/responses that an engine keeps: whose they are, and which model's.

An engine that remembers its answers hands one to whoever knows its id. Here only its owner may name it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

from atelier.access.actor import Actor
from atelier.chat.targets import Target
from atelier.errors import NotFound
from atelier.runtime.abilities import ABILITIES
from atelier.said import Said

MOST_REMEMBERED = 10_000
_ID = re.compile(rb'"id":\s?"(resp_[A-Za-z0-9_-]{1,100})"')


class ResponseNotFound(NotFound):
    code = "response_not_found"


class Responses:
    """The latest of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, Target]] = OrderedDict()

    def note(self, actor: Actor, target: Target, begin: bytes) -> None:
        """`begin`: the first bytes of an answer, where its id stands."""
        engine = ABILITIES.get(target.spec.engine)
        if engine is None or not engine.remembers:
            return
        if found := _ID.search(begin):
            self._known[found[1].decode()] = (actor.id, target)
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)

    def target(self, actor: Actor, response_id: Any, field: str | None = None) -> Target:
        """Raises ResponseNotFound."""
        found = self._known.get(response_id) if isinstance(response_id, str) else None
        if found is None or found[0] != actor.id:
            words = Said("There is no such response.", "response_not_found")
            raise ResponseNotFound(
                words,
                field=field,
                hint="Engines that keep answers do so as long as their model is loaded; most keep none.",
            )
        return found[1]
