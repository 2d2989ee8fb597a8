"""A prompt in another language becomes English, which image models were taught, through a chat model.

Nothing that goes wrong there stops a picture: the words stay as they were typed, and it is said why. English is not
sent anywhere. What stands in angle brackets (`<lora:name:1>`) is no language and passes by.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from atelier.access.actor import Actor
from atelier.config import TranslationSettings
from atelier.errors import AtelierError, ModelNotFound

log = structlog.get_logger("atelier.images")

PATH = "/v1/chat/completions"
EMBEDDED = "lore"
MAX_PROMPT = 2000
# The embedded model was taught these very words (`embedded.lore.grammar`): a test holds them equal.
ASKS = (
    "Translate the prompt of a picture into English. Answer with strict JSON and nothing else: "
    '{"prompt": "…"}. Keep what is English already. If you cannot translate it, answer {"prompt": null}.'
)
_TAGS = re.compile(r"\s*<[^<>]{1,200}>\s*")
_WORDS = re.compile(r"[a-zà-öø-ÿœ]+")
_SMALL_WORDS = {
    "en": frozenset("a an the with on of in and at it has is wearing under by to for from".split()),
    "fr": frozenset("un une le la les des du de d l avec sur dans et il elle qui au aux devant sous en fond".split()),
    "es": frozenset("un una el la los las de del con sobre en y que lleva al por para su tiene fondo".split()),
}

Reason = Literal["english", "no_model", "not_sure", "failed"]


class Serving(Protocol):
    """What is needed of `chat.serving.ChatServing`."""

    async def complete(
        self, actor: Actor, path: str, body: Mapping[str, Any], *, priority: int = 0
    ) -> tuple[int, dict[str, Any]]: ...


@dataclass(frozen=True)
class Translation:
    """`text` to draw by; `reason` says why it is what was typed, None when it was translated by `model`."""

    text: str
    model: str | None
    reason: Reason | None


class Translator:
    """`TRANSLATION_MODEL`, or the embedded chat model for whoever asks for a translation by name."""

    def __init__(self, settings: TranslationSettings, serving: Serving) -> None:
        self._settings, self._serving = settings, serving

    @property
    def is_configured(self) -> bool:
        """Whether prompts are translated unasked, where an API promises that."""
        return bool(self._settings.model)

    async def english(self, actor: Actor, text: str, language: str | None = None) -> Translation:
        """`language` is what the text is written in, where that is known. Raises nothing but cancellation."""
        tags, words = _apart(text)
        if not words or language == "en" or (language is None and seems_english(words)):
            return Translation(text, None, "english")
        model = self._settings.model or EMBEDDED
        if self._settings.off:
            return Translation(text, None, "no_model")
        try:
            async with asyncio.timeout(self._settings.timeout):
                found = await self._ask(actor, model, words)
        except ModelNotFound:
            return Translation(text, None, "no_model")
        except (TimeoutError, AtelierError, ValueError, LookupError) as error:
            log.warning("translation.failed", model=model, reason=type(error).__name__, detail=str(error)[:200])
            return Translation(text, model, "failed")
        if found is None:
            return Translation(text, model, "not_sure")
        return Translation(" ".join([found, *tags]), model, None)

    async def _ask(self, actor: Actor, model: str, words: str) -> str | None:
        """The English words; None where the model says that it cannot. Raises ValueError for an answer that is none."""
        body = {
            "model": model,
            "messages": [{"role": "system", "content": ASKS}, {"role": "user", "content": words}],
            "temperature": 0.0,
            "max_tokens": 600,
        }
        status, answer = await self._serving.complete(actor, PATH, body)
        if status != 200:
            raise ValueError(f"status {status}")
        return read_prompt(str(answer["choices"][0]["message"]["content"] or ""))


def read_prompt(answer: str) -> str | None:
    """What stands under `prompt` in the object that the answer is, or that it holds between other words. None for null.
    Raises ValueError when there is no such object."""
    begin, end = answer.find("{"), answer.rfind("}")
    if begin < 0 or end < begin:
        raise ValueError("no JSON")
    value = json.loads(answer[begin : end + 1])["prompt"]
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_PROMPT:
        raise ValueError("the prompt is no text, or too long")
    return " ".join(value.split())


def seems_english(text: str) -> bool:
    """Whether more of the text's small words are English ones than French or Spanish, and its letters too. Words alone
    (`dragon, ailes`) cannot be told: they do not."""
    words = _WORDS.findall(text.lower())
    counts = {language: sum(word in small for word in words) for language, small in _SMALL_WORDS.items()}
    others = max(counts["fr"], counts["es"])
    return text.isascii() and counts["en"] > others


def _apart(text: str) -> tuple[list[str], str]:
    """(what stands in angle brackets, the rest)."""
    return [tag.strip() for tag in _TAGS.findall(text)], _TAGS.sub(" ", text).strip()
