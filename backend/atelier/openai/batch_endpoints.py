"""How a line of a batch is answered, by its endpoint: as the same request of a client would be, in the background.

A model that is busy is asked again a few times; what stays wrong is the line's own error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from atelier.access.actor import Actor
from atelier.chat.serving import ChatServing
from atelier.errors import AtelierError, BadRequest, TooManyJobs, Unavailable, WorkerDied
from atelier.openai import envelope
from atelier.openai.image_schemas import PictureGenerateIn
from atelier.openai.image_service import OpenAIImages, answer
from atelier.problems import from_error
from atelier.runtime.waiting import Waiting
from atelier.said import Said

PRIORITY = -10
"""Whoever waits for an answer comes first."""
PAUSES = (1.0, 5.0, 20.0)
"""Seconds before a line is asked again."""


@dataclass(frozen=True)
class Asked:
    """One line of a batch, for whoever answers it. `key` is the same when it is asked again, `stopped` says whether
    its batch was cancelled, `tell` hears what is waited for."""

    actor: Actor
    endpoint: str
    body: dict[str, Any]
    key: str
    stopped: Callable[[], bool]
    tell: Callable[[Waiting], None]


class BatchEndpoints:
    """Keeps nothing."""

    def __init__(self, chat: ChatServing, images: OpenAIImages) -> None:
        self._chat, self._images = chat, images

    async def answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        """Status and body, as the endpoint answers. Raises WorkerDied: who asks knows what else was asked meanwhile."""
        for pause in (*PAUSES, None):
            try:
                status, body = await self._once(asked)
                if pause is None or status not in {429, 502, 503, 504}:
                    return status, body
            except WorkerDied:
                raise
            except AtelierError as error:
                if pause is None or not _may_pass(error):
                    return told(error)
            await asyncio.sleep(pause)
        raise AssertionError("the last of the tries answers")

    async def _once(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if asked.endpoint == "/v1/images/generations":
            return 200, await self._pictures(asked)
        return await self._chat.complete(asked.actor, asked.endpoint, asked.body, priority=PRIORITY, tell=asked.tell)

    async def _pictures(self, asked: Asked) -> dict[str, Any]:
        try:
            wanted = PictureGenerateIn.model_validate({**asked.body, "stream": False})
        except ValidationError as error:
            wrong = error.errors()[0]
            field = ".".join(str(part) for part in wrong["loc"])
            words = Said(f"{field}: {wrong['msg']}", "file.field_wrong", name=field)
            raise BadRequest(words, field=field) from error
        images = await self._images.in_background(asked.actor, wanted, asked.key, PRIORITY, asked.stopped)
        link = "/v1/images/{}/content".format
        made = await answer(self._images.delivery, asked.actor, wanted, images, link, 0)
        return made.model_dump(exclude_none=True)


def _may_pass(error: AtelierError) -> bool:
    busy = isinstance(error, TooManyJobs | Unavailable) or error.status in {429, 502, 503, 504}
    return busy and error.code not in envelope.IN_VAIN_CODES


def told(error: AtelierError) -> tuple[int, dict[str, Any]]:
    """An error as the endpoint would answer it."""
    problem = from_error(error).model_dump()
    return envelope.status_of(problem), envelope.body(problem)
