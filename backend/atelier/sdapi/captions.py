"""What is to be seen on a picture, in words: asked of a chat model of this server that sees."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from atelier.access.actor import Actor
from atelier.errors import BadRequest, Unavailable
from atelier.images.inputs import InputStore
from atelier.models.registry import ModelRegistry
from atelier.models.schemas import ModelOut
from atelier.said import Said
from atelier.sdapi.extras import blaming

PATH = "/v1/chat/completions"
QUESTION = "Describe this picture in one short sentence, as the prompt that it could have been drawn from."
MOST_TOKENS = 120


class NoCaptioner(BadRequest):
    code = "no_captioner"


class CaptionFailed(Unavailable):
    code = "caption_failed"


class Serving(Protocol):
    """What is needed of `chat.serving.ChatServing`."""

    async def complete(
        self, actor: Actor, path: str, body: Mapping[str, Any], *, priority: int = 0
    ) -> tuple[int, dict[str, Any]]: ...


class Captions:
    def __init__(self, models: ModelRegistry, inputs: InputStore, chat: Serving) -> None:
        self._models, self._inputs, self._chat = models, inputs, chat

    async def caption(self, actor: Actor, image: str) -> str:
        """`image` as in `InputStore.bytes_of`. Raises NoCaptioner, RemoteRefused, BadRequest and InputRefused for what
        is no picture, CaptionFailed, and what loading a model raises."""
        picture = await blaming("image", self._inputs.rewritten(await self._inputs.bytes_of(image, "image")))
        model = _seeing(await self._models.list(actor))
        if model is None:
            words = Said("No model of this Atelier describes pictures.", "no_captioner")
            raise NoCaptioner(words, hint="Describe the picture yourself.")
        shown = {"url": "data:image/png;base64," + base64.b64encode(picture).decode()}
        parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": shown}]
        body = {"model": model.key, "messages": [{"role": "user", "content": parts}], "max_tokens": MOST_TOKENS}
        status, answer = await self._chat.complete(actor, PATH, body)
        said = _words(answer) if status == 200 else ""
        if not said:
            words = Said(f"{model.key} did not describe the picture.", "caption_failed", model=model.key)
            raise CaptionFailed(words, hint="Try again, or describe the picture yourself.")
        return said


def _seeing(models: list[ModelOut]) -> ModelOut | None:
    """One that sees; a loaded one first."""
    seeing = [one for one in models if one.sees and one.runnable and one.available and one.download is None]
    return min(seeing, key=lambda one: one.state != "ready", default=None)


def _words(answer: Mapping[str, Any]) -> str:
    try:
        return str(answer["choices"][0]["message"]["content"] or "").strip()
    except (KeyError, IndexError, TypeError):
        return ""
