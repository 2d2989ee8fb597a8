"""From a branch of a conversation to the body of a request to `/v1/chat/completions`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

from atelier.access.actor import Actor
from atelier.chat.fitting import Shown
from atelier.images.inputs import InputStore
from atelier.tables import ConversationRow, MessageRow

MOST_SIDE = 1536
"""A larger picture is made smaller on its way to a model: hardly one looks at more, and each pixel is waited for."""
SMALL_BYTES = 1024 * 1024


async def body_of(
    inputs: InputStore,
    actor: Actor,
    conversation: ConversationRow,
    branch: Sequence[MessageRow],
    model: str,
    shown: Shown,
) -> dict[str, Any]:
    """What to ask, streamed and with its usage. Raises NotFound for a picture that is gone, BadRequest for a video."""
    messages: list[dict[str, Any]] = []
    if conversation.system_prompt.strip():
        messages.append({"role": "system", "content": conversation.system_prompt})
    for row in branch:
        if (said := await _message(inputs, actor, row, shown.get(row.id, ()))) is not None:
            _append(messages, said)
    parameters = {name: value for name, value in conversation.parameters.items() if value is not None}
    parameters.pop("drop_oldest", None)  # done before, with the branch
    if parameters.pop("json_answer", False):
        parameters["response_format"] = {"type": "json_object"}
    if not parameters.get("tools"):
        parameters.pop("tools", None)
    return {
        "model": model,
        "messages": messages,
        **parameters,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def branch_of(messages: Sequence[MessageRow], end: str | None) -> list[MessageRow]:
    """The messages from the beginning to `end`."""
    known = {row.id: row for row in messages}
    found: list[MessageRow] = []
    while end is not None and (row := known.pop(end, None)) is not None:
        found.append(row)
        end = row.parent_id
    return found[::-1]


async def _message(inputs: InputStore, actor: Actor, row: MessageRow, pictures: Sequence[str]) -> dict[str, Any] | None:
    """With `pictures`, its own that are sent. None for an answer that never came."""
    if row.role == "assistant":
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in row.tool_calls
        ]
        if not row.content and not calls:
            return None
        return {"role": "assistant", "content": row.content or None, **({"tool_calls": calls} if calls else {})}
    if row.role == "tool":
        return {"role": "tool", "tool_call_id": row.tool_call_id, "content": row.content}
    text = row.content
    if gone := len(row.pictures) - len(pictures):
        # Else a model answers as if it had been asked about what it sees.
        text = "\n\n".join(part for part in (f"[{gone} picture{'s' * (gone > 1)} left out]", text) if part)
    if not pictures:
        return {"role": "user", "content": text}
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": await _data_url(inputs, actor, ref)}} for ref in pictures
    ]
    if text:
        parts.append({"type": "text", "text": text})
    return {"role": "user", "content": parts}


def _append(messages: list[dict[str, Any]], said: dict[str, Any]) -> None:
    """Two turns of one person become one: many models' templates want the turns to alternate."""
    before = messages[-1] if messages else None
    if before and said["role"] == "user" == before["role"]:
        one, other = before["content"], said["content"]
        if isinstance(one, str) and isinstance(other, str):
            before["content"] = f"{one}\n\n{other}"
            return
        before["content"] = [*_parts(one), *_parts(other)]
        return
    messages.append(said)


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


async def _data_url(inputs: InputStore, actor: Actor, ref: str) -> str:
    picture = await inputs.use(actor, ref, field="pictures")
    data = await asyncio.to_thread(picture.path.read_bytes)
    form = picture.path.suffix.removeprefix(".").replace("jpg", "jpeg")
    longest = max(picture.width, picture.height)
    if longest > MOST_SIDE or len(data) > SMALL_BYTES:
        scale = min(1.0, MOST_SIDE / longest)
        width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        data, form = await inputs.rewritten(data, width=width, height=height, format="jpeg"), "jpeg"
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"
