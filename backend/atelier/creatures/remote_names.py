"""Asks a chat model for a name: of any server that speaks OpenAI's API, ourselves among them (`own_chat`). Nothing that
goes wrong there is an error here."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import aiohttp
import orjson
import structlog

from atelier.creatures.name_reader import read_name
from atelier.creatures.rarity import Rarity

log = structlog.get_logger("atelier.creatures")

MAX_BYTES = 256 * 1024
ASKS = (
    'You name imaginary creatures. Answer with strict JSON and nothing else: {"name": "…"}. '
    "The name is one invented word of 4 to 12 letters, easy to say, and no name that exists already."
)


class Chat(Protocol):
    """Who is asked: `answer` gives the JSON that came back for a body of `/v1/chat/completions`, and raises ValueError,
    OSError or aiohttp.ClientError when none did."""

    name: str

    async def answer(self, body: dict[str, Any]) -> Any: ...

    async def close(self) -> None: ...


class RemoteNames:
    """Names from a chat model, another server's or our own."""

    def __init__(self, chat: Chat, model: str, timeout: float, log_content: bool) -> None:
        self._chat, self._timeout, self._log_content = chat, timeout, log_content
        self.model, self.source = model, chat.name

    async def ask(self, looks: str, rarity: Rarity) -> str | None:
        """A name for what looks like this; None, with the reason in the log, when there is none to be had."""
        log.info("remote_name.request", model=self.model, rarity=rarity)
        try:
            async with asyncio.timeout(self._timeout):
                answer = _content(await self._chat.answer(self._body(looks, rarity)))
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
        await self._chat.close()

    def _body(self, looks: str, rarity: Rarity) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [
                {"role": "system", "content": ASKS},
                {
                    "role": "user",
                    "content": f"It looks like this: {looks}. Its rarity is {rarity} (F common, S+ rarest).",
                },
            ],
            "max_tokens": 200,
            "temperature": 1.0,
        }


class OtherServer:
    """`OPENAI_BASE_URL`, with its key. One connection pool, made with the first question."""

    def __init__(self, base_url: str, key: str) -> None:
        self.name, self._key = base_url, key
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, body: dict[str, Any]) -> Any:
        if self._session is None:
            # Redirects are not followed and proxies not asked for: the key goes where the setting says, or nowhere.
            self._session = aiohttp.ClientSession(trust_env=False)
        async with self._session.post(
            f"{self.name}/chat/completions",
            data=orjson.dumps(body),
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            },
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            raw = await response.content.read(MAX_BYTES)
            while chunk := await response.content.read(MAX_BYTES):
                raw += chunk
                if len(raw) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
        return orjson.loads(raw)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


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
