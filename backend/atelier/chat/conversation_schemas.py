"""Wire shapes of conversations, messages, presets and growing answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from atelier.shapes import ErrorOut, SaidOut
from atelier.tables import AnswerState, ChatPresetRow, ConversationRow, MessageRow

MOST_LETTERS = 200_000
MOST_PICTURES = 8
MOST_TOOLS = 32

Title = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
PictureRef = Annotated[str, StringConstraints(pattern="^(img|inp)_[0-9a-f]{20}$")]
SystemPrompt = Annotated[str, StringConstraints(max_length=MOST_LETTERS)]


class ChatParameters(BaseModel):
    """How a model is asked. What is left out is the model's own; engines refuse what they do not know."""

    model_config = ConfigDict(extra="forbid")

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=1000)
    min_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    seed: int | None = Field(None, ge=0, le=2**32 - 1)
    stop: list[Annotated[str, StringConstraints(min_length=1, max_length=100)]] | None = Field(None, max_length=4)
    json_answer: bool | None = Field(None, description="Answers are JSON objects.")
    drop_oldest: bool | None = Field(
        None, description="The oldest messages are left out of what is asked when the model's context is full."
    )
    tools: list[dict[str, Any]] | None = Field(
        None, max_length=MOST_TOOLS, description="Functions that the model may call, as OpenAI describes them."
    )


class SayIn(BaseModel):
    """What somebody says, or with `role` "tool" what a function answered."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"content": "Name a red dragon with wings."}]}
    )

    content: Annotated[str, Field(max_length=MOST_LETTERS)] = ""
    pictures: list[PictureRef] = Field([], max_length=MOST_PICTURES, description="Ids of uploads and of the gallery.")
    role: Literal["user", "tool"] = "user"
    tool_call_id: Annotated[str | None, Field(max_length=200)] = None
    parent_id: str | None = Field(
        None, max_length=40, description="The message that it follows; the last one of the chosen branch if left out."
    )
    at_start: bool = Field(False, description="It follows nothing: another beginning of the conversation.")


@dataclass(frozen=True)
class Looked:
    """What is looked for: words of a title or a message, a picture of a message; of those put away or of the others."""

    words: str | None = None
    picture: str | None = None
    archived: bool = False


class ConversationIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title = Field("", description="From the first words if left out.")
    model: ModelName | None = None
    system_prompt: SystemPrompt = ""
    parameters: ChatParameters = ChatParameters()
    beside_of: str | None = Field(None, max_length=40, description="The conversation that it is shown beside.")
    message: SayIn | None = Field(None, description="What it begins with; the model answers at once.")


class ConversationPatchIn(BaseModel):
    """What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None
    parameters: ChatParameters | None = None
    pinned: bool | None = None
    archived: bool | None = None
    head_id: str | None = Field(None, max_length=40, description="The message at whose end the reader stands.")
    apart: Literal[True] | None = Field(
        None, description="No longer beside another: it gets its own place in the list."
    )


class ConversationOut(BaseModel):
    id: str
    title: str
    model: str | None = Field(description="What answers next.")
    system_prompt: str
    parameters: ChatParameters
    pinned: bool
    archived: bool
    beside: str | None = Field(None, description="The conversation that is shown beside it.")
    beside_of: str | None
    head_id: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ConversationRow, beside: ConversationRow | None = None) -> ConversationOut:
        return cls(
            id=row.id,
            title=row.title,
            model=row.model,
            system_prompt=row.system_prompt,
            parameters=ChatParameters.model_validate(row.parameters),
            pinned=row.pinned,
            archived=row.archived,
            beside=beside.id if beside else None,
            beside_of=row.beside_of,
            head_id=row.head_id,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ToolCallOut(BaseModel):
    id: str
    name: str
    arguments: str = Field(description="JSON, as the model wrote it; perhaps not well-formed.")


class UsageOut(BaseModel):
    """Tokens, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    left_out: int = Field(0, description="Messages at the beginning that were not sent, for the context was full.")
    pictures_left_out: int = Field(
        0, description="Pictures at the beginning of what was sent that were not, for the model takes no more at once."
    )


class TimingOut(BaseModel):
    """Seconds."""

    waited: float | None = Field(description="To the first token, of an answer whose model had to be loaded first.")
    first_token: float | None = Field(description="To the first token, of a model that was there.")
    thought: float | None = Field(None, description="From the first token to the first one that is no reasoning.")
    total: float
    tokens_per_second: float | None = Field(description="After the first token.")


class MessageOut(BaseModel):
    id: str
    parent_id: str | None
    role: Literal["user", "assistant", "tool"]
    content: str
    pictures: list[str] = []
    reasoning: str = ""
    tool_calls: list[ToolCallOut] = []
    tool_call_id: str | None = None
    model: str | None = Field(description="Of an answer: who gives it.")
    state: AnswerState = Field(description="Of an answer. What a person says is `complete`.")
    finish_reason: str | None
    usage: UsageOut | None
    timing: TimingOut | None
    error: ErrorOut | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: MessageRow) -> MessageOut:
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


class ConversationDetailOut(ConversationOut):
    messages: list[MessageOut] = Field(description="Every branch, in the order in which they were said.")


class ConversationPage(BaseModel):
    items: list[ConversationOut]
    next_cursor: str | None


class SentOut(BaseModel):
    """What was said, and the answer that grows: follow it at `…/messages/{id}/stream`."""

    message: MessageOut
    answer: MessageOut


class ConversationDeletedOut(BaseModel):
    id: str
    deleted_at: datetime
    restorable_until: datetime


class PresetIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "Terse", "system_prompt": "Answer in one sentence.", "parameters": {"temperature": 0.2}}
            ]
        },
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]
    system_prompt: SystemPrompt = ""
    parameters: ChatParameters = ChatParameters()
    model: ModelName | None = Field(None, description="Null: whichever the conversation has.")


class PresetOut(BaseModel):
    id: str
    name: str
    system_prompt: str
    parameters: ChatParameters
    model: str | None

    @classmethod
    def of(cls, row: ChatPresetRow) -> PresetOut:
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


class PresetList(BaseModel):
    items: list[PresetOut]


class AnswerWaitOut(BaseModel):
    """What an answer waits for before it begins."""

    message: str
    said: SaidOut | None
    seconds: float | None = Field(description="Until it begins, about; null when that is not known.")


class AnswerFrame(BaseModel):
    """One event of a growing answer. `snapshot` comes first and holds all there is; `delta` adds to it; `waiting` says
    that the model is not there yet; `done` holds the answer as it is kept, and is the last."""

    type: Literal["snapshot", "delta", "waiting", "done"]
    message: MessageOut | None = None
    text: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallOut] | None = Field(None, description="All of them, as far as they are.")
    waiting: AnswerWaitOut | None = Field(None, description="Of `waiting` and `snapshot`: for what. Null: no longer.")
