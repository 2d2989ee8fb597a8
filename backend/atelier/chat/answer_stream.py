"""An answer as it grows: what an engine sends, put together; and its followers, each at their own pace.

A follower remembers how far it has read, so a slow one costs nothing and a late one gets everything at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson

from atelier.chat.conversation_schemas import AnswerFrame, AnswerWaitOut, MessageOut, TimingOut, ToolCallOut, UsageOut
from atelier.runtime.waiting import Waiting
from atelier.shapes import ErrorOut, SaidOut

FRAME_SECONDS = 0.03
"""Frames to a follower come no faster: a screen shows no more."""
BREATH_SECONDS = 10.0
AT_ONCE_SECONDS = 0.05
MOST_LINE_BYTES = 4 * 1024 * 1024


class EngineSaid(Exception):
    """The engine ended the stream with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class EventLines:
    """The data of server-sent events, out of pieces that end anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MOST_LINE_BYTES:
            raise EngineSaid("engine_error", "The engine sent a line without an end.")
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]


class GrowingAnswer:
    """What has come of one answer so far. One task feeds it; any number of followers read."""

    def __init__(self, message: MessageOut) -> None:
        self._message = message
        self.text, self.reasoning = "", ""
        self.tool_calls: list[dict[str, str]] = []
        self.finish_reason: str | None = None
        self.usage: UsageOut | None = None
        self.left_out = 0
        self.pictures_left_out = 0
        self.waiting: AnswerWaitOut | None = None
        self.final: MessageOut | None = None
        self._calls_changed = 0
        self._lines = EventLines()
        self._asked = time.monotonic()
        self._waited = False
        self._first: float | None = None
        self._said: float | None = None
        self._last = self._asked
        self._news = asyncio.Event()

    # ── growing ──

    def feed(self, piece: bytes) -> None:
        """Take in what the engine sent. Raises EngineSaid for its error."""
        for data in self._lines.feed(piece):
            if data and data != b"[DONE]":
                self._take(orjson.loads(data))
        self._tell()

    def wait(self, waiting: Waiting) -> None:
        """The model is not there yet."""
        self._waited = True
        self.waiting = AnswerWaitOut(message=waiting.words, said=SaidOut.of(waiting.words), seconds=waiting.seconds)
        self._tell()

    def _take(self, chunk: dict[str, Any]) -> None:
        if error := chunk.get("error"):
            words = error if isinstance(error, str) else error.get("message") or "The engine failed."
            code = None if isinstance(error, str) else error.get("code") or error.get("type")
            raise EngineSaid(str(code or "engine_error"), str(words))
        if usage := chunk.get("usage"):
            self.usage = UsageOut(
                prompt_tokens=usage.get("prompt_tokens") or 0,
                completion_tokens=usage.get("completion_tokens") or 0,
                left_out=self.left_out,
                pictures_left_out=self.pictures_left_out,
            )
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            text = delta.get("content") or ""
            reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
            calls = delta.get("tool_calls") or ()
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            if text or reasoning or calls:
                self._note_time(is_reasoning=not text and not calls)
            self.text += text
            self.reasoning += reasoning
            for call in calls:
                self._take_call(call)

    def _note_time(self, *, is_reasoning: bool) -> None:
        self._last = time.monotonic()
        self.waiting = None
        if self._first is None:
            self._first = self._last
        if self._said is None and not is_reasoning:
            self._said = self._last

    def _take_call(self, call: dict[str, Any]) -> None:
        """Calls come in parts: first their name, then their arguments in pieces, told apart by `index`."""
        index = call.get("index") or 0
        while len(self.tool_calls) <= index < 128:
            self.tool_calls.append({"id": "", "name": "", "arguments": ""})
        function, known = call.get("function") or {}, self.tool_calls[min(index, 127)]
        known["id"] = call.get("id") or known["id"]
        known["name"] += function.get("name") or ""
        known["arguments"] += function.get("arguments") or ""
        self._calls_changed += 1

    def end(self, message: MessageOut) -> None:
        self.final = message
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # ── looking ──

    @property
    def begun(self) -> bool:
        """Whether anything of it has come."""
        return self._first is not None

    @property
    def timing(self) -> TimingOut:
        rate = None
        if self._first is not None and self.usage and self.usage.completion_tokens > 1:
            # What came all at once says nothing of the pace between tokens: then it is that of the whole answer.
            spread = self._last - self._first
            begun, tokens = (self._first, self.usage.completion_tokens - 1)
            if spread < AT_ONCE_SECONDS:
                begun, tokens = self._asked, self.usage.completion_tokens
            rate = round(tokens / (self._last - begun), 2) if self._last > begun else None
        thought = self._said - self._first if self._said and self._first and self.reasoning else None
        first = None if self._first is None else round(self._first - self._asked, 3)
        return TimingOut(
            waited=first if self._waited else None,
            first_token=None if self._waited else first,
            thought=None if thought is None else round(thought, 3),
            total=round(time.monotonic() - self._asked, 3),
            tokens_per_second=rate,
        )

    def values(self) -> dict[str, Any]:
        """As columns of its row."""
        return {
            "content": self.text,
            "reasoning": self.reasoning,
            "tool_calls": [dict(call) for call in self.tool_calls],
            "finish_reason": self.finish_reason,
            "usage": self.usage and self.usage.model_dump(),
            "timing": self.timing.model_dump(),
        }

    def shown(self, error: ErrorOut | None = None) -> MessageOut:
        return self._message.model_copy(
            update={
                "content": self.text,
                "reasoning": self.reasoning,
                "tool_calls": [ToolCallOut.model_validate(call) for call in self.tool_calls],
                "error": error,
            }
        )

    async def follow(self) -> AsyncIterator[bytes]:
        """Encoded events, from all there is to the end."""
        # All of it in one moment: what comes while a follower reads is told in the next frame.
        text, reasoning, calls, waiting = len(self.text), len(self.reasoning), self._calls_changed, self.waiting
        final, news = self.final, self._news
        yield _event(AnswerFrame(type="snapshot", message=self.shown(), waiting=waiting))
        while final is None:
            try:
                async with asyncio.timeout(BREATH_SECONDS):
                    await news.wait()
            except TimeoutError:
                yield b": still there\n\n"
                continue
            final, news = self.final, self._news  # what comes from here on is looked at once more
            if self.waiting != waiting:
                yield _event(AnswerFrame(type="waiting", waiting=self.waiting))
                waiting = self.waiting
            if (len(self.text), len(self.reasoning), self._calls_changed) != (text, reasoning, calls):
                calls_now = [ToolCallOut.model_validate(call) for call in self.tool_calls]
                frame = AnswerFrame(
                    type="delta",
                    text=self.text[text:] or None,
                    reasoning=self.reasoning[reasoning:] or None,
                    tool_calls=calls_now if self._calls_changed != calls else None,
                )
                text, reasoning, calls = len(self.text), len(self.reasoning), self._calls_changed
                yield _event(frame)
                await asyncio.sleep(FRAME_SECONDS)
        yield _event(AnswerFrame(type="done", message=final))


def only(message: MessageOut) -> bytes:
    """The whole stream of an answer that has ended already."""
    return _event(AnswerFrame(type="done", message=message))


def _event(frame: AnswerFrame) -> bytes:
    return b"data: " + orjson.dumps(frame.model_dump(mode="json", exclude_unset=True)) + b"\n\n"
