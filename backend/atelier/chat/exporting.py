"""A conversation as a file, and back: Markdown for people, JSON with every branch and its pictures for machines."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier.access.actor import Actor
from atelier.chat import conversation_store as store
from atelier.chat.asking import branch_of
from atelier.chat.conversation_schemas import (
    MOST_PICTURES,
    ChatParameters,
    ConversationDetailOut,
    MessageOut,
    ModelName,
    Title,
)
from atelier.chat.conversations import MOST_MESSAGES, Conversations, new_conversation, new_message
from atelier.db import Database
from atelier.errors import BadRequest, NotFound
from atelier.images.inputs import InputStore
from atelier.said import Said
from atelier.shapes import ErrorOut
from atelier.tables import AnswerState

FORMAT = "atelier.conversation"
DATA_URL = re.compile(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=]+)")


class FiledMessage(BaseModel):
    """A message in a file: as `MessageOut`, with its pictures as data URLs."""

    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, Field(max_length=40)]
    parent_id: Annotated[str, Field(max_length=40)] | None = None
    role: Literal["user", "assistant", "tool"]
    content: Annotated[str, Field(max_length=4_000_000)] = ""
    pictures: list[str] = Field([], max_length=MOST_PICTURES)
    reasoning: Annotated[str, Field(max_length=4_000_000)] = ""
    tool_calls: list[dict[str, str]] = Field([], max_length=128)
    tool_call_id: Annotated[str, Field(max_length=200)] | None = None
    model: ModelName | None = None
    state: AnswerState = AnswerState.COMPLETE
    finish_reason: Annotated[str, Field(max_length=32)] | None = None
    usage: dict[str, int] | None = None
    timing: dict[str, float | None] | None = None
    error: ErrorOut | None = None
    created_at: datetime


class FiledConversation(BaseModel):
    """What `GET …/export?format=json` writes and `POST …/import` reads."""

    model_config = ConfigDict(extra="ignore")

    format: Literal["atelier.conversation"] = Field(description="Which kind of file this is.")
    version: Literal[1]
    title: Title = ""
    model: ModelName | None = None
    system_prompt: Annotated[str, Field(max_length=4_000_000)] = ""
    parameters: ChatParameters = ChatParameters()
    head_id: Annotated[str, Field(max_length=40)] | None = None
    messages: list[FiledMessage] = Field(max_length=MOST_MESSAGES)


class ConversationFiles:
    """Writes and reads conversations' files. Every call takes the actor."""

    def __init__(self, database: Database, conversations: Conversations, inputs: InputStore) -> None:
        self._database, self._conversations, self._inputs = database, conversations, inputs

    async def as_json(self, actor: Actor, conversation_id: str) -> FiledConversation:
        found = await self._conversations.get(actor, conversation_id)
        messages = []
        for message in found.messages:
            pictures = [url for ref in message.pictures if (url := await self._data_url(actor, ref))]
            messages.append(FiledMessage.model_validate({**message.model_dump(), "pictures": pictures}))
        kept = found.model_dump(include={"title", "model", "system_prompt", "parameters", "head_id"})
        return FiledConversation(format=FORMAT, version=1, messages=messages, **kept)

    async def as_markdown(self, actor: Actor, conversation_id: str) -> str:
        """The branch that is looked at."""
        return markdown_of(await self._conversations.get(actor, conversation_id))

    async def read(self, actor: Actor, filed: FiledConversation) -> ConversationDetailOut:
        """Enter a conversation anew, under new ids. Raises BadRequest for messages that follow none."""
        ids: dict[str, str] = {}
        row = new_conversation(
            actor,
            title=filed.title,
            model=filed.model,
            system_prompt=filed.system_prompt,
            parameters=filed.parameters.model_dump(exclude_none=True),
        )
        rows = []
        for place, message in enumerate(filed.messages):
            if message.id in ids or (message.parent_id is not None and message.parent_id not in ids):
                words = Said("A message follows none of those before it.", "conversation.file_broken")
                raise BadRequest(words, field=f"messages.{place}.parent_id", hint="Send the file as it was exported.")
            pictures = [await self._take(actor, url, place) for url in message.pictures]
            values = message.model_dump(mode="json", exclude={"id", "parent_id", "role", "pictures", "created_at"})
            # An answer that grew when the file was written does not grow here.
            state = AnswerState.INTERRUPTED if message.state == AnswerState.GROWING else message.state
            parent = ids.get(message.parent_id or "")
            known = {**values, "pictures": pictures, "state": state, "created_at": message.created_at}
            made = new_message(row.id, parent, message.role, **known)
            ids[message.id] = made.id
            rows.append(made)
        row.head_id = ids.get(filed.head_id or "") or (rows[-1].id if rows else None)
        async with self._database.write() as session:
            await store.add_all(session, row, rows)
        return await self._conversations.get(actor, row.id)

    async def _data_url(self, actor: Actor, ref: str) -> str | None:
        """None for a picture that is gone."""
        try:
            picture = await self._inputs.use(actor, ref)
            data = await asyncio.to_thread(picture.path.read_bytes)
        except (NotFound, FileNotFoundError):
            return None
        form = picture.path.suffix.removeprefix(".").replace("jpg", "jpeg")
        return f"data:image/{form};base64,{base64.b64encode(data).decode()}"

    async def _take(self, actor: Actor, url: str, place: int) -> str:
        field = f"messages.{place}.pictures"
        found = DATA_URL.fullmatch(url)
        if not found:
            words = Said("A picture in the file cannot be read.", "conversation.file_picture")
            raise BadRequest(words, field=field, hint="Send the file as it was exported.")
        return (await self._inputs.add(actor, base64.b64decode(found[1]), field=field)).id


def markdown_of(conversation: ConversationDetailOut) -> str:
    lines = [f"# {conversation.title or 'Conversation'}", ""]
    if conversation.system_prompt.strip():
        lines += ["> " + line for line in conversation.system_prompt.strip().splitlines()] + [""]
    branch: Sequence[Any] = branch_of(conversation.messages, conversation.head_id)  # type: ignore[arg-type]
    for message in branch:
        lines += [*_markdown(message), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown(message: MessageOut) -> list[str]:
    who = {"user": "You", "tool": "Result"}.get(message.role) or message.model or "Answer"
    lines = [f"## {who}", ""]
    for ref in message.pictures:
        place = "gallery" if ref.startswith("img_") else "inputs"
        lines += [f"![picture](/api/{place}/{ref}/file)", ""]
    if message.reasoning.strip():
        lines += ["<details><summary>Reasoning</summary>", "", message.reasoning.strip(), "", "</details>", ""]
    lines.append(message.content.strip())
    for call in message.tool_calls:
        lines += ["", f"```json {call.name}", call.arguments, "```"]
    if message.error:
        lines += ["", f"*{message.error.message}*"]
    return lines
