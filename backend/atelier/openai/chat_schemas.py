"""What the routes of `/v1` that go to an engine take, as the OpenAPI document tells it.

`chat.door` answers these routes and looks bodies over by `chat.screening`; these shapes are for readers and for the
clients that are generated. Fields that are not listed here and not refused are dropped.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

MODEL = Field(description="A model's key, its repository on the hub, or an alias: see GET /v1/models.")


class StreamOptions(BaseModel):
    include_usage: bool = Field(False, description="A last event with the numbers of tokens.")


class Sampling(BaseModel):
    """What the routes that write have in common."""

    model: str = MODEL
    stream: bool = Field(False, description="Server-sent events; comments keep the connection alive while it waits.")
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    n: int = Field(1, ge=1, le=16)
    stop: str | list[str] | None = Field(None, description="16 at most.")
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = Field(None, description="By token id; 1024 at most.")
    max_tokens: int | None = None
    user: str | None = None


class ChatMessage(BaseModel):
    role: str = Field(description="`system`, `developer`, `user`, `assistant` or `tool`.")
    content: str | list[dict[str, Any]] | None = Field(
        None, description="Text, or parts: `text`, and `image_url` with a data URL for a model that sees."
    )
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class ChatCompletionIn(Sampling):
    messages: list[ChatMessage]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[dict[str, Any]] | None = Field(None, description="128 at most; each schema 64 KiB and 32 deep at most.")
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = Field(None, description="`text`, `json_object` or `json_schema`.")
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="`enable_thinking`, `thinking`, `reasoning_effort`, `thinking_budget`; nothing else."
    )


class CompletionIn(Sampling):
    prompt: str | list[Any] = Field(description="Text or tokens, or a list of them: 256 at most.")
    suffix: str | None = None
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=20)


class ResponseIn(BaseModel):
    model: str = MODEL
    input: str | list[Any]
    instructions: str | None = None
    stream: bool = False
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    text: dict[str, Any] | None = Field(None, description="`format`: as `response_format`, flat.")
    reasoning: dict[str, Any] | None = None
    previous_response_id: str | None = Field(None, description="One of yours.")
    store: bool | None = None
    background: bool | None = None


class EmbeddingIn(BaseModel):
    model: str = MODEL
    input: str | list[Any] = Field(description="Text or tokens, or a list of them: 2048 at most.")
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class AnthropicMessageIn(BaseModel):
    """Anthropic's."""

    model: str = MODEL
    messages: list[ChatMessage]
    max_tokens: int | None = Field(None, description="Must be given, but where tokens are only counted.")
    system: str | list[dict[str, Any]] | None = None
    stream: bool = False
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class TokenizeIn(BaseModel):
    model: str = MODEL
    prompt: str | None = None
    messages: list[ChatMessage] | None = None
    add_special_tokens: bool = True
    return_token_strs: bool = False


class DetokenizeIn(BaseModel):
    model: str = MODEL
    tokens: list[int]
