"""Answers end before a stop word, as OpenAI's do. `transformers` ends them with the token that completes it.

`Stopping` stands between a server and its client and cuts what passes: whole answers and streams of
`/v1/chat/completions` and `/v1/completions`. It knows nothing of models.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Send = Callable[[Any], Awaitable[None]]


class StopWords:
    """Passes text on as far as none of `words` has begun in it; nothing from the first that is complete."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word for word in words if word]
        self._held = ""
        self.met = False

    def feed(self, text: str) -> str:
        """What can be passed on of all that has come."""
        if self.met:
            return ""
        text = self._held + text
        ends = [at for word in self._words if (at := text.find(word)) >= 0]
        if ends:
            self.met, self._held = True, ""
            return text[: min(ends)]
        begun = next((n for n in range(min(self._longest, len(text)), 0, -1) if self._begins(text[-n:])), 0)
        self._held = text[len(text) - begun :]
        return text[: len(text) - begun]

    def end(self) -> str:
        """What was held back and is no stop word after all."""
        rest, self._held = self._held, ""
        return rest

    @property
    def _longest(self) -> int:
        return max((len(word) - 1 for word in self._words), default=0)

    def _begins(self, text: str) -> bool:
        return any(word.startswith(text) for word in self._words)


class Stopping:
    """ASGI's `send` with the stop words cut out of what is sent. Streams come in whole events."""

    def __init__(self, send: Send, words: Sequence[str]) -> None:
        self._send, self._words = send, words
        self._stream: StopWords | None = None
        self._start: Any = None
        self._body = b""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if any(value.startswith(b"text/event-stream") for _, value in message["headers"]):
                self._stream = StopWords(self._words)
            elif message["status"] == 200:  # its length is not known yet
                self._start = message
                return
        elif self._stream is not None:
            message = {**message, "body": self._events(message.get("body", b""), self._stream)}
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            body, start = self._whole(self._body), self._start
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await self._send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            message = {**message, "body": body}
        await self._send(message)

    def _whole(self, body: bytes) -> bytes:
        answer = json.loads(body)
        for choice in answer.get("choices", ()):
            stop = StopWords(self._words)
            place, name = _place(choice, "message")
            if isinstance(place.get(name), str):
                place[name] = stop.feed(place[name]) + stop.end()
            if stop.met:
                choice["finish_reason"] = "stop"
        return json.dumps(answer).encode()

    def _events(self, body: bytes, stop: StopWords) -> bytes:
        return b"".join(self._event(event, stop) + b"\n\n" for event in body.split(b"\n\n") if event)

    def _event(self, event: bytes, stop: StopWords) -> bytes:
        if not event.startswith(b"data: {"):
            return event
        chunk = json.loads(event.removeprefix(b"data: "))
        for choice in chunk.get("choices", ()):
            place, name = _place(choice, "delta")
            if isinstance(place.get(name), str):
                place[name] = stop.feed(place[name])
            if choice.get("finish_reason"):
                place[name] = (place.get(name) or "") + stop.end()
                choice["finish_reason"] = "stop" if stop.met else choice["finish_reason"]
        return b"data: " + json.dumps(chunk).encode()


def _place(choice: dict[str, Any], message: str) -> tuple[dict[str, Any], str]:
    """Where a choice has its text: within `message` or `delta` of a conversation, else beside it."""
    within = choice.get(message)
    return (within, "content") if isinstance(within, dict) else (choice, "text")
