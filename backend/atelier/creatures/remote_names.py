"""Asks a chat model for a name: any server that speaks OpenAI's API. Nothing that goes wrong there is an error here."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import structlog

from atelier.config import CreatureSettings
from atelier.creatures.name_reader import read_name
from atelier.creatures.rarity import Rarity

log = structlog.get_logger("atelier.creatures")

MAX_BYTES = 256 * 1024
_ASKS = (
    'You name imaginary creatures. Answer with strict JSON and nothing else: {"name": "…"}. '
    "The name is one invented word of 4 to 12 letters, easy to say, and no name that exists already."
)


class RemoteNames:
    """`OPENAI_BASE_URL` and its model. One connection pool, made with the first question."""

    def __init__(self, settings: CreatureSettings, log_content: bool) -> None:
        self._settings, self._log_content = settings, log_content
        self._session: aiohttp.ClientSession | None = None
        self.model = settings.openai_model

    async def ask(self, looks: str, rarity: Rarity) -> str | None:
        """A name for what looks like this; None, with the reason in the log, when there is none to be had."""
        log.info("remote_name.request", model=self.model, rarity=rarity)
        try:
            async with asyncio.timeout(self._settings.openai_timeout):
                answer = await self._complete(looks, rarity)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("remote_name.failed", reason=type(error).__name__, detail=str(error)[:200])
            return None
        content = {"content": answer[:2000]} if self._log_content else {}
        found = read_name(answer)
        if found is None:
            log.warning("extract_name.failed", length=len(answer), **content)
            return None
        name, way = found
        log.info(f"extract_name.{way}", name=name)
        log.info("remote_name.ok", name=name, **content)
        return name

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _complete(self, looks: str, rarity: Rarity) -> str:
        """The model's answer. Raises ValueError for an answer that is none."""
        if self._session is None:
            # Redirects are not followed and proxies not asked for: the key goes where the setting says, or nowhere.
            self._session = aiohttp.ClientSession(trust_env=False)
        key = self._settings.openai_api_key
        body = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": _ASKS},
                {
                    "role": "user",
                    "content": f"It looks like this: {looks}. Its rarity is {rarity} (F common, S+ rarest).",
                },
            ],
            "max_tokens": 200,
            "temperature": 1.0,
        }
        async with self._session.post(
            f"{self._settings.openai_base_url}/chat/completions",
            data=orjson.dumps(body),
            headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})},
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            raw = await response.content.read(MAX_BYTES)
            while chunk := await response.content.read(MAX_BYTES):
                raw += chunk
                if len(raw) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
        return _content(orjson.loads(raw))


def _content(answer: Any) -> str:
    try:
        content = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("no choices[0].message.content") from error
    if isinstance(content, list):  # parts, as some servers answer
        content = "".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if not isinstance(content, str):
        raise ValueError("the content is no text")
    return content
